"""`Node`: one token, whatever happens to the process behind it.

    STARTING ──▶ UP ──▶ DOWN ──▶ UP …        DOWN ──▶ LOCKED        any ──▶ SEALED ──▶ UP …

The process is replaced when it ends, when it says that the token is lost, and when an answer stays out too long.  A
replacement proves itself with a probe before it gets work.  The first one comes at once; where one does not start,
goes before it has answered anything, or soon says again that the token is lost, the next waits longer.  A refused PIN
is not tried again: the token is LOCKED until an operator acts and starts it anew.

Where the HSM has a seal, the PIN is lent by it; while it is sealed there is no process, and what runs is killed.  Nor
is there one while an operator has taken the token out of use.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Protocol

import msgspec
import trio

from sottovoce.hsm.config import HsmConfig, NodeConfig
from sottovoce.hsm.errors import OPERATOR_ERRORS, HsmError, HsmUnavailable, HsmWrongPin
from sottovoce.hsm.messages import PROBE, Probe, Renewals, Reply, Request, Start, decode_message, encode_frame
from sottovoce.hsm.pool.calls import Attempt, Call
from sottovoce.hsm.pool.child import Spawner, TokenChild, was_given
from sottovoce.hsm.pool.exchange import Exchange, Listener
from sottovoce.hsm.pool.hedging import Latencies
from sottovoce.hsm.reports import (
    Breaker,
    NodeStatus,
    Report,
    TokenDown,
    TokenLocked,
    TokenSealed,
    TokenState,
    TokenUp,
)
from sottovoce.hsm.seal import HsmSealed, LentPin
from sottovoce.hsm.softhsm import refresh_configuration
from sottovoce.hsm.vendors import PinPlace

_FIRST_START_ATTEMPTS = 3
_BACKOFF_SECONDS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Chosen: with the start itself, a token is in use again within three seconds of being well."""

_MORE_SESSIONS = 2
"""The one that holds the login, and the one for what takes long."""
_SERVED = 20
"""Chosen: a token that is lost again before so many answers is no better than one that does not start."""


class NodeListener(Listener, Protocol):
    """Is told what becomes of a node, too."""

    def came_up(self) -> None:
        """A node takes calls."""
        ...

    def went(self, name: str, reason: str, attempts: list[Attempt]) -> None:
        """A node takes no calls any more, and will not answer these."""
        ...

    def did_not_start(self, name: str, error: HsmError) -> None:
        """A node could not be started when the pool was opened.  Raises where no node is left that might."""
        ...

    def locked(self) -> None:
        """A node will take no calls any more until it is started anew."""
        ...


