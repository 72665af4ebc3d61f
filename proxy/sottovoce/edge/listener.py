"""A listening address: accepts, limits, drains.

bind ─▶ serve ─▶ drain: nobody is let in, every call is told to reconnect elsewhere and has a few seconds to leave
             └─▶ retire: nobody is let in, calls go on to their own end, because another process takes the new ones

While it serves, `app` may put new services and settings in place for the connections to come (`CurrentServices`,
`reconfigure`), and have the running calls looked at again (`recheck`), or told that the HSM was sealed (`heed`).

Several processes may share an address, each with a socket of its own (`bind_several`).  Then one may accept from
another's socket as well, as long as that one is not there (`accept_from`).
"""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import trio

from sottovoce.edge.config import Address, ListenerConfig, parse_address
from sottovoce.edge.connection import serve_connection
from sottovoce.edge.errors import AddressUnusable
from sottovoce.edge.gate import Gate, HalfOpen, is_within, read_header
from sottovoce.edge.gate.accepting import RETRY_AFTER_SECONDS, accept_all, descriptor_limit, is_full
from sottovoce.edge.gate.refusals import Refusals
from sottovoce.edge.services import CurrentServices, EdgeServices
from sottovoce.edge.voice import VoiceCall
from sottovoce.hsm.seal import Effects
from sottovoce.observe import CallCounts
from sottovoce.primitives import Entropy
from sottovoce.session import CredentialCheck
from sottovoce.transport import CLOSE_SECONDS, ProxyHeaderInvalid, limit_silence

STOP_SECONDS = CLOSE_SECONDS + 1
"""For calls that were told to go, unless the caller says otherwise; then they are cut off."""
_BACKLOG = 1024


