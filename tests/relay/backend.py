"""A backend in memory that does what a test tells it, and the way to dial it."""

from contextlib import AbstractAsyncContextManager

import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from sottovoce.relay import CallSink, CallStart, Leg
from sottovoce.relay.link import BackendRoute, Dialer, parse_url
from sottovoce.relay.raw import RawDialect
from sottovoce.transport import ServerWebSocket, TextMessage, UpgradeRequest, WsEvent
from tests.relay.calls import START, RecordingSink

AUTHORITY = "bot.example:9000"
ADDRESS = parse_url(f"ws://{AUTHORITY}/calls?lang=en")


class Backend:
    """The other end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.websocket = ServerWebSocket(max_message_bytes=1_000_000)
        self.heard: list[WsEvent] = []

    async def receive(self) -> bool:
        """Read once, and answer what WebSocket answers by itself; False at the end of the stream."""
        data = await self.stream.receive_some(65_536)
        self.heard += self.websocket.receive(bytes(data))
        if answer := self.websocket.to_send():
            await self.stream.send_all(answer)
        return bool(data)

    async def next(self) -> WsEvent:
        """Give the next thing heard.  Raises BrokenResourceError when the proxy has closed the connection."""
        while not self.heard:
            if not await self.receive():
                raise trio.BrokenResourceError("the proxy closed the connection")
        return self.heard.pop(0)

    async def until_end(self) -> list[WsEvent]:
        """Read to the end of the stream; give all that was heard."""
        while await self.receive():
            pass
        return self.heard

    async def asked(self) -> UpgradeRequest:
        """Read the request."""
        request = await self.next()
        assert isinstance(request, UpgradeRequest)
        return request

    async def accept(self) -> str:
        """Take the call; give its start."""
        await self.asked()
        self.websocket.accept(None)
        await self.flush()
        start = await self.next()
        assert isinstance(start, TextMessage)
        return start.text

    def put(self, *messages: str | bytes) -> None:
        """Have messages ready, which `flush` sends in one piece."""
        for message in messages:
            if isinstance(message, str):
                self.websocket.send_text(message)
            else:
                self.websocket.send_binary(message)

    async def flush(self) -> None:
        await self.stream.send_all(self.websocket.to_send())

    async def send(self, *messages: str | bytes) -> None:
        self.put(*messages)
        await self.flush()

    async def close(self, code: int = 1000) -> None:
        """Begin the closing handshake."""
        self.websocket.close(code)
        await self.flush()


class Watched(trio.abc.Stream):
    """Our end of a connection, which knows whether it was closed and what was written, a piece each."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.closed = False
        self.writes: list[bytes] = []
        self.broken = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.broken:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("broken pipe")
        self.writes.append(bytes(data))
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.closed = True
        await self._stream.aclose()


class Network:
    """Makes connections in memory; `lockstep` ones hold a writer until the other side has read everything."""

    def __init__(self, *, lockstep: bool = False) -> None:
        self._pair = lockstep_stream_pair if lockstep else memory_stream_pair
        self.streams: list[Watched] = []
        self._dialled, self._waiting = trio.open_memory_channel[Backend](10)

    async def open_stream(self) -> trio.abc.Stream:
        """What a Dialer is given."""
        await trio.lowlevel.checkpoint()
        ours, theirs = self._pair()
        self.streams.append(Watched(ours))
        self._dialled.send_nowait(Backend(theirs))
        return self.streams[-1]

    async def backend(self) -> Backend:
        """The other end of the next connection."""
        return await self._waiting.receive()

    @property
    def open_streams(self) -> int:
        """How many of our ends are not closed."""
        return sum(not stream.closed for stream in self.streams)


def dialer(network: Network, *, attempts: int = 1, timeout_seconds: float = 2.0) -> Dialer:
    return Dialer(ADDRESS, network.open_stream, attempts=attempts, timeout_seconds=timeout_seconds)


class Calling:
    """A network, a route over it, and one sink: what most tests need."""

    def __init__(self, *, lockstep: bool = False, queue_frames: int = 5, header: bool = False) -> None:
        self.network = Network(lockstep=lockstep)
        self.sink = RecordingSink()
        self.route = BackendRoute(
            "support",
            dialer(self.network),
            lambda start: RawDialect(start, header=header),
            queue_frames=queue_frames,
        )

    def connect(self, start: CallStart = START, sink: CallSink | None = None) -> AbstractAsyncContextManager[Leg]:
        return self.route.connect(start, sink or self.sink)

    async def accepted(self) -> Backend:
        """The backend of the next call, which takes it."""
        backend = await self.network.backend()
        await backend.accept()
        return backend
