"""A flow with everything around it: a client that talks over TLS and WebSocket, a session, an ear, a user."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from sottovoce.plane import CallFlow, Client, Plane, PortablePlane
from sottovoce.session import Event, Heartbeat, ServerSession, SignatureWanted
from sottovoce.transport import ClientWebSocket, ServerWebSocket, TlsStream, UpgradeAccepted, WsEvent
from tests.edge.proxy import TrioClock
from tests.session.dialogue import Pair, give_proof, serving_keys, talking
from tests.transport.lines.ends import settle, transports
from tests.transport.streams import shaken

PATIENCE_SECONDS = 10.0
QUEUE_FRAMES = 3

MakePlane = Callable[[TrioClock], Plane]
PLANES: dict[str, MakePlane] = {"portable": PortablePlane}
"""Each must do the same."""


class Call:
    """The user and the ear: keeps what it was told, and does what every call does."""

    def __init__(self, session: ServerSession) -> None:
        self.session = session
        self.flow: CallFlow | None = None
        self.events: list[Event] = []
        self.arrivals: list[WsEvent] = []
        self.heard: list[bytes] = []
        self.told: list[str] = []
        self.error: Exception | None = None
        self.on_audio: Callable[[bytes], object] = self.heard.append
        self.flushes = 0

    # The user.

    def arrived(self, events: Sequence[WsEvent]) -> None:
        self.arrivals += events

    def settle(self) -> None:
        assert self.flow is not None
        self.flow.rekey()
        for event in self.session.events():
            self.events.append(event)
            if isinstance(event, SignatureWanted):
                give_proof(self.session, event, serving_keys(), trio.current_time())
                self.settle()
        self.flow.flush()

    def made_room(self) -> None:
        self.told.append("made room")

    def falls_due(self, retry_at: float | None) -> None:
        self.told.append("falls due" if retry_at is None else "again")

    def connection_lost(self) -> None:
        self.told.append("lost")

    def crashed(self, error: Exception) -> None:
        self.error = error

    # The ear.

    def audio(self, payload: bytes, lost_before: int) -> None:
        assert lost_before == 0
        self.on_audio(payload)

    def flush(self) -> None:
        self.flushes += 1


class Scene:
    """A call that has been agreed on, and its client."""

    def __init__(self, peer: TlsStream, websocket: ClientWebSocket, pair: Pair, flow: CallFlow, call: Call) -> None:
        self.peer, self.websocket, self.pair, self.flow, self.call = peer, websocket, pair, flow, call

    def speak(self, *messages: bytes) -> None:
        """Have the client say something with its next `send`."""
        for message in messages:
            self.websocket.send_binary(message)

    def seal(self, number: int) -> bytes:
        """Give a frame of the client's."""
        record = self.pair.client.seal_audio(frame(number), trio.current_time())
        assert record is not None
        return record

    async def send(self, size: int | None = None) -> None:
        """Send what the client has said, in pieces of a size."""
        data = self.websocket.to_send()
        for start in range(0, len(data), size or max(1, len(data))):
            await self.peer.send_all(data[start : start + (size or len(data))])
        await settle()

    async def read(self, seconds: float = 1) -> list[object]:
        """What the client hears in some seconds: codec bytes of audio, events of its session and its WebSocket."""
        told: list[object] = []
        with trio.move_on_after(seconds):
            while data := await self.peer.receive_some():
                for event in self.websocket.receive(data):
                    told += self.hear(event) if isinstance(event, bytes) else [event]
        return told

    def hear(self, record: bytes) -> list[object]:
        payload = self.pair.client.open_audio(record, trio.current_time())
        return list(self.pair.client.events()) if payload is None else [payload[1:]]


def frame(number: int) -> bytes:
    """A frame's codec bytes."""
    return number.to_bytes(2) * 80


@asynccontextmanager
async def scene(make_plane: MakePlane, kind: str = "memory", **config: object) -> AsyncGenerator[Scene]:
    """A flow that is begun and has its ear, behind a handshake, over streams of a kind (`transports`)."""
    theirs, ours = await transports(kind)
    peer, stream = await shaken((theirs, ours))
    client = ClientWebSocket("localhost:8443", "/", max_message_bytes=70_000)
    server = ServerWebSocket(max_message_bytes=70_000)
    client.request()
    server.receive(client.to_send())
    server.accept(None)
    pair = talking(**config).at(trio.current_time())
    call = Call(pair.server)
    heartbeat = Heartbeat(20, trio.current_time())
    handed_over = Client(stream, server, PATIENCE_SECONDS, QUEUE_FRAMES, heartbeat)
    call.flow = flow = make_plane(TrioClock()).add(handed_over, pair.server, call)
    flow.resume()
    flow.flush()
    there = Scene(peer, client, pair, flow, call)
    (accepted,) = await there.read()
    assert isinstance(accepted, UpgradeAccepted)
    await settle()
    flow.ear = call
    flow.rekey()
    pair.server.events()
    call.told.clear()
    yield there
    await flow.drop()
    await trio.aclose_forcefully(stream)
    await trio.aclose_forcefully(peer)
