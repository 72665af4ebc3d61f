"""One of our machines meeting a foreign peer: the handshake done, then whatever the test lets the peer say."""

from collections.abc import Callable
from typing import Any

from sottovoce.primitives import Suite
from sottovoce.session import LeafKind
from sottovoce.session.config import Carriage, ServerConfig
from sottovoce.session.events import Ended, Event, SignatureWanted
from sottovoce.session.session import Session
from tests.session.dialogue import (
    CARRIAGE,
    Box,
    Credentials,
    Serving,
    client_config,
    give_proof,
    make_client,
    make_server,
    replacing,
)
from tests.session.foreign import ForeignClient, ForeignServer
from tests.session.foreign_bytes import HANDSHAKE, SWITCH, Chain, message, u
from tests.session.keys import WALL, serving_keys


class Meeting:
    """`say` a frame to our machine, `hear` what it sends; `out` and `into` are the peer's chains."""

    ours: Session
    out: Chain
    into: Chain

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[Event] = []
        self.wanted: list[SignatureWanted] = []
        self.raw: list[bytes] = []

    def take(self, record: bytes) -> list[Event]:
        """Hand a record to our machine."""
        events = self.ours.receive(record, self.now)
        self.events += events
        self.wanted += [event for event in events if isinstance(event, SignatureWanted)]
        return events

    def say(self, frame_type: int, payload: bytes = b"", padding: int = 0) -> list[Event]:
        """Seal a frame as the next record and hand it over."""
        return self.take(self.out.seal(payload + u(frame_type, 1) + bytes(padding)))

    def hear(self) -> list[tuple[int, bytes]]:
        """(frame type, payload) of what our machine sends now."""
        records = self.ours.to_send()
        self.raw += records
        return [self.read(record) for record in records]

    def read(self, record: bytes) -> tuple[int, bytes]:
        plaintext = self.into.open(record).rstrip(b"\0")
        if plaintext[-1] == SWITCH:
            self.into = self.next_into()
        return plaintext[-1], plaintext[:-1]

    def next_into(self) -> Chain:
        raise NotImplementedError

    def at(self, now: float) -> list[Event]:
        """Let the clock run to `now` and our machine do what is due."""
        self.now = now
        events = self.ours.on_deadline(now)
        self.events += events
        return events


class AtServer(Meeting):
    """Our server and a foreign client."""

    def __init__(  # noqa: PLR0913  what a server is made of
        self,
        *,
        serving: Serving | None = None,
        credentials: Credentials | None = None,
        client: dict[str, Any] | None = None,
        tickets: Box | None = None,
        carriage: Carriage = CARRIAGE,
        wall: float = WALL,
        established: bool = True,
        **config: Any,
    ) -> None:
        super().__init__()
        self.credentials = credentials or Credentials()
        self.server = make_server(
            ServerConfig(**config), carriage, serving=serving, credentials=self.credentials, tickets=tickets, wall=wall
        )
        self.ours = self.server
        self.peer = ForeignClient(**(client or {}))
        self.keys = serving_keys()
        if established:
            self.until_flight()
            self.take(self.peer.flight())
            self.out, self.into = self.peer.up, self.peer.down

    def prove(self) -> None:
        """Sign what was asked for last."""
        wanted = self.wanted[-1]
        give_proof(self.server, wanted, self.keys, self.now)

    def until_flight(self) -> None:
        """Up to the client's flight, without it."""
        self.take(self.peer.hello())
        if self.wanted:
            self.prove()
        hello, flight = self.server.to_send()
        self.peer.server_hello(hello)
        self.peer.server_flight(flight)

    def next_into(self) -> Chain:
        return self.peer.chain("s2c")

    def init(self, **changes: Any) -> list[Event]:
        """Send a RekeyInit."""
        return self.say(HANDSHAKE, self.peer.rekey_init(**changes))

    def answered(self) -> list[tuple[int, bytes]]:
        """Init, signature, answer: up to the point where the client switches.  Gives what was heard."""
        self.init()
        if self.wanted[-1].kind is LeafKind.REKEY_VERIFY:
            self.prove()
        heard = self.hear()
        self.peer.rekey_response(heard[-1][1])
        return heard

    def switch(self) -> list[Event]:
        """Say `switch`; from here on the client seals under the new epoch."""
        events = self.say(SWITCH, u(self.peer.epoch, 4))
        self.out = self.peer.chain("c2s")
        return events


