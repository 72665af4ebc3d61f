"""A listening address: accepts, limits, drains.

bind ─▶ serve ─▶ drain: nobody is let in, every call is told to reconnect elsewhere and has a few seconds to leave

While it serves, `app` may put new services and settings in place for the connections to come (`CurrentServices`,
`reconfigure`), and have the running calls looked at again (`recheck`).
"""

import socket

import trio

from sottovoce.edge.config import Address, ListenerConfig, parse_address
from sottovoce.edge.connection import serve_connection
from sottovoce.edge.errors import AddressUnusable
from sottovoce.edge.gate import HandshakeLimits
from sottovoce.edge.services import CurrentServices, EdgeServices
from sottovoce.edge.voice import VoiceCall
from sottovoce.primitives import Entropy
from sottovoce.session import CredentialCheck, TokenBucket
from sottovoce.transport import CLOSE_SECONDS, limit_silence

STOP_SECONDS = CLOSE_SECONDS + 1
"""For calls that were told to go, unless the caller says otherwise; then they are cut off."""
_BACKLOG = 1024
_REFUSAL_LINES_PER_SECOND, _REFUSAL_LINES_BURST = 5.0, 10.0
"""Lines of the log about connections that were closed before a byte was read; each tells how many had none."""


class Listener:
    """One `[listener]`, bound.  `address` is the one that was got."""

    def __init__(self, name: str, config: ListenerConfig, bound: trio.SocketListener) -> None:
        """Made by `bind`."""
        self.name = name
        self.address = _address_of(bound.socket.getsockname())
        self._config = config
        self._bound = bound
        self._connections = 0
        self._limits = HandshakeLimits(config.max_handshakes_per_second, config.max_handshakes_per_address)
        self._refusal_lines = TokenBucket(_REFUSAL_LINES_PER_SECOND, _REFUSAL_LINES_BURST, trio.current_time())
        self._untold_refusals = 0
        self._calls: set[VoiceCall] = set()
        self._accepting = trio.CancelScope()
        self._spread_seconds = 0.0
        self._stop_seconds = STOP_SECONDS
        self._empty = trio.lowlevel.ParkingLot()

    @property
    def calls(self) -> int:
        """How many calls run."""
        return len(self._calls)

    async def serve(self, current: CurrentServices) -> None:
        """Serve until `drain`; return when every connection has ended, or the time for that is over."""
        async with trio.open_nursery() as connections:

            async def handle(stream: trio.SocketStream) -> None:
                await self._handle(stream, current.services)

            with self._accepting:
                await trio.serve_listeners(handle, [self._bound], handler_nursery=connections)
            await self._bound.aclose()
            with trio.move_on_after(self._spread_seconds + self._stop_seconds):
                async with trio.open_nursery() as sending:
                    sending.start_soon(self._send_all_away, current.services.parts.entropy)
                    while self._connections:
                        await self._empty.park()
                    sending.cancel_scope.cancel()
            connections.cancel_scope.cancel()

    def drain(self, spread_seconds: float = 0.0, stop_seconds: float = STOP_SECONDS) -> None:
        """Accept no more, and have `serve` return when all have left.

        Calls are told one after the other in the course of `spread_seconds`, so that they do not all knock elsewhere
        at once; then there are `stop_seconds` for the last of them to answer.  A call that is just being agreed on is
        told as soon as it is.  What remains after that is cut off.
        """
        self._spread_seconds, self._stop_seconds = spread_seconds, stop_seconds
        self._accepting.cancel()

    def reconfigure(self, config: ListenerConfig) -> None:
        """Let connections from now on be limited by `config`; its address is not looked at."""
        self._config = config
        self._limits.reconfigure(config.max_handshakes_per_second, config.max_handshakes_per_address)

    def recheck(self, credentials: CredentialCheck) -> int:
        """End every call whose identity may no longer call there; gives how many.  Never waits."""
        return sum(call.recheck(credentials) for call in tuple(self._calls))

    async def aclose(self) -> None:
        """Stop listening; harmless when that is done."""
        await self._bound.aclose()

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
            limit_silence(stream, self._config.silence_seconds)
        except OSError:
            return  # the peer went before we looked
        if refusal := self._admit(peer.host):
            self._tell_refusal(services, str(peer), refusal)
            await trio.aclose_forcefully(stream)
            return
        try:
            await self._serve(stream, services, peer)
        except* Exception as crash:  # noqa: BLE001  a bug of ours ends this connection alone, also while it is cancelled
            services.journal.connection_crashed(str(peer), crash)

    async def _serve(self, stream: trio.SocketStream, services: EdgeServices, peer: Address) -> None:
        started: list[VoiceCall] = []

        def start(call: VoiceCall) -> None:
            self._limits.end(peer.host)
            started.append(call)
            self._calls.add(call)
            if self._accepting.cancel_called:
                call.send_away()

        self._connections += 1
        try:
            await serve_connection(stream, services, str(peer), self._config.handshake_seconds, start)
        finally:
            self._connections -= 1
            self._calls.difference_update(started)
            if not started:
                self._limits.end(peer.host)
            if not self._connections:
                self._empty.unpark_all()

    def _tell_refusal(self, services: EdgeServices, client: str, refusal: str) -> None:
        """Have it logged, unless there are too many to log: a flood must not fill the disk as well."""
        if self._refusal_lines.take(trio.current_time()):
            services.journal.connection_refused(client, refusal, self._untold_refusals)
            self._untold_refusals = 0
        else:
            self._untold_refusals += 1

    def _admit(self, host: str) -> str | None:
        """Count a handshake in; give the reason why the connection is not taken, None if it is."""
        if self._connections >= self._config.max_connections:
            return "max_connections is reached"
        return self._limits.begin(host, trio.current_time())


async def bind(name: str, config: ListenerConfig) -> Listener:
    """Bind a listener.  Raises AddressUnusable, which names the address and the remedy."""
    address = parse_address(config.address)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await bound.bind((address.host, address.port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise AddressUnusable(name, str(address), error) from None
    return Listener(name, config, trio.SocketListener(bound))


def _chance(entropy: Entropy) -> float:
    """From 0 up to 1."""
    return int.from_bytes(entropy.random(2)) / 0x1_00_00


def _address_of(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    return Address(name[0], name[1])
