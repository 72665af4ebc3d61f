"""The edge in memory: real TLS over Trio's memory streams, the real session machines, a signer with the tests' keys.

`Peer` is a client by hand: it does what a test says, in whatever order, and keeps what it heard.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import trio

from sottovoce.audit import AuditEvent, AuditFailed
from sottovoce.edge import EdgeServices, Journal, ServedRoute, VoiceCall, VoiceConfig, serve_connection
from sottovoce.hsm import HsmTimeout
from sottovoce.plane import PortablePlane
from sottovoce.primitives import SystemKem
from sottovoce.relay import CallEnd, CallSink, CallStart, Leg, LegStatistics, RouteConfig, build_route
from sottovoce.session import (
    Carriage,
    ClientConfig,
    ClientSession,
    Dependencies,
    LeafKind,
    ServedCertificate,
    ServerDependencies,
    SignatureWanted,
    Signed,
    events,
)
from sottovoce.transport import (
    ClientWebSocket,
    CurrentContext,
    PeerClosed,
    PqPolicy,
    TlsContext,
    TlsStream,
    UpgradeAccepted,
    WsFailed,
)
from sottovoce.wire import Codec
from tests.session.dialogue import CountingEntropy, Credentials, Serving
from tests.session.keys import WALL, anchor_keys, anchor_of, issue, prove, serving_keys
from tests.transport.ends import client as client_tls
from tests.transport.ends import server as server_tls

CLIENT = "192.0.2.7:50112"
AUTHORITY = "localhost:8443"


class TrioClock:
    """Trio's clock, which a test may let jump, behind the proxy's protocol."""

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return WALL


class Signer:
    """Signs at once, or after `seconds` if the deadline leaves them, or not while `error` is set; remembers it all."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.error: Exception | None = None
        self.asked: list[tuple[LeafKind, str]] = []
        self.deadlines: list[tuple[float, float]] = []

    async def sign(self, wanted: SignatureWanted, source: str, deadline: float) -> Signed:
        self.asked.append((wanted.kind, source))
        self.deadlines.append((trio.current_time(), deadline))
        with trio.move_on_at(deadline) as limit:
            await trio.sleep(self.seconds)
        if limit.cancelled_caught:
            raise HsmTimeout("no signature in time")
        if self.error is not None:
            raise self.error
        certificate = ServedCertificate.of(local_certificate())
        return Signed(certificate, prove(serving_keys(), wanted.kind, wanted.leaf_under(certificate)))


class Log:
    """Keeps log events and audit events."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.audit: list[AuditEvent] = []
        self.failure: AuditFailed | None = None

    def debug(self, event: str, /, **fields: object) -> None:
        self.lines.append((event, fields))

    info = warning = error = debug

    def bind(self, **_fields: object) -> "Log":
        return self

    def note(self, event: AuditEvent) -> None:
        self.audit.append(event)

    async def settle(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.lines if event == name]


class RecordingLeg:
    """Keeps what the client said as tuples, in order, and how the call ended."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.end: CallEnd | None = None
        self.frames_to_backend = 0

    def audio(self, payload: bytes, lost_before: int) -> None:
        self.told.append(("audio", payload, lost_before))

    def data(self, data: bytes) -> None:
        self.told.append(("data", data))

    def dtmf(self, event: int, duration_ms: int) -> None:
        self.told.append(("dtmf", event, duration_ms))

    def mark_played(self, name: str) -> None:
        self.told.append(("mark", name))

    def mute(self, *, muted: bool) -> None:
        self.told.append(("mute", muted))

    def json(self, data: bytes) -> None:
        self.told.append(("json", data))

    def flush(self) -> None:
        """Nothing waits: it is kept as it comes."""

    def stop(self, end: CallEnd) -> None:
        assert self.end is None
        self.end = end

    @property
    def statistics(self) -> LegStatistics:
        return LegStatistics(
            frames_to_backend=self.frames_to_backend,
            frames_from_backend=0,
            frames_dropped_to_backend=0,
            frames_dropped_from_backend=0,
        )