class Node:
    """A token and its process."""

    def __init__(  # noqa: PLR0913  what it is made of
        self,
        name: str,
        config: NodeConfig,
        limits: HsmConfig,
        *,
        command: Iterable[str],
        start: Callable[[str], Start],
        listener: NodeListener,
        report: Report,
        lent: LentPin | None = None,
    ) -> None:
        """Take resolved configurations, and what gives a Start for the path of a module; nothing runs yet.

        `lent` is where a seal has the PIN, when it has one.
        """
        self.name = name
        self.state = TokenState.STARTING
        self.trouble = "it has not started yet"
        self.replacements = 0
        self.suspicions = 0
        self.latencies = Latencies()
        self._renewals = Renewals()
        """Of the processes that have gone."""
        self._config = config
        self._limits = limits
        self._command = tuple(command)
        self._start = start
        self._listener = listener
        self._report = report
        self._lent = lent
        self._unsealed = trio.Event()
        self._unsealed.set()
        self._released = trio.Event()
        self._released.set()
        self._held_because = ""
        self._living = trio.CancelScope()
        self._child: TokenChild | None = None
        self._failures = 0
        self._is_proving = False
        self._exchange: Exchange | None = None

    @property
    def attempts(self) -> Iterable[Attempt]:
        """What is out."""
        return self._exchange.attempts.values() if self._exchange is not None else ()

    @property
    def in_flight(self) -> int:
        """How many calls are out."""
        return len(self._exchange.attempts) if self._exchange is not None else 0

    @property
    def is_up(self) -> bool:
        """Whether it takes calls."""
        return self._exchange is not None

    @property
    def is_well(self) -> bool:
        """Whether it takes calls and is no suspect."""
        return self._exchange is not None and not self._exchange.suspects

    def has_room(self, *, is_long: bool) -> bool:
        """Whether it can be sent a call of this kind now."""
        return self._exchange is not None and self._exchange.has_room(is_long=is_long)

    @property
    def status(self) -> NodeStatus:
        """How it does."""
        breaker = Breaker.CLOSED if self.is_up else Breaker.HALF_OPEN if self._is_proving else Breaker.OPEN
        return NodeStatus(
            name=self.name,
            state=self.state,
            breaker=breaker,
            reason=self.trouble,
            pid=self._exchange.pid if self._exchange is not None else None,
            sessions=self._config.at_once + _MORE_SESSIONS if self.is_up else 0,
            in_flight=self.in_flight,
            suspects=self._exchange.suspects if self._exchange is not None else 0,
            suspicions=self.suspicions,
            replacements=self.replacements,
            renewals=self._renewals + self._exchange.renewals if self._exchange is not None else self._renewals,
        )

    def send(
        self, call: Call, fields: msgspec.Raw, *, slow_seconds: float | None = None, is_hedge: bool = False
    ) -> Attempt:
        """Send a call; only where there is room.  Raises OperationRefused when it is too large."""
        if self._exchange is None:
            raise HsmUnavailable(f"the token is down: {self.trouble}")
        return self._exchange.send(call, fields, slow_seconds=slow_seconds, is_hedge=is_hedge)

    def seal(self, reason: str) -> None:
        """End the process at once, and start none until `unseal`.  Calls that are out there are not given back."""
        if self._unsealed.is_set():
            self._unsealed = trio.Event()
        self._exchange = None
        if self._child is not None:
            self._child.kill()
        self._living.cancel()
        self.state, self.trouble = TokenState.SEALED, reason
        self._report(TokenSealed(reason))

    def unseal(self) -> None:
        """Start a process at once, unless it is held."""
        self._unsealed.set()
        self._begin_again()

    def hold(self, reason: str) -> None:
        """End the process at once, and start none until `release`; calls that are out there go to others."""
        if self._released.is_set():
            self._released = trio.Event()
        self._held_because = reason
        if self.state is TokenState.SEALED:
            return
        attempts = list(self.attempts)
        waited_for = sum(not attempt.call.is_over for attempt in attempts)
        self._exchange = None
        if self._child is not None:
            self._child.kill()
        self._living.cancel()
        self.state, self.trouble = TokenState.DOWN, reason
        self._listener.went(self.name, reason, attempts)
        self._report(TokenDown(reason, waited_for, is_held=True))

    def release(self) -> None:
        """Start a process at once, whatever kept it from that, unless it is sealed or serves."""
        self._released.set()
        if self.state is not TokenState.SEALED and not self.is_up:
            self._living.cancel()
            self._begin_again()

    @property
    def is_held(self) -> bool:
        """Whether an operator has taken it out of use."""
        return not self._released.is_set()

    def _begin_again(self) -> None:
        self._failures = 0
        if self.is_held:
            self.state, self.trouble = TokenState.DOWN, self._held_because
            self._report(TokenDown(self.trouble, is_held=True))
        elif not self.is_up:
            self.state = TokenState.STARTING

    async def run(self) -> None:
        """Keep a process running until cancelled.  Raises what the listener's `did_not_start` does."""
        softhsm = self._config.softhsm_file
        environment = {"SOFTHSM2_CONF": str(softhsm)} if softhsm is not None else {}
        pin = self._config.pin
        others = self._limits.pin_variables - {pin.name}
        lent = (int(pin.name),) if pin.place is PinPlace.DESCRIPTOR and was_given(int(pin.name)) else ()
        if self._lent is not None:
            lent = (self._lent.descriptor,)
        with closing(Spawner(self._command, environment, without=others, lent=lent)) as spawner:
            while True:
                while not (self._unsealed.is_set() and self._released.is_set()):
                    await self._unsealed.wait()
                    await self._released.wait()
                with trio.CancelScope() as self._living:
                    await self._live(spawner)

    async def _live(self, spawner: Spawner) -> None:
        """Keep a process running until cancelled, by a seal or from outside."""
        child = await self._first_child(spawner)
        while True:
            async with child:
                is_pin_refused = await self._serve(child)
            if is_pin_refused:
                await self._failed(HsmWrongPin(self.trouble))
            child = await self._next_child(spawner)

    async def _first_child(self, spawner: Spawner) -> TokenChild:
        for attempt in range(1, _FIRST_START_ATTEMPTS + 1):
            try:
                return await self._new_child(spawner)
            except HsmError as error:
                if attempt < _FIRST_START_ATTEMPTS and not isinstance(error, (*OPERATOR_ERRORS, HsmWrongPin)):
                    continue
                self._listener.did_not_start(self.name, error)
                await self._failed(error)
                break
        return await self._next_child(spawner)

    async def _next_child(self, spawner: Spawner) -> TokenChild:
        """Start a replacement, again and again; for ever asleep once the PIN is refused."""
        while True:
            await trio.sleep(_BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS) - 1)])
            try:
                return await self._new_child(spawner)
            except HsmError as error:
                await self._failed(error)

    async def _failed(self, error: HsmError) -> None:
        self.trouble = str(error)
        if isinstance(error, HsmWrongPin):
            self.state = TokenState.LOCKED
            self._report(TokenLocked(self.trouble))
            self._listener.locked()
            await trio.sleep_forever()
        self.state = TokenState.DOWN
        self._failures += 1
        self._report(TokenDown(self.trouble))
        if isinstance(error, HsmSealed):  # the seal has no PIN for it, until there is another seal
            await trio.sleep_forever()

    async def _serve(self, child: TokenChild) -> bool:
        """Have a process answer calls until it is gone; give whether the token refused the PIN."""
        await trio.lowlevel.checkpoint_if_cancelled()  # sealed or held in the turn in which it had proved itself
        exchange = self._exchange = Exchange(
            self.name, child, self._limits, self._listener, most_out=self._config.most_out
        )
        self._child = child
        self.state = TokenState.UP
        self._report(TokenUp(child.pid))
        self._listener.came_up()
        try:
            await exchange.run()
        finally:
            self._exchange = self._child = None
            self._renewals += exchange.renewals
        await trio.lowlevel.checkpoint_if_cancelled()  # or in that in which it ended: then that was told already
        self.state = TokenState.DOWN
        self.trouble = exchange.trouble
        self.replacements += 1
        has_served = exchange.answers >= (_SERVED if exchange.is_lost else 1)
        self._failures = 0 if has_served else self._failures + 1
        attempts = list(exchange.attempts.values())
        waited_for = sum(not attempt.call.is_over for attempt in attempts)
        self._listener.went(self.name, self.trouble, attempts)
        self._report(TokenDown(self.trouble, waited_for))
        return exchange.is_pin_refused

    async def _new_child(self, spawner: Spawner) -> TokenChild:
        """Start a process and have it prove itself.  Raises HsmError, having ended it."""
        self._is_proving = True
        try:
            try:
                if (softhsm := self._config.softhsm_file) is not None:
                    refresh_configuration(softhsm)
                start = self._start(self._config.library)
                child = await spawner.spawn()
            except OSError as error:  # too many open files or processes: that may pass
                text = f"the token process cannot be started ({error.strerror})"
                raise HsmUnavailable(text) from error
            await self._prove(child, start)
            return child
        finally:
            self._is_proving = False

    async def _prove(self, child: TokenChild, start: Start) -> None:
        """Log in and sign.  Raises HsmError, having ended the process."""
        try:
            with trio.fail_after(self._limits.start_seconds):
                await child.start(start)
                await _probe(child)
        except BaseException as error:
            child.kill()
            await child.__aexit__()
            if isinstance(error, trio.TooSlowError):
                text = f"the token process did not start within {self._limits.start_seconds} s"
                raise HsmUnavailable(text) from None
            raise


async def _probe(child: TokenChild) -> None:
    await child.send(encode_frame(Request(0, PROBE.name, msgspec.Raw(msgspec.msgpack.encode(Probe())))))
    body = await child.receive()
    if body is None:
        text = "the token process ended while it proved itself"
        raise HsmUnavailable(text)
    reply = decode_message(body, Reply)
    if reply.failure is not None:
        raise reply.failure.to_error()
