"""A server for tests of the client: the proxy's own TLS, WebSocket and voice session, without input or output.

A test sets what it does wrong.  `Talk` lets a client's machine and this server exchange bytes, cut in any way.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import msgspec

from sottovoce.client.machine import CallMachine
from sottovoce.client.settings import CallOptions, CallSettings, settings_for
from sottovoce.primitives import Secret, SystemKem
from sottovoce.session import (
    BINDING_TLS_EXPORTER,
    Anchor,
    Carriage,
    CredentialShown,
    Ended,
    Event,
    SealedTicket,
    ServerConfig,
    ServerDependencies,
    ServerSession,
    SignatureWanted,
    TicketBox,
    TicketState,
)
from sottovoce.transport import (
    PeerClosed,
    ServerWebSocket,
    TlsContext,
    TlsCore,
    TlsError,
    UpgradeRequest,
    WsEvent,
)
from sottovoce.wire import MAX_TRANSPORT_MESSAGE_BYTES
from tests.session.dialogue import CountingEntropy, Credentials, Serving, dependencies, give_proof
from tests.session.keys import WALL, Keys, anchor_keys, anchor_of, issue, serving_keys
from tests.transport import ends
from tests.transport.certificates import authority

URL = "wss://localhost:8443/echo"
FRAME = bytes(range(256)) * 2 + bytes(128)
"""20 ms at 16 kHz."""


@cache
def anchors(*hosts: str) -> tuple[Anchor, ...]:
    return (anchor_of(anchor_keys(), hosts or ("localhost",)),)


@cache
def voice_certificate(*hosts: str) -> bytes:
    return issue(anchor_keys(), serving_keys(), authorities=hosts or ("localhost",))


def accept_value(key: str) -> str:
    """What Sec-WebSocket-Accept has to be (RFC 6455 §4.2.2)."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324  as the RFC has it
    return base64.b64encode(digest).decode()


class Box:
    """Tickets that are nothing but numbers; `opened` tells how many were offered, and known."""

    def __init__(self, lifetime_seconds: int = 3600) -> None:
        self.lifetime_seconds = lifetime_seconds
        self.states: dict[bytes, TicketState] = {}
        self.spent: list[bytes] = []
        self.offered: list[bytes] = []

    def seal(self, state: TicketState, wall: float) -> SealedTicket:
        ticket = secrets.token_bytes(32)
        psk = Secret("psk", bytes(state.psk.expose()))
        self.states[ticket] = msgspec.structs.replace(state, psk=psk)
        return SealedTicket(ticket, self.lifetime_seconds)

    def open(self, ticket: bytes, authority: bytes, path: bytes, wall: float) -> TicketState | None:
        self.offered.append(ticket)
        state = self.states.get(ticket)
        if state is None or (state.authority, state.path) != (authority, path):
            return None
        return msgspec.structs.replace(state, psk=Secret("psk", bytes(state.psk.expose())))

    def spend(self, ticket: bytes) -> bool:
        if ticket in self.spent:
            return False
        self.spent.append(ticket)
        return True