class Listener:
    """One `[listener]`, bound.  `address` is the one that was got."""

    def __init__(self, name: str, config: ListenerConfig, bound: trio.SocketListener) -> None:
        """Made by `bind`."""
        self.name = name
        self.address = _address_of(bound.socket.getsockname())
        self._config = config
        self._bound = [bound]
        self._taking: dict[trio.SocketListener, trio.CancelScope] = {}
        self._changed = trio.lowlevel.ParkingLot()
        self._descriptors = descriptor_limit()
        self._is_short = False
        self._connections = 0
        self._balancers = config.balancers
        self._gate = Gate(config.gate_limits)
        self._refusals = Refusals(trio.current_time())
        self._calls: set[VoiceCall] = set()
        self._carried_before = CallCounts()
        self._accepting = trio.CancelScope()
        self._staying = trio.CancelScope(deadline=0)
        self._is_draining = False
        self._spread_seconds = 0.0
        self._stop_seconds = STOP_SECONDS
        self._empty = trio.lowlevel.ParkingLot()

    @property
    def calls(self) -> int:
        """How many calls run."""
        return len(self._calls)

    @property
    def half_open(self) -> int:
        """How many handshakes are under way, those of addresses that nothing limits not among them."""
        return len(self._gate)

    @property
    def carried(self) -> CallCounts:
        """What all calls have carried, those that run and those that have left."""
        return sum((call.counts for call in self._calls), self._carried_before)

    async def serve(self, current: CurrentServices) -> None:
        """Serve until `drain`; return when every connection has ended, or the time for that is over."""
        async with trio.open_nursery() as connections:

            def handle(stream: trio.SocketStream) -> Awaitable[None]:
                return self._handle(stream, current.services)

            def short() -> None:
                self._tell_short(current.services, None)

            with self._accepting:
                async with trio.open_nursery() as taking:
                    while True:
                        for bound in self._bound:
                            if bound not in self._taking:
                                scope = self._taking[bound] = trio.CancelScope()
                                taking.start_soon(_within, scope, accept_all, bound, handle, connections, short)
                        await self._changed.park()
            await self.aclose()
            with self._staying:
                while self._connections:
                    await self._empty.park()
            self._is_draining = True
            with trio.move_on_after(self._spread_seconds + self._stop_seconds):
                async with trio.open_nursery() as sending:
                    sending.start_soon(self._send_all_away, current.services.parts.entropy)
                    while self._connections:
                        await self._empty.park()
                    sending.cancel_scope.cancel()
            connections.cancel_scope.cancel()

    def accept_from(self, bound: trio.SocketListener) -> None:
        """Accept from one more socket of the same address."""
        self._bound.append(bound)
        self._changed.unpark_all()

    async def leave_off(self, bound: trio.SocketListener) -> None:
        """Accept no more from that one, and close it; calls that came from it go on."""
        self._bound.remove(bound)
        if (scope := self._taking.pop(bound, None)) is not None:
            scope.cancel()
        await bound.aclose()

    def drain(self, spread_seconds: float = 0.0, stop_seconds: float = STOP_SECONDS) -> None:
        """Accept no more, and have `serve` return when all have left.

        Calls are told one after the other in the course of `spread_seconds`, so that they do not all knock elsewhere
        at once; then there are `stop_seconds` for the last of them to answer.  A call that is just being agreed on is
        told as soon as it is.  What remains after that is cut off.
        """
        self._spread_seconds, self._stop_seconds = spread_seconds, stop_seconds
        self._is_draining = True
        self._accepting.cancel()
        self._staying.cancel()

    def retire(self, stay_seconds: float, spread_seconds: float, stop_seconds: float) -> None:
        """Accept no more, and have `serve` return when all have left by themselves; drain what stays for too long."""
        self._spread_seconds, self._stop_seconds = spread_seconds, stop_seconds
        self._staying.deadline = trio.current_time() + stay_seconds
        self._accepting.cancel()

    def reconfigure(self, config: ListenerConfig) -> None:
        """Let connections from now on be limited by `config`; its address is not looked at."""
        self._config = config
        self._balancers = config.balancers
        self._gate.limits = config.gate_limits

    def recheck(self, credentials: CredentialCheck) -> int:
        """End every call whose identity may no longer call there; gives how many.  Never waits."""
        return sum(call.recheck(credentials) for call in tuple(self._calls))

    def heed(self, effects: Effects) -> None:
        """Have every call go on, or not, as an HSM that was sealed or unsealed lets it.  Never waits."""
        for call in tuple(self._calls):
            call.heed(effects)

    async def aclose(self) -> None:
        """Stop listening; harmless when that is done."""
        for bound in tuple(self._bound):
            await bound.aclose()

    async def _send_all_away(self, entropy: Entropy) -> None:
        """Tell each call at a moment of its own, by chance within its share of the time."""
        calls = tuple(self._calls)
        began, share = trio.current_time(), self._spread_seconds / max(1, len(calls))
        for place, call in enumerate(calls):
            await trio.sleep_until(began + share * (place + _chance(entropy)))
            call.send_away()

    async def _handle(self, stream: trio.SocketStream, services: EdgeServices) -> None:
        """Serve one connection; nothing that goes wrong in it reaches another."""
        try:
            peer = _address_of(stream.socket.getpeername())
        except OSError:
            return  # the peer went before we looked
        self._connections += 1
        try:
            if self._connections > self._config.max_connections:
                self.refuse(services, peer, "max_connections is reached")
                return
            services = self._with_room(stream, services, peer)
            if is_within(peer.host, self._balancers):
                await self._serve_forwarded(stream, services, peer)
            elif serving := self._serving(stream, services, peer, self._config.handshake_seconds):
                await serving
        except* Exception as crash:  # noqa: BLE001  a bug of ours ends this connection alone, also while it is cancelled
            services.journal.connection_crashed(str(peer), crash)
        finally:
            self._connections -= 1
            if not self._connections:
                self._empty.unpark_all()

    def _with_room(self, stream: trio.SocketStream, services: EdgeServices, peer: Address) -> EdgeServices:
        """Give the services of a connection: where descriptors run out, those that refuse it."""
        if not is_full(stream.socket.fileno(), self.half_open, self._descriptors):
            self._is_short = False
            return services
        self._tell_short(services, peer)
        return msgspec.structs.replace(services, shut_seconds=RETRY_AFTER_SECONDS)

    def _tell_short(self, services: EdgeServices, peer: Address | None) -> None:
        """Say that descriptors run out: logged once until there is room again, counted for each `peer`.

        None is one that waits to be accepted: it is nobody's yet, would be counted each time that is tried, and may
        still become a call.
        """
        reason = f"open_files: {self._descriptors} may be open, none is left for another call"
        if peer is not None:
            services.journal.metrics.connection_refused(reason)
        if not self._is_short:
            services.journal.connection_refused(None if peer is None else str(peer), reason, 0)
        self._is_short = True

    async def _serve_forwarded(self, stream: trio.SocketStream, services: EdgeServices, balancer: Address) -> None:
        """Serve a balancer's connection as that of the client it names; of whom it cannot name, as its own."""
        until = trio.current_time() + self._config.handshake_seconds
        try:
            with trio.fail_at(until):
                header = await read_header(stream)
        except (ProxyHeaderInvalid, trio.TooSlowError, trio.BrokenResourceError) as error:
            reason = str(error) if isinstance(error, ProxyHeaderInvalid) else "no header came"
            self.refuse(services, balancer, f"PROXY protocol: {reason}")
            return
        client = balancer if header.source is None else Address(*header.source)
        seconds = max(until - trio.current_time(), 0.0)  # it may have come at the last moment
        if serving := self._serving(stream, services, client, seconds, is_limited=not header.is_local):
            await serving

    def _serving(
        self,
        stream: trio.SocketStream,
        services: EdgeServices,
        client: Address,
        handshake_seconds: float,
        *,
        is_limited: bool = True,
    ) -> Awaitable[None] | None:
        """Give what serves `client`, if the gate lets it in; nothing limits what a balancer says for itself.

        No coroutine stands between it and the listener's: each would be a third of a KiB for the length of a call.
        """
        visit = _Visit(self, services, client)
        if is_limited:
            half_open = self._gate.begin(client.host, trio.current_time(), visit.evict)
            if isinstance(half_open, str):
                self.refuse(services, client, half_open)
                return None
            visit.half_open = half_open
        with suppress(OSError):  # the peer has gone: the first read tells
            limit_silence(stream, self._config.silence_seconds)
        return serve_connection(stream, services, str(client), handshake_seconds, visit)

    def refuse(self, services: EdgeServices, client: Address, reason: str) -> None:
        """Say why a connection is closed; it is, when its task has ended."""
        services.journal.metrics.connection_refused(reason)
        self._refusals.tell(services.journal, str(client), reason, trio.current_time())

    def came(self, call: VoiceCall) -> None:
        """Know a call; told by its connection."""
        self._calls.add(call)
        if self._is_draining:
            call.send_away()

    def left(self, call: VoiceCall) -> None:
        """Forget a call, but for its numbers."""
        if call in self._calls:
            self._calls.remove(call)
            self._carried_before += call.counts

    def judged(self, half_open: HalfOpen, code: int | None) -> None:
        """Count a handshake out; `code` is how it was refused, if it was."""
        if code is None:
            self._gate.end(half_open)
        else:
            self._gate.refused(half_open, code, trio.current_time())


