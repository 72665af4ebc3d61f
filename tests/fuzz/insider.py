"""One of our sessions and a peer who holds all the right keys and says whatever the input wants.

The peer is the foreign one of `tests/session`, so that nothing of `proxy/` helps to make what `proxy/` then reads.
Messages are changed before they enter transcript and mac, flights are rearranged, frames are sealed with correct tags:
this is the depth that changed ciphertext never reaches.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cryptography.exceptions import InvalidTag

from sottovoce.primitives import IllegalShare, Secret, Suite
from sottovoce.session import Credential, Identity, SignatureWanted
from sottovoce.wire import Code, Codec
from tests.fuzz.choices import Choices
from tests.fuzz.talk import End
from tests.fuzz.toy import toy_world
from tests.session.dialogue import Box, Credentials
from tests.session.foreign_bytes import GROUPS, HANDSHAKE, SWITCH, Chain, message, u
from tests.session.keys import Ed25519Signer
from tests.session.meeting import AtClient, AtServer
from tests.session.ticketing import PSK, earn, kept_ticket

PEER_IS_LOST = (InvalidTag, IllegalShare, AssertionError, LookupError, ValueError)
"""What the foreign peer raises when it does not understand an answer: it checks nothing and then falls over."""
_SUITES = tuple(Suite(number) for number in (0x0001, 0x0002, 0x0101))
_VALUES = (b"", b"\0", b"\1", b"\0\1", u(2, 4), bytes(16), bytes(48), b"{}", b"\xff" * 97)


class Insider:
    """The conversation; the roles differ in `shake_hands` and in what they know to say."""

    def __init__(self, choices: Choices, meeting: Any) -> None:
        self.choices = choices
        self.meeting = meeting
        self.end = End(meeting.ours)
        self.end.check()
        self.now = 0.0
        self.out: Chain | None = None
        self.sealed: list[bytes] = []

    def give(self, record: bytes) -> None:
        """Hand a record to our session."""
        arrived = self.end.receive(record, self.now)
        self.meeting.wanted += [event for event in arrived if isinstance(event, SignatureWanted)]

    def seal(self, plaintext: bytes) -> None:
        if self.out is not None and len(plaintext) < 70_000:
            record = self.out.seal(plaintext)
            self.sealed.append(record)
            self.give(record)

    def frame(self, kind: int, payload: bytes) -> None:
        self.seal(payload + u(kind & 0xFF, 1) + bytes(self.choices.pick((0, 0, 1, 80))))

    def run(self) -> None:
        """Handshake, then frames, for as long as there are choices."""
        try:
            self.shake_hands()
        except PEER_IS_LOST as error:
            if _is_ours(error):
                raise
        while self.choices.are_left:
            self.choices.pick(self.actions())()
        self.end.take(self.end.session.carriage_ended(None))
        assert self.end.ended is not None

    def shake_hands(self) -> None:
        raise NotImplementedError

    def actions(self) -> tuple[Callable[[], None], ...]:
        return (
            self.say_anything,
            self.say_known,
            self.say_messages,
            self.wait,
            self.repeat,
            self.stranger,
            self.large,
            *self.own_actions(),
        )

    def own_actions(self) -> tuple[Callable[[], None], ...]:
        raise NotImplementedError

    # Changes to what the peer would say by itself.

    def edit(self, _name: str, made: bytes) -> bytes:
        """Most messages go as they are."""
        return changed_message(made, self.choices) if self.choices.byte() & 3 == 3 else made

    def arrange(self, flight: list[bytes]) -> list[bytes]:
        choices = self.choices
        match choices.byte() & 15:
            case 1:
                del flight[choices.below(len(flight))]
            case 2:
                flight.append(choices.pick(flight))
            case 3:
                flight[0], flight[-1] = flight[-1], flight[0]
            case 4:
                flight.insert(choices.below(len(flight) + 1), made_message(choices))
            case 5:
                flight.append(choices.piece())
            case _:
                pass
        return flight

    # Frames.

    def say_anything(self) -> None:
        self.seal(self.choices.piece())

    def say_known(self) -> None:
        """A frame of any type, whose payload is a good one or any."""
        kind = self.choices.pick((1, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 2, 6, 0x80))
        good = {
            1: b"\0voice", 2: u(2, 4), 3: b"\1\0\x64", 4: bytes(8), 5: bytes(8), 7: u(1000, 2), 8: b'{"a":1}',
            10: b"mark", 12: b"\1", 13: b"data",
        }.get(kind, b"")  # fmt: skip
        self.frame(kind, self.choices.piece() if self.choices.flag() else good)

    def say_messages(self) -> None:
        count = 1 + self.choices.below(3)
        self.frame(HANDSHAKE, b"".join(made_message(self.choices) for _ in range(count)))

    def wait(self) -> None:
        self.now += self.choices.pick((0.02, 0.3, 1.0, 5.0, 20.0, 100.0))
        arrived = self.end.take(self.end.session.on_deadline(self.now))
        self.meeting.wanted += [event for event in arrived if isinstance(event, SignatureWanted)]

    def repeat(self) -> None:
        if self.sealed:
            self.give(self.choices.pick(self.sealed))

    def stranger(self) -> None:
        self.give(self.choices.piece())

    def large(self) -> None:
        """A frame at and around the limits of size."""
        kind = self.choices.pick((1, 6, 8, 9, 13))
        size = self.choices.pick((8_140, 8_168, 8_192, 16_340, 16_360, 16_384, 65_000)) + self.choices.byte()
        self.seal(b"\0" * (size - 1) + u(kind, 1))

    def hear(self) -> list[tuple[int, bytes]]:
        """(type, payload) of what our session said since."""
        records, self.end.on_the_way = self.end.on_the_way, []
        return [self.meeting.read(record) for record in records]


def changed_message(made: bytes, choices: Choices) -> bytes:
    """A message with something wrong, or something else, in it."""
    body = made[4:]
    match choices.below(5):
        case 0:
            fields = _tlvs(body) | {choices.pick((*range(1, 10), 0x80, 0xFF)): _value(choices)}
            return made[:1] + _with_length(_encoded(sorted(fields.items())))
        case 1:
            fields = _tlvs(body)
            fields.pop(choices.below(9) + 1, None)
            return made[:1] + _with_length(_encoded(list(fields.items())))
        case 2:
            where = choices.number(2) % len(made)
            return made[:where] + bytes([made[where] ^ choices.byte()]) + made[where + 1 :]
        case 3:
            return made_message(choices)
        case _:
            return choices.byte().to_bytes(1) + made[1:]


def made_message(choices: Choices) -> bytes:
    """A message of TLVs that are mostly in order."""
    kind = choices.pick((*range(1, 17), 0, 0xFE))
    fields = [(choices.pick((*range(1, 10), 0x80)), _value(choices)) for _ in range(choices.below(6))]
    return u(kind, 1) + _with_length(_encoded(fields if choices.flag() else sorted(dict(fields).items())))


def _value(choices: Choices) -> bytes:
    return choices.pick(_VALUES) if choices.flag() else choices.piece()


def _encoded(fields: list[tuple[int, bytes]]) -> bytes:
    return b"".join(u(tag, 1) + u(len(value), 2) + value for tag, value in fields)


def _with_length(body: bytes) -> bytes:
    return u(len(body), 3) + body


def _tlvs(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(body) >= 3:
        size = int.from_bytes(body[1:3])
        found[body[0]] = body[3 : 3 + size]
        body = body[3 + size :]
    return found


def _is_ours(error: BaseException) -> bool:
    """Whether an exception passed through the package, or through the checks of an end."""
    trace = error.__traceback__
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__"))
        if name.startswith("sottovoce.session") or name == "tests.fuzz.talk":
            return True
        trace = trace.tb_next
    return False


class AtOurServer(Insider):
    """A client by hand at our server."""

    def __init__(self, choices: Choices) -> None:
        number = choices.pick((0x0001, 0x0002, 0x0101))
        client: dict[str, Any] = {"suites": (number,), "edit": self.edit, "arrange": self.arrange}
        if choices.byte() == 0xFF:
            client["shares"] = ()
        config: dict[str, Any] = {
            "epoch_seconds": choices.pick((20, 300)),
            "messages_per_key": choices.pick((100, 16)),
            "credential_kinds": (0, 1, 2, 3),
            "codecs": tuple(Codec),
        }
        kind = choices.byte()
        box = Box() if kind & 1 else None
        if box is not None and kind & 2:
            client["ticket"] = earn(box, credentials=Credentials(), credential_kinds=(0, 1, 2, 3))
        if kind & 12 == 12:
            signer = Ed25519Signer(bytes(32))
            client |= {"signer": signer, "credential": (2, signer.public_key.encoded)}
        elif kind & 12:
            client["credential"] = (1, b"token")
        if kind & 32:
            client["codecs"] = (0, 0, 0)
        self.judges_late = bool(kind & 16)
        self.choices = choices  # the first message is edited when the peer is made
        credentials = Credentials(None) if self.judges_late else Credentials()
        super().__init__(
            choices, AtServer(credentials=credentials, tickets=box, established=False, client=client, **config)
        )

    def shake_hands(self) -> None:
        peer, end = self.meeting.peer, self.end
        self.give(peer.hello())
        if end.on_the_way and end.on_the_way[0][1:2] == b"\3":
            self.give(peer.retry(end.on_the_way.pop(0)))
        if self.end.ended is not None:
            return
        self.prove()
        hello, flight = end.on_the_way
        end.on_the_way = []
        peer.server_hello(hello)
        peer.server_flight(flight)
        self.give(peer.flight())
        self.judge()
        self.out, self.meeting.into = peer.up, peer.down

    def judge(self) -> None:
        """Give the verdict that the server waits for."""
        for shown in self.end.shown:
            verdict = Identity("late") if self.choices.byte() != 0xFF else Code.AUTH_FAILED
            self.end.session.provide_verdict(shown, verdict, self.now)
            self.end.take(self.end.session.events())
        self.end.shown.clear()

    def own_actions(self) -> tuple[Callable[[], None], ...]:
        return (self.init, self.prove, self.switch, self.whole_step)

    def prove(self) -> None:
        if self.meeting.wanted:
            self.meeting.now = self.now
            self.meeting.prove()
            self.end.take(self.end.session.events())

    def init(self) -> None:
        if self.out is not None:
            init = self.meeting.peer.rekey_init()
            self.frame(HANDSHAKE, changed_message(init, self.choices) if self.choices.flag() else init)

    def switch(self) -> None:
        self.frame(SWITCH, u(self.meeting.peer.epoch + self.choices.below(3), 4))

    def whole_step(self) -> None:
        """The root step, as it should be; or without its switch."""
        if self.out is None:
            return
        with suppress(*PEER_IS_LOST):
            self.hear()
        self.frame(HANDSHAKE, self.meeting.peer.rekey_init())
        self.prove()
        try:
            payload = next(payload for kind, payload in self.hear() if kind == HANDSHAKE)
            self.meeting.peer.rekey_response(payload)
        except (*PEER_IS_LOST, StopIteration) as error:
            if _is_ours(error):
                raise
            return
        if self.choices.byte() != 0xFF:
            self.frame(SWITCH, u(self.meeting.peer.epoch, 4))
        self.out = self.meeting.peer.chain("c2s")


class AtOurClient(Insider):
    """A server by hand at our client."""

    def __init__(self, choices: Choices) -> None:
        kind = choices.byte()
        self.retries = kind == 0xFF
        suite = 0x0101 if self.retries else 0x0001
        server: dict[str, Any] = {"suite": suite, "edit": self.edit, "arrange": self.arrange}
        server |= {"t2": u(choices.pick((20, 300)), 2), "t3": u(choices.pick((100, 16)), 4)}
        config: dict[str, Any] = {"suites": (_SUITES[0], _SUITES[2])}
        if kind & 1 and not self.retries:
            config["ticket"] = kept_ticket()
            if kind & 2:
                server["psk"] = PSK
        if kind & 12 == 12:
            config["credential"] = Credential(2, signer=Ed25519Signer(bytes(32)))
        elif kind & 12:
            config["credential"] = Credential(1, token=Secret("token", b"token"))
        if kind & 16:
            config |= {"send_codec": Codec.NONE, "receive_codec": Codec.NONE, "frame_milliseconds": 0}
            server["t5"] = bytes(range(9))
        self.choices = choices
        super().__init__(choices, AtClient(server=server, established=False, **config))

    def shake_hands(self) -> None:
        peer, end = self.meeting.peer, self.end
        if self.retries:
            self.give(peer.retry(GROUPS[0x0101]))
            peer.take_hello(end.on_the_way.pop(0))
        self.give(peer.hello())
        self.give(peer.flight())
        if end.established and end.ended is None:
            peer.client_flight(end.on_the_way.pop(0))
            self.out, self.meeting.into = peer.down, peer.up

    def own_actions(self) -> tuple[Callable[[], None], ...]:
        return (self.until_step, self.answer, self.switch, self.request)

    def until_step(self) -> None:
        """Let the clock run to where the client begins a step."""
        due = self.end.session.next_deadline()
        if due is not None:
            self.now = max(self.now, due)
            self.end.take(self.end.session.on_deadline(self.now))

    def request(self) -> None:
        made = message(16)
        self.frame(HANDSHAKE, changed_message(made, self.choices) if self.choices.flag() else made)

    def answer(self) -> None:
        """Answer the step that the client has begun; its messages are edited as the input wants."""
        peer = self.meeting.peer
        if self.out is None:
            return
        try:
            init = next(payload for kind, payload in self.hear() if kind == HANDSHAKE)
            made = peer.rekey_answer(init, verify=self.choices.byte() != 0xFF)
        except (*PEER_IS_LOST, StopIteration):
            return
        self.frame(HANDSHAKE, made)
        if self.choices.byte() != 0xFF:
            self.switch_well()

    def switch(self) -> None:
        self.frame(SWITCH, u(self.meeting.peer.epoch + self.choices.below(3), 4))

    def switch_well(self) -> None:
        self.frame(SWITCH, u(self.meeting.peer.epoch, 4))
        self.out = self.meeting.peer.chain("s2c")


def run_insider(data: bytes, role: type[AtOurServer] | type[AtOurClient]) -> Insider:
    insider = role(Choices(data))
    insider.run()
    return insider


def fuzz_server_session(data: bytes) -> None:
    """A server's session, and a client that holds the right keys."""
    with toy_world():
        run_insider(data, AtOurServer)


def fuzz_client_session(data: bytes) -> None:
    """A client's session, and a server that holds the right keys."""
    with toy_world():
        run_insider(data, AtOurClient)