class HandSink:
    """A call's sink for a backend by hand, which flushes behind each thing it says."""

    def __init__(self, sink: CallSink) -> None:
        self._sink = sink

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._sink, name)

        def say(*arguments: object, **named: object) -> object:
            answer = method(*arguments, **named)
            self._sink.flush()
            return answer

        return say


class RecordingRoute:
    """A backend by hand: keeps the leg and the sink of each call; may take its time, or be down."""

    codecs = frozenset(Codec)
    warnings: tuple[str, ...] = ()
    plaintext_network = False

    def __init__(self) -> None:
        self.name = "hand"
        self.starts: list[CallStart] = []
        self.legs: list[RecordingLeg] = []
        self.sinks: list[CallSink] = []
        self.seconds = 0.0
        self.error: Exception | None = None

    def connect(self, start: CallStart, sink: CallSink) -> AbstractAsyncContextManager[Leg]:
        return self._connect(start, sink)

    @asynccontextmanager
    async def _connect(self, start: CallStart, sink: CallSink) -> AsyncGenerator[Leg]:
        await trio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        leg = RecordingLeg()
        self.starts.append(start)
        self.legs.append(leg)
        self.sinks.append(cast("CallSink", HandSink(sink)))
        yield leg


class Proxy:
    """Serves connections in memory."""

    def __init__(
        self,
        voice: VoiceConfig | None = None,
        *,
        pq: PqPolicy = PqPolicy.PREFER,
        credentials: Credentials | None = None,
    ) -> None:
        self.log = Log()
        self.signer = Signer()
        self.credentials = credentials or Credentials()
        self.hand = RecordingRoute()
        self.calls: list[VoiceCall] = []
        self.agreements: list[int | None] = []
        served: dict[str, ServedRoute] = {
            "echo": ServedRoute(build_route("echo", RouteConfig(adapter="echo")), ("https://app.example.com",)),
            "hand": ServedRoute(self.hand),
        }
        self.services = EdgeServices(
            tls=CurrentContext(server_tls(pq)),
            routes=served,
            voice=voice or VoiceConfig(),
            credential_kinds=(0,),
            parts=ServerDependencies(
                SystemKem(), CountingEntropy(b"edge"), Serving(local_certificate()), self.credentials
            ),
            signer=self.signer,
            clock=TrioClock(),
            plane=PortablePlane(TrioClock()),
            journal=Journal(self.log, self.log),
        )

    def came(self, cut_off: Callable[[], None]) -> None:
        """Nobody cuts it off."""

    def started(self, call: VoiceCall) -> None:
        self.calls.append(call)

    def ended(self) -> None:
        """Nothing is to be done."""

    def agreed(self, code: int | None) -> None:
        self.agreements.append(code)

    def connect(self, nursery: trio.Nursery, *, handshake_seconds: float = 10.0) -> trio.abc.Stream:
        """Open a connection; give the client's end of it."""
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(self.serve, theirs, handshake_seconds)
        return ours

    async def serve(self, stream: trio.abc.Stream, handshake_seconds: float = 10.0) -> None:
        """Serve a connection."""
        await serve_connection(stream, self.services, CLIENT, handshake_seconds, self)

    @asynccontextmanager
    async def called(self, path: str = "/v1/voice/echo", **config: object) -> AsyncGenerator["Peer"]:
        """Run a call that has been agreed on."""
        async with trio.open_nursery() as nursery:
            peer = Peer(self.connect(nursery), path)
            await peer.open(**config)
            yield peer
            nursery.cancel_scope.cancel()


def local_certificate() -> bytes:
    """A voice certificate for localhost."""
    return issue(anchor_keys(), serving_keys(), authorities=("localhost",))


