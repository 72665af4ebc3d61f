"""Clients in a process of their own, `python -m loadtest.bench.crowd.callers DIR URL`.

Each line of standard input, `KIND COUNT`, is a turn: so many whole connections of one kind, `AT_ONCE` at a time, each
begun when another is done.  A line of JSON says what became of them.

    full      everything: TLS, upgrade, voice handshake with the HSM's signature, a frame, the end in good order
    ticket    the same with a ticket of the call before; the first `AT_ONCE` calls, which have none yet, come before
    upgraded  TLS and the upgrade, and then the client goes without a word
    syntax, size   the same, and then a hello that is refused: for its TLVs, for its length
    closed    no more than TCP: the proxy closes it at once, as the address may begin no further handshake
"""

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial

import msgspec
import trio

from sottovoce.client import CallError, TicketStore, Trust, connect, trust_from_directory
from sottovoce.transport import ClientWebSocket, PeerClosed, PqPolicy, TlsStream, WsFailed, client_context

AT_ONCE = 64

_FRAME_BYTES = 640
_HELLO = b"\x00\x01"
"""A plain record with a ClientHello's type: what follows is its length and its body."""
_BAD_HELLOS = {
    "syntax": _HELLO + b"\x00\x00\x06" + b"\x02\x00\x00" + b"\x01\x00\x00",
    "size": _HELLO + b"\x00\x50\x00" + bytes(0x5000),
}


class Turn(msgspec.Struct):
    """How a turn went."""

    done: int = 0
    resumed: int = 0
    failures: list[str] = []
    """Of calls that should have come about."""


class Crowd:
    """Those who call."""

    def __init__(self, url: str, trust: Trust) -> None:
        """Call `url`, wss://HOST:PORT/ROUTE."""
        self._url = url
        self._trust = trust
        authority = url.split("/")[2]
        self._host, _, port = authority.rpartition(":")
        self._authority, self._port = authority, int(port)
        self._target = "/v1/voice/" + url.rpartition("/")[2]
        self._context = client_context(self._host, pq=PqPolicy.REQUIRE, ca_pem=trust.ca)
        self._stores = [TicketStore() for _ in range(AT_ONCE)]

    async def turn(self, kind: str, count: int) -> Turn:
        """Have `count` connections made."""
        turn = Turn(failures=[])
        left = iter(range(count))
        async with trio.open_nursery() as nursery:
            for number in range(AT_ONCE):
                nursery.start_soon(self._repeat, self._one(kind, number, turn), left)
        return turn

    async def prepare(self) -> None:
        """Get a ticket for each of those who will resume."""
        async with trio.open_nursery() as nursery:
            for store in self._stores:
                nursery.start_soon(self._call, store, Turn(failures=[]))

    def _one(self, kind: str, number: int, turn: Turn) -> Callable[[], Awaitable[None]]:
        match kind:
            case "full":
                return partial(self._call, None, turn)
            case "ticket":
                return partial(self._call, self._stores[number], turn)
            case "upgraded":
                return partial(self._upgrade, None, turn)
            case "closed":
                return partial(self._knock, turn)
            case _:
                return partial(self._upgrade, _BAD_HELLOS[kind], turn)

    @staticmethod
    async def _repeat(once: Callable[[], Awaitable[None]], left: Iterator[int]) -> None:
        for _ in left:
            await once()

    async def _call(self, store: TicketStore | None, turn: Turn) -> None:
        try:
            async with connect(self._url, anchor=self._trust.anchors, ca=self._trust.ca, tickets=store) as call:
                await call.send(bytes(_FRAME_BYTES))
                await anext(call)  # the server has spoken: a ticket has come before
                turn.done += 1
                turn.resumed += call.statistics.is_resumed
        except CallError as error:
            turn.failures.append(str(error))

    async def _knock(self, turn: Turn) -> None:
        with suppress(OSError, trio.BrokenResourceError):
            async with await trio.open_tcp_stream("127.0.0.1", self._port) as stream:
                await stream.receive_some()
        turn.done += 1

    async def _upgrade(self, hello: bytes | None, turn: Turn) -> None:
        websocket = ClientWebSocket(
            self._authority, self._target, max_message_bytes=1 << 20, subprotocol="sottovoce.v1"
        )
        try:
            tls = TlsStream(await trio.open_tcp_stream("127.0.0.1", self._port), self._context)
            async with tls:
                await tls.do_handshake()
                websocket.request()
                await tls.send_all(websocket.to_send())
                websocket.receive(await tls.receive_some())
                if hello is not None:
                    websocket.send_binary(hello)
                    await tls.send_all(websocket.to_send())
                    await _until_closed(tls, websocket)
        except (OSError, trio.BrokenResourceError) as error:
            turn.failures.append(str(error))
        turn.done += 1


async def _until_closed(tls: TlsStream, websocket: ClientWebSocket) -> None:
    while data := await tls.receive_some():
        if any(isinstance(event, PeerClosed | WsFailed) for event in websocket.receive(data)):
            await tls.send_all(websocket.to_send())
            return


async def main() -> None:
    """Run a turn for each line."""
    directory, url = sys.argv[1:]
    crowd = Crowd(url, trust_from_directory(directory))
    for line in sys.stdin:
        kind, count = line.split()
        if kind == "prepare":
            await crowd.prepare()
            turn = Turn(failures=[])
        else:
            turn = await crowd.turn(kind, int(count))
        print(msgspec.json.encode(turn).decode(), flush=True)


if __name__ == "__main__":
    trio.run(main)