class _Visit:
    """What a listener knows of one connection: a handshake under way, then a call."""

    __slots__ = ("_call", "_came_at", "_client", "_cut_off", "_listener", "_services", "half_open")

    def __init__(self, listener: Listener, services: EdgeServices, client: Address) -> None:
        self._listener = listener
        self._services = services
        self._client = client
        self._came_at = trio.current_time()
        self._call: VoiceCall | None = None
        self.half_open: HalfOpen | None = None
        self._cut_off: Callable[[], None] = _nothing

    def evict(self) -> None:
        reason = "max_handshakes is reached, and its place went to another prefix"
        self._listener.refuse(self._services, self._client, reason)
        self._cut_off()

    def came(self, cut_off: Callable[[], None]) -> None:
        self._cut_off = cut_off

    def started(self, call: VoiceCall) -> None:
        self._call = call
        self._cut_off = call.cut_off
        self._listener.came(call)

    def agreed(self, code: int | None) -> None:
        if self._call is not None and self._call.counts.generations:  # there are keys: it was agreed on
            self._services.journal.metrics.handshake_took(trio.current_time() - self._came_at)
        self._out_of_the_gate(code)

    def _out_of_the_gate(self, code: int | None) -> None:
        if self.half_open is not None:
            self._listener.judged(self.half_open, code)
            self.half_open = None
        self._cut_off = _nothing

    def ended(self) -> None:
        self._out_of_the_gate(None)
        if self._call is not None:
            self._listener.left(self._call)


def _nothing() -> None:
    """There is nothing to cut off, or nobody may any more."""


async def bind(name: str, config: ListenerConfig) -> Listener:
    """Bind a listener.  Raises AddressUnusable, which names the address and the remedy."""
    return Listener(name, config, await listen(name, parse_address(config.address)))


async def listen(name: str, address: Address) -> trio.SocketListener:
    """Listen on an address; `name` is the section that has it.  Raises AddressUnusable."""
    await trio.lowlevel.checkpoint()
    (bound,) = bind_several(name, address, 1)
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


def bind_several(name: str, address: Address, count: int) -> list[socket.socket]:
    """Bind so many sockets to one address, among which the kernel shares out connections.  Raises AddressUnusable.

    The first is bound as if it were to be alone: so it fails where somebody else listens, be it by such sockets, too.
    """
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(_unbound(address, is_shared=bool(sockets)))
            sockets[-1].bind((address.host, address.port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)))
            if count > 1:
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets[-1].listen(_BACKLOG)
    except OSError as error:
        for each in sockets:
            each.close()
        raise AddressUnusable(name, str(address), error) from None
    return sockets


def _unbound(address: Address, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    unbound = socket.socket(family, socket.SOCK_STREAM)
    unbound.setblocking(False)  # noqa: FBT003  its only argument
    unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        unbound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return unbound


async def _within(scope: trio.CancelScope, accept: Callable[..., Awaitable[None]], *arguments: object) -> None:
    with scope:
        await accept(*arguments)


def _chance(entropy: Entropy) -> float:
    """From 0 up to 1."""
    return int.from_bytes(entropy.random(2)) / 0x1_00_00


def _address_of(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    return Address(name[0], name[1])
