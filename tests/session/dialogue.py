"""Two ends of a session in memory: a pair of machines that talk to each other.

A `Pair` carries records by hand, so a test can drop, change or hold any of them.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes

from sottovoce.primitives import Secret, SystemKem
from sottovoce.session import (
    ServedCertificate,
)
from sottovoce.session.client import ClientSession
from sottovoce.session.config import Carriage, ClientConfig, Dependencies, ServerConfig, ServerDependencies
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.events import Ended, Event, SignatureWanted
from sottovoce.session.server import ServerSession
from sottovoce.session.tickets import SealedTicket, TicketState
from sottovoce.wire import Code
from tests.session.keys import WALL, Keys, anchor_keys, anchor_of, certificate, prove, serving_keys

CARRIAGE = Carriage(
    binding_type=1, binding=b"\xb1" * 32, authority=b"Voice.Example.com:8443", path=b"/v1/voice/echo?x=1"
)


class CountingEntropy:
    """Chance that a test can repeat: a stream of bytes that depends on the seed only."""

    def __init__(self, seed: bytes = b"entropy") -> None:
        self._seed = seed
        self._drawn = 0

    def random(self, length_bytes: int) -> bytes:
        self._drawn += 1
        digest = hashes.Hash(hashes.SHAKE256(max(length_bytes, 1)))
        digest.update(self._seed + self._drawn.to_bytes(8))
        return digest.finalize()[:length_bytes]


class Serving:
    """The certificates to serve under: of each anchor the one that came last.  A test may replace the current one."""

    def __init__(self, encoded: bytes | None = None) -> None:
        self.of_anchor: dict[bytes, ServedCertificate] = {}
        self.certificate = encoded or certificate()

    @property
    def certificate(self) -> bytes:
        return self.current.encoded

    @certificate.setter
    def certificate(self, encoded: bytes) -> None:
        self.current = ServedCertificate.of(encoded)
        self.of_anchor[self.current.anchor_id] = self.current

    def serves(self, anchor_id: bytes) -> bool:
        return anchor_id in self.of_anchor

    def under(self, anchor_id: bytes | None) -> ServedCertificate:
        return self.current if anchor_id is None else self.of_anchor[anchor_id]


def give_proof(  # noqa: PLR0913, PLR0917  a signer in one call
    session: ServerSession,
    wanted: SignatureWanted,
    keys: Keys,
    now: float,
    others: Iterable[bytes] = (),
    certificate: ServedCertificate | None = None,
) -> None:
    """Do what a signer does: choose a certificate, sign a batch that the leaf under it is in, and bring both."""
    chosen = certificate or signing_under(session, wanted)
    session.provide_proof(wanted, chosen, prove(keys, wanted.kind, wanted.leaf_under(chosen), others), now)


def signing_under(session: Any, wanted: SignatureWanted) -> ServedCertificate:
    """The certificate that `Serving` has for what a session wants."""
    return session._serving.under(wanted.anchor_id)


class Credentials:
    """Answers every check with `verdict` (None: it takes its time), and remembers what it was asked."""

    def __init__(self, verdict: Identity | Code | None = Identity("")) -> None:  # noqa: B008  frozen
        self.verdict = verdict
        self.asked: list[tuple[int, bytes, bytes, bytes]] = []
        self.shown: list[ShownCredential] = []
        self.withdrawn: set[str] = set()

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        value = bytes(memoryview(shown.value))  # a copy: the session overwrites the original
        self.asked.append((shown.kind, value, shown.authority, shown.path))
        self.shown.append(shown)
        return self.verdict

    def judge(self, shown: ShownCredential) -> Identity | Code:
        return self.check(shown) or Code.AUTH_FAILED

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        return identity.name not in self.withdrawn


MASK = bytes(byte ^ 0xA5 for byte in range(256))
NO_PSK = Secret.blank("psk", 0)


class Box:
    """Tickets of one node: what was sealed and what was used.  It leaves every limit to the session.

    A psk is kept under a mask: whoever searches the memory for secrets does not find it here.
    """

    def __init__(self, lifetime_seconds: int = 3_600) -> None:
        self.lifetime_seconds = lifetime_seconds
        self.states: dict[bytes, TicketState] = {}
        self.masked: dict[bytes, bytearray] = {}
        self.spent: list[bytes] = []

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        ticket = b"ticket %d" % len(self.states)
        self.states[ticket] = msgspec.structs.replace(state, psk=NO_PSK)
        self.masked[ticket] = state.psk.expose().translate(MASK)
        return SealedTicket(ticket, self.lifetime_seconds)

    def open(self, ticket: bytes, authority: bytes, path: bytes, wall: float) -> TicketState | None:
        if ticket not in self.states:
            return None
        psk = Secret.take("psk", bytes(self.masked[ticket].translate(MASK)))
        return msgspec.structs.replace(self.states[ticket], psk=psk)

    def spend(self, ticket: bytes) -> bool:
        is_first = ticket not in self.spent
        self.spent.append(ticket)
        return is_first


def dependencies(seed: bytes = b"entropy") -> Dependencies:
    return Dependencies(kem=SystemKem(), entropy=CountingEntropy(seed))


def make_server(  # noqa: PLR0913  what a server is made of
    config: ServerConfig | None = None,
    carriage: Carriage = CARRIAGE,
    *,
    serving: Serving | None = None,
    credentials: Credentials | None = None,
    tickets: Box | None = None,
    now: float = 0.0,
    wall: float = WALL,
) -> ServerSession:
    parts = ServerDependencies(
        kem=SystemKem(),
        entropy=CountingEntropy(b"s"),
        serving=serving or Serving(),
        credentials=credentials or Credentials(),
        tickets=tickets,
    )
    return ServerSession(config or ServerConfig(), carriage, parts, now, wall)


def client_config(**changes: Any) -> ClientConfig:
    return msgspec.structs.replace(ClientConfig(anchors=(anchor_of(anchor_keys()),)), **changes)


def make_client(
    config: ClientConfig | None = None, carriage: Carriage = CARRIAGE, *, now: float = 0.0, wall: float = WALL
) -> ClientSession:
    return ClientSession(config or client_config(), carriage, dependencies(b"c"), now, wall)


class Pair:
    """A client and a server, and what each has said so far."""

    def __init__(
        self,
        client: ClientSession | None = None,
        server: ServerSession | None = None,
        *,
        keys: Keys | None = None,
        now: float = 0.0,
    ) -> None:
        self.client = client or make_client(now=now)
        self.server = server or make_server(now=now)
        self.keys = keys or serving_keys()
        self.now = now
        self.client_events: list[Event] = []
        self.server_events: list[Event] = []
        self.from_client: list[bytes] = []
        self.from_server: list[bytes] = []
        self.signing = True
        self.wanted: list[SignatureWanted] = []

    def to_server(self, record: bytes) -> list[Event]:
        """Hand a record to the server; signs what it asks for."""
        return self._take_server(self.server.receive(record, self.now))

    def to_client(self, record: bytes) -> list[Event]:
        events = self.client.receive(record, self.now)
        self.client_events += events
        return events

    def _take_server(self, events: list[Event]) -> list[Event]:
        self.server_events += events
        for event in events:
            if isinstance(event, SignatureWanted):
                self.wanted.append(event)
                if self.signing:
                    self.sign(event)
        return events

    def sign(self, wanted: SignatureWanted) -> None:
        give_proof(self.server, wanted, self.keys, self.now)

    def client_records(self) -> list[bytes]:
        """What the client wants to write now."""
        records = self.client.to_send()
        self.from_client += records
        return records

    def server_records(self) -> list[bytes]:
        records = self.server.to_send()
        self.from_server += records
        return records

    def run(self) -> "Pair":
        """Carry records until nobody has any."""
        while True:
            upward = self.client_records()
            for record in upward:
                self.to_server(record)
            downward = self.server_records()
            for record in downward:
                self.to_client(record)
            if not upward and not downward:
                return self

    def at(self, now: float) -> "Pair":
        """Let both clocks run to `now`, without anything due in between being done."""
        self.now = now
        return self

    def tick(self, now: float) -> "Pair":
        """Let both clocks run to `now`, let both do what is due, and carry what they say."""
        self.now = now
        self._take_server(self.server.on_deadline(now))
        self.client_events += self.client.on_deadline(now)
        return self.run()

    def step(self) -> "Pair":
        """A whole root step, at the moment the client has chosen."""
        due = self.client.next_deadline()
        assert due is not None
        return self.tick(due)

    def voice(self, *, up: int = 0, down: int = 0) -> None:
        """Send so many audio frames and assert that each arrives."""
        for sender, receiver, count in ((self.client, self.server, up), (self.server, self.client, down)):
            for number in range(count):
                codec_bytes = number.to_bytes(2) * 80
                record = sender.seal_audio(codec_bytes, self.now)
                assert record is not None
                assert receiver.open_audio(record, self.now) == b"\0" + codec_bytes


def talking(**changes: Any) -> Pair:
    """A pair that has finished its handshake; keyword arguments are ServerConfig's."""
    return Pair(server=make_server(ServerConfig(**changes))).run()


def ended(events: Iterable[Event]) -> Ended:
    """The one `Ended`, which is the last event."""
    found = [event for event in events if isinstance(event, Ended)]
    assert len(found) == 1, f"{len(found)} ends"
    return found[0]


def code_of(events: Iterable[Event]) -> int:
    """The code of the one local end."""
    end = ended(events)
    assert end.local
    return end.code


def flipped(record: bytes, index: int, bit: int = 1) -> bytes:
    """A record with one bit turned."""
    return record[:index] + bytes([record[index] ^ bit]) + record[index + 1 :]


Edit = Callable[[str, bytes], bytes]
"""Given a message's name and its bytes, what is sent instead."""


def replacing(name: str, made: bytes | Callable[[bytes], bytes]) -> Edit:
    """Replace one message by other bytes, or by what a function makes of it."""

    def edit(which: str, message: bytes) -> bytes:
        if which != name:
            return message
        return made if isinstance(made, bytes) else made(message)

    return edit
