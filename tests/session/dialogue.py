"""Two ends of a session in memory: keys, certificates, signing, and a pair of machines that talk to each other.

Keys are made once from fixed seeds.  A `Pair` carries records by hand, so a test can drop, change or hold any of them.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.primitives import MldsaSigner, PublicKey, Secret, SignatureAlgorithm, Signer, SystemKem
from sottovoce.session import (
    Anchor,
    CertificateFields,
    LeafKind,
    Proof,
    ServedCertificate,
    encode_certificate,
    merkle_tree,
    signed_root,
)
from sottovoce.session.client import ClientSession
from sottovoce.session.config import Carriage, ClientConfig, Dependencies, ServerConfig, ServerDependencies
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.events import Ended, Event, SignatureWanted
from sottovoce.session.server import ServerSession
from sottovoce.session.tickets import SealedTicket, TicketState
from sottovoce.wire import Code

WALL = 1_800_000_000.0
DAY = 86_400
HOST = "voice.example.com"
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


class P384Signer:
    """Signs `r ‖ s` with P-384 and SHA-384."""

    algorithm = SignatureAlgorithm.ECDSA_P384

    def __init__(self, number: int) -> None:
        self._key = ec.derive_private_key(number, ec.SECP384R1())
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = PublicKey(self.algorithm, point)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48) + s.to_bytes(48)


class Ed25519Signer:
    """Signs with Ed25519."""

    algorithm = SignatureAlgorithm.ED25519

    def __init__(self, seed: bytes) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = PublicKey(self.algorithm, self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class Keys:
    """A classical signer and, unless it is None, a post-quantum one."""

    def __init__(self, classical: Signer, pq: Signer | None) -> None:
        self.classical = classical
        self.pq = pq


def mldsa(algorithm: SignatureAlgorithm, fill: int) -> MldsaSigner:
    return MldsaSigner(algorithm, Secret("seed", bytes([fill]) * 32))


@cache
def anchor_keys() -> Keys:
    return Keys(P384Signer(0xA11CE), mldsa(SignatureAlgorithm.MLDSA87, 0xA1))


@cache
def classical_anchor_keys() -> Keys:
    return Keys(P384Signer(0xA11CE), None)


@cache
def other_anchor_keys() -> Keys:
    return Keys(P384Signer(0xB0B), mldsa(SignatureAlgorithm.MLDSA87, 0xB0))


@cache
def serving_keys() -> Keys:
    return Keys(P384Signer(0x5E21), mldsa(SignatureAlgorithm.MLDSA65, 0x5E))


@cache
def other_serving_keys() -> Keys:
    return Keys(P384Signer(0x5E22), mldsa(SignatureAlgorithm.MLDSA65, 0x5F))


def anchor_of(keys: Keys, authorities: tuple[str, ...] = (HOST,)) -> Anchor:
    return Anchor(authorities, keys.classical.public_key, keys.pq.public_key if keys.pq else None)


def fields_of(anchor: Keys, serving: Keys, **changes: Any) -> CertificateFields:
    """What a good certificate says, with changes."""
    fields = CertificateFields(
        serial=b"\x05" * 16,
        not_before=int(WALL) - DAY,
        not_after=int(WALL) + DAY,
        authorities=(HOST,),
        classical=serving.classical.public_key,
        pq=serving.pq.public_key if serving.pq else None,
        anchor_id=anchor_of(anchor).anchor_id,
    )
    return msgspec.structs.replace(fields, **changes)


def issue(anchor: Keys, serving: Keys, **changes: Any) -> bytes:
    """A certificate that `anchor` signs for `serving`."""
    fields = fields_of(anchor, serving, **changes)
    signed = fields.signed_bytes()
    pq = (anchor.pq.public_key.algorithm, anchor.pq.sign(signed)) if anchor.pq else None
    classical = anchor.classical
    return encode_certificate(fields, (classical.public_key.algorithm, classical.sign(signed)), pq)


@cache
def certificate() -> bytes:
    return issue(anchor_keys(), serving_keys())


def prove(serving: Keys, kind: LeafKind, leaf: bytes, others: Iterable[bytes] = ()) -> Proof:
    """Sign a batch of this leaf and `others`, and give this leaf's proof."""
    root, paths = merkle_tree([*others, leaf])
    signed = signed_root(kind, root)
    path, directions = paths[-1]
    return Proof(
        path=path,
        directions=directions,
        root=root,
        classical=serving.classical.sign(signed),
        pq=serving.pq.sign(signed) if serving.pq else None,
    )


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
