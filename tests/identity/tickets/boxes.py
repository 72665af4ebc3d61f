"""Ticket boxes over a token in memory, clocks that a test sets, and states to seal."""

import os

import msgspec
import trio
from hypothesis import strategies as st

from sottovoce.hsm import HsmError, OperationRefused, SealedSeedInvalid, WrappedKey
from sottovoce.identity import RecordsHere, TicketKeyEvent, TicketKeys, Tickets
from sottovoce.identity.tickets import NewTicketKey, OpenedTicketKey, OpenTicketKey, UsedTickets, WrappedTicketKey
from sottovoce.identity.tickets.key import TicketKey
from sottovoce.primitives import Cipher, OpenFailed, Secret, Suite, open_once, seal_once
from sottovoce.session import Identity, TicketState
from sottovoce.transport import Clock, SystemEntropy
from tests.pki.fake_token import FakePool, FakeToken

WALL = 1_800_000_000.0
HOUR, DAY = 3_600, 86_400
AUTHORITY, PATH = b"voice.example.com", b"/echo"


class HandClock:
    """Two clocks that go only when told."""

    def __init__(self) -> None:
        self.monotonic = 1_000.0
        self.calendar = WALL

    def now(self) -> float:
        return self.monotonic

    def wall(self) -> float:
        return self.calendar

    def pass_by(self, seconds: float) -> None:
        self.monotonic += seconds
        self.calendar += seconds


class SoftwareToken:
    """Answers as the token process does, with its KEK in memory; remembers what it gave out."""

    def __init__(self) -> None:
        self.kek = Secret("kek", os.urandom(32))
        self.opened: list[Secret] = []
        self.failure: HsmError | None = None
        self.fails_to_open = False
        self.fixed_serial: bytes | None = None

    async def answer(self, question: msgspec.Struct) -> msgspec.Struct:
        await trio.sleep(0.05)
        if self.failure is not None:
            raise self.failure
        match question:
            case NewTicketKey():
                return WrappedTicketKey(self._wrapped())
            case OpenTicketKey(wrapped) if not self.fails_to_open:
                return OpenedTicketKey(self._open(wrapped))
            case _:
                raise OperationRefused("not so")

    def _wrapped(self) -> WrappedKey:
        blank = WrappedKey(
            purpose="ticket", serial=self.fixed_serial or os.urandom(16), nonce=os.urandom(12), sealed=b""
        )
        nonce = Secret("nonce", blank.nonce)
        sealed = seal_once(Cipher.AES_256_GCM, self.kek, nonce, os.urandom(32), blank.associated_data)
        return msgspec.structs.replace(blank, sealed=sealed)

    def _open(self, wrapped: WrappedKey) -> Secret:
        nonce = Secret("nonce", wrapped.nonce)
        try:
            key = open_once(Cipher.AES_256_GCM, self.kek, nonce, wrapped.sealed, wrapped.associated_data)
        except OpenFailed:
            raise SealedSeedInvalid("it does not open") from None
        self.opened.append(Secret.take("ticket key", key))
        return self.opened[-1]


class Desk:
    """A box and the maker of its keys, their token (or several) and clock, and what they reported."""

    def __init__(self, clock: HandClock | None = None, pool: FakePool | None = None) -> None:
        self.clock = clock or HandClock()
        self.software = SoftwareToken()
        self.token = pool or FakeToken(self.software.answer)
        self.events: list[TicketKeyEvent] = []
        self.records = RecordsHere()
        self.box = Tickets(
            self.token,
            records=self.records,
            report=self.events.append,
            clock=self.clock,
            entropy=SystemEntropy(),
        )
        self.maker = TicketKeys(
            self.token,
            records=self.records,
            admit=self.box.admit,
            told=self.box.told,
            report=self.events.append,
            clock=self.clock,
            entropy=SystemEntropy(),
        )

    @property
    def keys(self) -> list[TicketKey]:
        return list(self.box._keys.values())

    def record_of(self, key: TicketKey) -> UsedTickets:
        return self.records.of(key.id, key.living.place)

    def seal(self, state: TicketState | None = None) -> bytes | None:
        sealed = self.box.seal(state or state_of(self.clock), self.clock.wall())
        return None if sealed is None else sealed.ticket

    def sealed(self, state: TicketState | None = None) -> bytes:
        ticket = self.seal(state)
        assert ticket is not None
        return ticket

    def open(self, ticket: bytes, authority: bytes = AUTHORITY, path: bytes = PATH) -> TicketState | None:
        return self.box.open(ticket, authority, path, self.clock.wall())


def desk_with_key() -> Desk:
    """For synchronous tests."""
    desk = Desk()
    trio.run(desk.maker.first)
    return desk


def state_of(clock: Clock, **changes: object) -> TicketState:
    """A state that was verified just now and ends in a week."""
    state = TicketState(
        psk=Secret("res", os.urandom(48)),
        suite=Suite.X25519MLKEM768_AES256GCM,
        binding_type=1,
        authority=AUTHORITY,
        path=PATH,
        anchor_id=bytes(range(48)),
        certificate_sha384=bytes(range(48, 96)),
        certificate_not_after=int(clock.wall()) + 7 * DAY,
        identity=Identity("alice", None, 1, "token:1f0c"),
        peer_certificate_sha256=b"",
        verified_at=clock.wall(),
        reauthenticate_every=4,
    )
    return msgspec.structs.replace(state, **changes)


IDENTITIES = st.builds(
    Identity,
    name=st.text(max_size=60),
    expires_at=st.none() | st.floats(WALL + 60, WALL + DAY),
    kind=st.integers(0, 3),
    credential=st.text(max_size=40),
)
STATES = st.builds(
    TicketState,
    psk=st.binary(min_size=48, max_size=48).map(lambda value: Secret("res", value)),
    suite=st.sampled_from(Suite),
    binding_type=st.integers(0, 2),
    authority=st.binary(max_size=80),
    path=st.binary(max_size=300),
    anchor_id=st.binary(min_size=48, max_size=48),
    certificate_sha384=st.binary(min_size=48, max_size=48),
    certificate_not_after=st.integers(int(WALL) + 60, int(WALL) + DAY),
    identity=IDENTITIES,
    peer_certificate_sha256=st.sampled_from([b"", bytes(32)]),
    verified_at=st.floats(WALL - DAY + 60, WALL),
    reauthenticate_every=st.integers(0, 255),
)