class Peer:
    """A client made of the pure machines, driven by hand."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        path: str = "/v1/voice/echo",
        *,
        subprotocol: str = "sottovoce.v1",
        context: TlsContext | None = None,
    ) -> None:
        self.path = path
        self.tls = TlsStream(stream, context or client_tls())
        self.websocket = ClientWebSocket(AUTHORITY, path, max_message_bytes=70_000, subprotocol=subprotocol)
        self.session: ClientSession | None = None
        self.clock = TrioClock()
        self.heard: list[events.Event] = []
        self.audio: list[bytes] = []
        self.closed: PeerClosed | None = None
        self.status: int | None = None
        self._arrived: deque[object] = deque()

    @property
    def voice(self) -> ClientSession:
        """The session, which is there."""
        assert self.session is not None
        return self.session

    async def upgrade(self) -> bool:
        """Ask for the WebSocket; false if it was refused (`status`)."""
        self.websocket.request()
        await self.tls.send_all(self.websocket.to_send())
        while True:
            data = await self.tls.receive_some()
            if not data:
                return False
            arrived = self.websocket.receive(data)
            for event in arrived:
                if isinstance(event, UpgradeAccepted):
                    self._arrived.extend(arrived[1:])
                    return True
                if isinstance(event, WsFailed):
                    self.status = event.status
                    return False

    def begin(self, **changes: object) -> None:
        """Make the session, whose ClientHello waits to be sent."""
        anchors = (anchor_of(anchor_keys(), ("localhost",)),)
        carriage = Carriage(1, self.tls.core.exporter(), AUTHORITY.encode(), self.path.encode())
        config = ClientConfig(anchors=anchors, **changes)  # type: ignore[arg-type]  # a test's choice
        self.session = ClientSession(
            config, carriage, Dependencies(SystemKem(), CountingEntropy(b"peer")), self.clock.now(), self.clock.wall()
        )

    async def open(self, **changes: object) -> None:
        """Do everything up to the established session."""
        assert await self.upgrade()
        self.begin(**changes)
        await self.flush()
        await self.until(lambda: self.voice.is_open or self.voice.has_ended)
        await self.flush()

    async def flush(self) -> None:
        """Write what the session wants written."""
        for record in self.voice.to_send():
            await self.send(record)

    async def send(self, record: bytes) -> None:
        """Write one binary message."""
        self.websocket.send_binary(record)
        await self.tls.send_all(self.websocket.to_send())

    async def say(self, frame: bytes, *, flags: int = 0, timestamp: int | None = None) -> None:
        """Seal and write one frame of audio."""
        await self.flush()
        record = self.voice.seal_audio(frame, self.clock.now(), flags=flags, timestamp=timestamp)
        assert record is not None
        await self.send(record)

    async def until(self, done: Callable[[], bool]) -> None:
        """Read, and answer what the session answers, until `done` or the connection's end."""
        while not done():
            while self._arrived and not done():
                self._take(self._arrived.popleft())
            if self.session is not None:
                await self.flush_if_open()
            if done() or self.closed is not None:
                return
            try:
                data = await self.tls.receive_some()
            except trio.BrokenResourceError:
                return
            if not data:
                return
            self._arrived.extend(self.websocket.receive(data))
            if answer := self.websocket.to_send():
                await self.tls.send_all(answer)

    async def flush_if_open(self) -> None:
        """Write what waits, if the WebSocket still takes it."""
        if self.websocket.is_open:
            await self.flush()

    async def hear_end(self) -> PeerClosed | None:
        """Read to the end of the connection; give the WebSocket's close."""
        await self.until(lambda: self.closed is not None)
        return self.closed

    async def close(self, code: int = 1000) -> None:
        """Hang up as the protocol says, and read to the end."""
        self.voice.close(code, self.clock.now())
        await self.flush()
        self.websocket.close(code)
        await self.tls.send_all(self.websocket.to_send())
        await self.hear_end()

    def _take(self, event: object) -> None:
        if isinstance(event, bytes) and self.session is not None:
            payload = self.session.open_audio(event, self.clock.now())
            if payload is not None:
                self.audio.append(payload)
            self.heard += self.session.events()
        elif isinstance(event, PeerClosed):
            self.closed = event