class AtClient(Meeting):
    """Our client and a foreign server."""

    def __init__(
        self,
        *,
        server: dict[str, Any] | None = None,
        established: bool = True,
        carriage: Carriage = CARRIAGE,
        now: float = 0.0,
        wall: float = WALL,
        **config: Any,
    ) -> None:
        super().__init__()
        self.now = now
        self.client = make_client(client_config(**config), carriage, now=now, wall=wall)
        self.ours = self.client
        self.peer = ForeignServer(**(server or {}))
        self.peer.take_hello(self.client.to_send()[0])
        if established:
            self.take(self.peer.hello())
            self.take(self.peer.flight())
            (flight,) = self.client.to_send()
            self.peer.client_flight(flight)
            self.out, self.into = self.peer.down, self.peer.up

    def next_into(self) -> Chain:
        return self.peer.chain("c2s")

    def init(self) -> bytes:
        """Let the client begin its root step at its own moment; gives its RekeyInit."""
        due = self.client.next_deadline()
        assert due is not None
        self.at(due)
        ((frame_type, payload),) = self.hear()
        assert frame_type == HANDSHAKE
        return payload

    def answer(self, **options: Any) -> list[Event]:
        """A whole step up to the client's switch, which is heard."""
        return self.say(HANDSHAKE, self.peer.rekey_answer(self.init(), **options))

    def switch(self) -> list[Event]:
        """Say `switch`; from here on the server seals under the new epoch."""
        events = self.say(SWITCH, u(self.peer.epoch, 4))
        self.out = self.peer.chain("s2c")
        return events


def end_of(meeting: Meeting) -> Ended | None:
    """How our machine ended, or None while it goes on."""
    return next((event for event in meeting.events if isinstance(event, Ended)), None)


def code_of(meeting: Meeting) -> int | None:
    """The code that our machine ended with by itself, or None while it goes on."""
    end = end_of(meeting)
    assert end is None or end.local
    return None if end is None else end.code


Change = Callable[[bytes], bytes]


def judged_by_server(name: str, change: Change, **config: Any) -> int | None:
    """What our server ends with when the client's message `name` is changed; None when it goes on."""
    client: dict[str, Any] = {"edit": replacing(name, change)}
    if name == "second ClientHello":
        client["shares"] = ()
    meeting = AtServer(established=False, client=client, **config)
    peer = meeting.peer
    meeting.take(peer.hello())
    if name == "second ClientHello":
        meeting.take(peer.retry(meeting.ours.to_send()[0]))
    if code_of(meeting) is not None or not meeting.wanted:
        return code_of(meeting)  # refused, or asked for another share
    meeting.prove()
    hello, flight = meeting.ours.to_send()
    peer.server_hello(hello)
    peer.server_flight(flight)
    meeting.take(peer.flight())
    if code_of(meeting) is None and name == "RekeyInit":
        meeting.out = peer.up
        meeting.say(HANDSHAKE, change(peer.rekey_init()))
    return code_of(meeting)


def judged_by_client(name: str, change: Change, **config: Any) -> int | None:
    """What our client ends with when the server's message `name` is changed; None when it goes on."""
    server: dict[str, Any] = {"edit": replacing(name, change)}
    if name == "HelloRetry":
        server["suite"] = 0x0101
        config["suites"] = (Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM)
    meeting = AtClient(established=False, server=server, **config)
    peer = meeting.peer
    if name == "HelloRetry":
        meeting.take(peer.retry(0x11ED))
        if code_of(meeting) is not None:
            return code_of(meeting)
        peer.take_hello(meeting.ours.to_send()[0])
    meeting.take(peer.hello())
    if code_of(meeting) is None:
        meeting.take(peer.flight())
    if code_of(meeting) is not None:
        assert meeting.ours.to_send() == [], "no credential leaves before everything was verified"
        return code_of(meeting)
    peer.client_flight(meeting.ours.to_send()[0])
    meeting.out, meeting.into = peer.down, peer.up
    if name in {"RekeyResponse", "RekeyVerify"}:
        meeting.answer()
    elif name == "RekeyRequest":
        meeting.say(HANDSHAKE, change(message(16)))
    elif name == "NewTicket":
        meeting.say(HANDSHAKE, change(message(15, t1=u(60, 4), t2=b"a ticket")))
    return code_of(meeting)


FROM_CLIENT = ("ClientHello", "second ClientHello", "ClientParams", "ClientCredential", "ClientFinished", "RekeyInit")
FROM_SERVER = (
    "HelloRetry", "ServerHello", "ServerParams", "ServerCertificate", "ServerVerify", "ServerFinished",
    "RekeyResponse", "RekeyVerify", "RekeyRequest", "NewTicket",
)  # fmt: skip


def judged(name: str, change: Change, **config: Any) -> int | None:
    """What the machine that gets message `name` ends with when it is changed; None when it goes on."""
    return (judged_by_server if name in FROM_CLIENT else judged_by_client)(name, change, **config)
