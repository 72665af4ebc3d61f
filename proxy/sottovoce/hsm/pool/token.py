"""`Token`: the proxy's end of a token, whatever happens to the process behind it.

Calls wait in a bounded queue; as many as the process has threads are sent, the rest stay here, so that a call whose
deadline passes while it waits is never sent.  A caller leaves at its own deadline, answered or not.

    STARTING ──▶ UP ──▶ DOWN ──▶ UP …        DOWN ──▶ LOCKED

The process is replaced at once when it ends, when it says that the token is lost, and when an answer stays out longer
than `deadline_seconds + hang_grace_seconds`: then it is killed first.  A replacement proves itself with a probe before
it gets work.  Idempotent calls that were in flight are sent again and only wait; others fail, since nobody knows what
became of them.  A refused PIN is not tried again: the token is LOCKED until an operator acts and starts it anew.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from sottovoce.hsm.config import HsmConfig
from sottovoce.hsm.errors import (
    OPERATOR_ERRORS,
    HsmBusy,
    HsmError,
    HsmTimeout,
    HsmUnavailable,
    HsmWrongPin,
    TokenLost,
    TokenProcessFailed,
)
from sottovoce.hsm.messages import (
    PROBE,
    WORKERS,
    Answer,
    Operation,
    Probe,
    Question,
    Reply,
    Request,
    Start,
    decode_answer,
    decode_message,
    encode_frame,
)
from sottovoce.hsm.pool.child import Spawner, TokenChild
from sottovoce.hsm.reports import Report, TokenDown, TokenLocked, TokenState, TokenTimes, TokenUp, Untimed, timed
from sottovoce.hsm.softhsm import find_softhsm, refresh_configuration
from sottovoce.primitives import wipe_bytes

_MAX_ATTEMPTS = 5
"""Sends of one call before it is taken for the cause of what happens to the process."""
_FIRST_START_ATTEMPTS = 3
_BACKOFF_SECONDS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)


class _Call:
    """A call on its way: waiting, in flight, or abandoned by its caller."""

    def __init__(self, operation: Operation[Question, Answer], question: Question, answer_seconds: float) -> None:
        self.name = operation.name
        self.is_idempotent = operation.is_idempotent
        self.fields = msgspec.Raw(msgspec.msgpack.encode(question))
        self.answer_seconds = answer_seconds
        self.done = trio.Event()
        self.outcome: msgspec.Raw | HsmError | None = None
        self.frame = b""
        self.attempts = 0
        self.asked_at = trio.current_time()
        self.sent_at = 0.0
        self.is_abandoned = False

    def finish(self, outcome: msgspec.Raw | HsmError, frame: bytes = b"") -> None:
        """Wake the caller; `frame` is what the outcome lies in, wiped when the caller leaves."""
        self.outcome = outcome
        self.frame = frame
        self.done.set()


class Token:
    """A token and its process.  Made by `open_token`."""

    def __init__(
        self, config: HsmConfig, start: Start, spawner: Spawner, report: Report, times: TokenTimes | None = None
    ) -> None:
        """Take a resolved configuration; nothing runs yet."""
        self.state = TokenState.STARTING
        self.replacements = 0
        self._config = config
        self._start = start
        self._spawner = spawner
        self._report = report
        self._times = times or Untimed()
        self._waiting: deque[_Call] = deque()
        self._in_flight: dict[int, _Call] = {}
        self._next_id = 0
        self._changed = trio.Event()
        self._trouble = "it has not started yet"

    async def call(
        self, operation: Operation[Question, Answer], question: Question, *, deadline_seconds: float
    ) -> Answer:
        """Have the token process answer `question`, within `deadline_seconds`.

        Raises HsmBusy at once when the queue is full, HsmTimeout at the deadline (HsmUnavailable if the token is down
        then), HsmWrongPin while it is locked, or what the token process answered with.  After cancellation the token is
        as usable as before.
        """
        with timed(self._times, operation.name):
            return await self._call(operation, question, deadline_seconds)

    async def _call(
        self, operation: Operation[Question, Answer], question: Question, deadline_seconds: float
    ) -> Answer:
        if self.state is TokenState.LOCKED:
            raise HsmWrongPin(self._trouble)
        if len(self._waiting) >= self._config.max_waiting:
            text = f"{len(self._waiting)} calls wait for the token already"
            raise HsmBusy(text)
        call = _Call(operation, question, operation.answer_seconds or self._config.deadline_seconds)
        self._waiting.append(call)
        self._wake()
        try:
            with trio.move_on_after(deadline_seconds):
                await call.done.wait()
            match call.outcome:
                case None:
                    raise self._late(operation.name, deadline_seconds)
                case HsmError() as error:
                    raise error
                case fields:
                    return decode_answer(fields, operation.answer_type)
        finally:
            self._let_go(call)

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a process running until cancelled.  Raises when the first one cannot be started."""
        child = await self._first_child()
        task_status.started()
        while True:
            async with child:
                self._trouble = "its process ended"
                self.state = TokenState.UP
                self._report(TokenUp(child.pid))
                await self._serve(child)
                self.state = TokenState.DOWN
            waited_for = sum(not call.is_abandoned for call in self._in_flight.values())
            self._report(TokenDown(self._trouble, waited_for))
            self._requeue()
            self.replacements += 1
            child = await self._next_child()

    async def _first_child(self) -> TokenChild:
        for attempt in range(_FIRST_START_ATTEMPTS):
            try:
                return await self._new_child()
            except (*OPERATOR_ERRORS, HsmWrongPin):
                raise
            except HsmError:
                if attempt == _FIRST_START_ATTEMPTS - 1:
                    raise
        raise AssertionError  # pragma: no cover  the loop returns or raises

    async def _next_child(self) -> TokenChild:
        """Start a replacement, again and again; for ever asleep once the PIN is refused."""
        failures = 0
        while True:
            await trio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
            try:
                return await self._new_child()
            except HsmWrongPin as error:
                await self._lock(str(error))
            except HsmError as error:
                failures += 1
                self._trouble = str(error)
                self._report(TokenDown(self._trouble))

    async def _lock(self, reason: str) -> None:
        self.state = TokenState.LOCKED
        self._trouble = reason
        self._report(TokenLocked(reason))
        while self._waiting:
            self._waiting.popleft().finish(HsmWrongPin(reason))
        await trio.sleep_forever()

    async def _new_child(self) -> TokenChild:
        """Start a process and have it prove itself.  Raises HsmError, having ended it."""
        try:
            if self._config.softhsm_config:
                refresh_configuration(Path(self._config.softhsm_config))
            child = await self._spawner.spawn()
        except OSError as error:  # too many open files or processes: that may pass
            text = f"the token process cannot be started ({error.strerror})"
            raise HsmUnavailable(text) from error
        try:
            with trio.fail_after(self._config.start_seconds):
                await child.start(self._start)
                await self._probe(child)
        except BaseException as error:
            child.kill()
            await child.__aexit__()
            if isinstance(error, trio.TooSlowError):
                text = f"the token process did not start within {self._config.start_seconds} s"
                raise HsmUnavailable(text) from None
            raise
        return child

    async def _probe(self, child: TokenChild) -> None:
        await child.send(encode_frame(Request(0, PROBE.name, msgspec.Raw(msgspec.msgpack.encode(Probe())))))
        body = await child.receive()
        if body is None:
            text = "the token process ended while it proved itself"
            raise HsmUnavailable(text)
        reply = decode_message(body, Reply)
        if reply.failure is not None:
            raise reply.failure.to_error()

    async def _serve(self, child: TokenChild) -> None:
        """Send calls and take answers until the process is gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_calls, child)
            nursery.start_soon(self._kill_when_hung, child)
            try:
                while body := await child.receive():
                    if not self._take(body):
                        break
            except TokenProcessFailed as error:
                self._trouble = str(error)
            child.kill()
            nursery.cancel_scope.cancel()

    async def _send_calls(self, child: TokenChild) -> None:
        try:
            while True:
                while self._waiting and len(self._in_flight) < WORKERS:
                    frame = self._next_frame()
                    self._wake()
                    await child.send(frame)
                await self._changed.wait()
        except HsmUnavailable:
            return  # the reader sees the end too, and acts on it

    def _next_frame(self) -> bytes:
        call = self._waiting.popleft()
        self._next_id += 1
        call.attempts += 1
        call.sent_at = trio.current_time()
        if call.attempts == 1:
            self._times.call_waited(call.sent_at - call.asked_at)
        self._in_flight[self._next_id] = call
        return encode_frame(Request(self._next_id, call.name, call.fields))

    async def _kill_when_hung(self, child: TokenChild) -> None:
        """Kill the process when the oldest call in flight has waited too long, abandoned or not."""
        while True:
            changed = self._changed
            limits = [
                call.sent_at + call.answer_seconds + self._config.hang_grace_seconds
                for call in self._in_flight.values()
            ]
            if not limits:
                await changed.wait()
                continue
            with trio.move_on_at(min(limits)):
                await changed.wait()
            if trio.current_time() >= min(limits) and changed is self._changed:
                self._trouble = "it did not answer in time, and was killed"
                child.kill()
                return

    def _take(self, body: bytes) -> bool:
        """Take an answer; false if it says that the token is lost."""
        reply = decode_message(body, Reply)
        call = self._in_flight.get(reply.id)
        if call is None:
            return True
        if reply.failure is not None and reply.failure.kind == TokenLost.__name__:
            self._trouble = reply.failure.text
            return False
        del self._in_flight[reply.id]
        call.finish(reply.fields if reply.failure is None else reply.failure.to_error(), body)
        if call.is_abandoned:
            wipe_bytes(body)
        self._wake()
        return True

    def _requeue(self) -> None:
        """Put what was in flight back to the front of the queue; fail what must not be sent twice."""
        calls = list(self._in_flight.values())
        self._in_flight.clear()
        for call in reversed(calls):
            if call.is_abandoned:
                continue
            if not call.is_idempotent:
                call.finish(
                    HsmUnavailable(f"the token went during {call.name} ({self._trouble}): its outcome is unknown")
                )
            elif call.attempts >= _MAX_ATTEMPTS:
                call.finish(HsmUnavailable(f"the token went {call.attempts} times during {call.name}: {self._trouble}"))
            else:
                self._waiting.appendleft(call)

    def _let_go(self, call: _Call) -> None:
        if call.done.is_set():
            wipe_bytes(call.frame)
            return
        if call in self._waiting:
            self._waiting.remove(call)
        else:
            call.is_abandoned = True

    def _late(self, name: str, deadline_seconds: float) -> HsmError:
        if self.state is TokenState.UP:
            return HsmTimeout(f"the token did not answer {name} within {deadline_seconds:g} s")
        return HsmUnavailable(f"the token is down: {self._trouble}")

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def open_token(  # noqa: PLR0913  what it is made of
    config: HsmConfig,
    *,
    command: Iterable[str],
    files: dict[str, str],
    report: Report,
    times: TokenTimes | None = None,
    create: bool = False,
    change_keys: bool = False,
) -> AsyncGenerator[Token]:
    """Start a token process by `command` and keep one running until the block ends.

    `config` is resolved; `files` is what the handlers read at their start; `create` makes the token first;
    `change_keys` opens one that is there for having keys made and destroyed.  Raises what keeps the first process from
    starting: HsmWrongPin, TokenMissing, ModuleUnusable, PinUnreadable and so on.
    """
    environment = {"SOFTHSM2_CONF": config.softhsm_config} if config.softhsm_config else {}
    spawner = Spawner(command, environment)
    start = Start(config.module or find_softhsm(), config.token, config.pin_file, create, files, change_keys)
    token = Token(config, start, spawner, report, times)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(token.run)
            yield token
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The nursery is our own affair: an error of the block or of the first start comes out as it was raised.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
    finally:
        spawner.close()