class PureServer:
    """One connection's server.  What arrives is in `plaintext`, `audio` and `events`; with `echo` audio goes back."""

    def __init__(  # noqa: PLR0913  each is something to get wrong
        self,
        *,
        config: ServerConfig | None = None,
        credentials: Credentials | None = None,
        tls: TlsContext | None = None,
        answer: Callable[[ServerWebSocket], None] | None = None,
        response: Callable[[str], bytes] | None = None,
        certificate: bytes | None = None,
        keys: Keys | None = None,
        echo: bool = False,
        signs: bool = True,
        closes: bool = True,
        more_after: int | None = None,
        tickets: TicketBox | None = None,
    ) -> None:
        self.tls = TlsCore(tls or ends.server())
        self.websocket = ServerWebSocket(max_message_bytes=MAX_TRANSPORT_MESSAGE_BYTES)
        self.session: ServerSession | None = None
        self.config = config or ServerConfig()
        self.credentials = credentials or Credentials()
        self.answer = answer
        self.response = response
        self.serving = Serving(certificate or voice_certificate())
        self.keys = keys or serving_keys()
        self.echo = echo
        self.signs = signs
        self.closes = closes
        self.more_after = more_after
        self.tickets = tickets
        self.request: UpgradeRequest | None = None
        self.audio: list[bytes] = []
        self.events: list[Event] = []
        self.carriage: list[WsEvent | TlsError] = []
        self.plaintext = bytearray()
        self.now = 0.0

    def receive(self, data: bytes, now: float) -> None:
        self.now = now
        try:
            plaintext = self.tls.receive(data)
        except TlsError as error:
            self.carriage.append(error)
            return
        if not plaintext:
            return
        self.plaintext += plaintext
        if self.request is not None and self.response is not None:
            return
        for event in self.websocket.receive(plaintext):
            self._take(event)

    def _take(self, event: WsEvent) -> None:
        match event:
            case UpgradeRequest():
                self.request = event
                self._upgrade(event)
            case bytes() if self.session is not None:
                payload = self.session.open_audio(event, self.now)
                if payload is not None:
                    self.audio.append(payload)
                    if self.echo:
                        self.say(payload[1:])
                    if len(self.audio) == self.more_after:
                        self.say(b"more")
                self.settle(self.session.events())
            case PeerClosed(code=code) if self.session is not None:
                self.carriage.append(event)
                self.settle(self.session.carriage_ended(code))
            case _:
                self.carriage.append(event)

    def _upgrade(self, request: UpgradeRequest) -> None:
        if self.response is not None:
            (key,) = request.header("sec-websocket-key")
            self.tls.send(self.response(accept_value(key)))
            return
        if self.answer is not None:
            self.answer(self.websocket)
        else:
            self.websocket.accept("sottovoce.v1")
        carriage = Carriage(
            BINDING_TLS_EXPORTER,
            self.tls.exporter(),
            request.authority,
            request.target,
            peer_certificate=self.tls.peer_certificate_der(),
        )
        parts = ServerDependencies(
            kem=SystemKem(),
            entropy=CountingEntropy(b"s"),
            serving=self.serving,
            credentials=self.credentials,
            tickets=self.tickets,
        )
        self.session = ServerSession(self.config, carriage, parts, self.now, WALL + self.now)

    def say(self, frame: bytes, **how: Any) -> None:
        """Send a frame of audio."""
        assert self.session is not None
        if self.session.slot_milliseconds:
            assert self.session.send_audio(frame, self.now, **how)
            return
        record = self.session.seal_audio(frame, self.now, **how)
        assert record is not None
        self.websocket.send_binary(record)

    def settle(self, happened: Iterable[Event] = ()) -> None:
        """Do what follows from a call of the session."""
        session = self.session
        assert session is not None
        for event in happened:
            self.events.append(event)
            if isinstance(event, SignatureWanted) and self.signs:
                give_proof(session, event, self.keys, self.now)
            if isinstance(event, CredentialShown):
                session.provide_verdict(event.shown, self.credentials.judge(event.shown), self.now)
                self.settle(session.events())
        for record in session.to_send():
            if self.websocket.is_open:
                self.websocket.send_binary(record)
        end = self.ended
        if end is not None and end.local and self.closes:
            self.websocket.close(end.code)

    def at(self, now: float) -> None:
        """Do what is due."""
        self.now = now
        if self.session is not None:
            self.settle(self.session.on_deadline(now))

    def end(self, code: int) -> None:
        """End the call."""
        assert self.session is not None
        self.session.close(code, self.now)
        self.settle(self.session.events())

    def close_tls(self) -> None:
        """Say close_notify behind all that was queued."""
        self.to_tls()
        self.tls.close()

    def to_tls(self) -> None:
        if self.tls.handshake_complete and self.tls.failure is None and (data := self.websocket.to_send()):
            self.tls.send(data)

    def to_send(self) -> bytes:
        self.to_tls()
        return self.tls.to_send()

    @property
    def ended(self) -> Ended | None:
        return next((event for event in self.events if isinstance(event, Ended)), None)


def settings(url: str = URL, **options: Any) -> CallSettings:
    """A client's settings that suit the server."""
    return settings_for(url, CallOptions(**{"anchor": anchors(), "ca": authority().pem, **options}))


class Talk:
    """A client's machine and a server, and what each has said."""

    def __init__(
        self,
        server: PureServer | None = None,
        client: CallSettings | None = None,
        *,
        cut: ends.Cut = ends.whole,
        stops_after: int | None = None,
    ) -> None:
        """The network cuts what it carries, and carries nothing more to the client after so many bytes."""
        self.now = 0.0
        self.server = server or PureServer()
        self.machine = CallMachine(client or settings(), dependencies(b"c"), 0.0, WALL, connect_by=10.0)
        self.cut = cut
        self.stops_after = stops_after
        self.from_client = bytearray()
        self.from_server = bytearray()

    def run(self) -> "Talk":
        """Carry bytes until nobody has any."""
        while True:
            forth = self.machine.to_send()
            self.from_client += forth
            for piece in self.cut(forth):
                self.server.receive(piece, self.now)
            back = self.server.to_send()
            if self.stops_after is not None:
                back = back[: self.stops_after - len(self.from_server)]
            self.from_server += back
            for piece in self.cut(back):
                self.machine.receive(piece, self.now)
            if not forth and not back:
                return self

    def at(self, now: float) -> "Talk":
        """Let the clock run to `now`, and both do what is due."""
        self.now = now
        self.machine.on_deadline(now)
        self.server.at(now)
        return self.run()
