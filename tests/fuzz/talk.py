"""A client and a server that keep the rules, and a programme of choices that acts for the world around them.

The programme speaks for both applications, the clock, the HSM and, where it may, an attacker on the way: records are
lost, doubled, swapped, cut, spliced, changed, reflected and brought again from the past.  What always holds is asserted
after each step.  Everything is deterministic: the same bytes are the same conversation.
"""

from collections.abc import Callable
from typing import Any

from sottovoce.primitives import DEFAULT_SUITES
from sottovoce.session import (
    Audio,
    Clear,
    ClientTicket,
    CredentialShown,
    Dtmf,
    Ended,
    EpochStarted,
    Established,
    Event,
    Identity,
    Json,
    Mark,
    Mute,
    Proof,
    ServedCertificate,
    ServerConfig,
    ShownCredential,
    SignatureWanted,
    TicketReceived,
)
from sottovoce.wire import MAX_HANDSHAKE_BYTES, MAX_TRANSPORT_MESSAGE_BYTES, Code
from tests.fuzz.choices import Choices
from tests.fuzz.toy import toy_serving
from tests.session.dialogue import Box, Credentials, Pair, client_config, make_client, make_server, signing_under
from tests.session.keys import prove

HEARD = (Audio, Dtmf, Json, Mark, Mute, Clear)
MAX_EVENTS = 3
"""What one call into a session can bring up: an epoch, what a frame said, the end."""
MAX_RECORDS = 6
"""What one call can make a session say: a switch and a ping, a root step, a pong, the end."""
_MOMENTS = (0.0, 0.001, 0.02, 0.3, 1.0, 2.0, 5.0, 31.0, 61.0)


class End:
    """One end and what it has said, heard and let out; asserts what each end owes to anybody."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.said: list[Event] = []
        self.heard: list[Event] = []
        self.opened: set[bytes] = set()
        self.on_the_way: list[bytes] = []
        self.past: list[bytes] = []
        self.ended: Ended | None = None
        self.shown: list[ShownCredential] = []
        self.tickets: list[ClientTicket] = []
        self.established = 0
        self.epochs = 1

    def take(self, arrived: list[Event]) -> list[Event]:
        """Account for the events of one call."""
        assert len(arrived) <= MAX_EVENTS, arrived
        for event in arrived:
            assert self.ended is None, "nothing comes after the end"
            match event:
                case Established():
                    self.established += 1
                    assert self.established == 1
                case EpochStarted(epoch):
                    self.epochs += 1
                    assert epoch == self.epochs
                case Ended():
                    self.ended = event
                case CredentialShown(shown):
                    self.shown.append(shown)
                case TicketReceived(ticket):
                    self.tickets.append(ticket)
                case _ if isinstance(event, HEARD):
                    assert self.established
                    self.heard.append(event)
                case _:
                    pass
        self.check()
        return arrived

    def receive(self, record: bytes, now: float) -> list[Event]:
        """Take a record; the same one never brings audio twice."""
        arrived = self.session.receive(record, now)
        if any(isinstance(event, Audio) for event in arrived):
            assert record not in self.opened, "audio was accepted twice"
            self.opened.add(record)
        return self.take(arrived)

    def check(self) -> None:
        """It goes on, or it has ended in one way and for good."""
        session, ended = self.session, self.ended
        records = session.to_send()
        assert len(records) <= MAX_RECORDS, len(records)
        assert all(len(record) <= MAX_TRANSPORT_MESSAGE_BYTES for record in records)
        self.on_the_way += records
        assert session.has_ended is (ended is not None)
        if ended is None:
            assert session.is_open is (self.established == 1)
            assert session.next_deadline() is not None
            return
        assert not session.is_open
        assert session.next_deadline() is None
        assert session.seal_audio(b"late", 0.0) is None
        assert ended.code != Code.INTERNAL, ended
        assert not ended.local or ended.code in set(Code) or ended.code == 1000, ended
        assert ended.reason.isprintable()

    def out(self) -> list[bytes]:
        return self.on_the_way


class Talk:
    """The two ends, the clock, and a programme."""

    def __init__(self, choices: Choices, *, hostile: bool) -> None:
        self.choices = choices
        self.now = 0.0
        self.hostile = hostile
        self.disturbed = False
        config = ServerConfig(
            epoch_seconds=choices.pick((20, 2, 5, 300)),
            messages_per_key=choices.pick((16, 17, 100)),
            padding=choices.pick((0, 1)),
            reauthenticate_every=choices.pick((1, 0, 2)),
            suites=(choices.pick(DEFAULT_SUITES),) if choices.flag() else DEFAULT_SUITES,
        )
        box = Box() if choices.flag() else None
        ticket = earned(box, config) if box is not None and choices.flag() else None
        credentials = Credentials(None) if choices.flag() else Credentials()
        self.server_session = make_server(config, credentials=credentials, tickets=box)
        self.client_session = make_client(client_config(ticket=ticket))
        self.client, self.server = End(self.client_session), End(self.server_session)
        self.ends = (self.client, self.server)
        self.unsigned: list[SignatureWanted] = []
        self.signed: list[tuple[SignatureWanted, ServedCertificate, Proof]] = []
        self.client.check()

    def run(self) -> None:
        """Go through the programme, then let everything arrive, and end."""
        if self.choices.flag():
            self.settle()
        while self.choices.are_left:
            self.choices.pick(self.actions())()
            self.check()
        self.settle()
        self.check()
        if not self.disturbed and all(end.ended is None for end in self.ends):
            assert self.client.heard == self.server.said
            assert self.server.heard == self.client.said
        for end in self.ends:
            end.take(end.session.carriage_ended(None))
            assert end.ended is not None

    def actions(self) -> tuple[Callable[[], None], ...]:
        peaceful = (self.settle, self.deliver, self.say, self.wait, self.sign, self.ask, self.say, self.hang_up)
        return (*peaceful, self.attack, self.attack, self.attack, self.attack) if self.hostile else peaceful

    def check(self) -> None:
        """The ends agree, or one of them has failed for a reason."""
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            assert receiver.heard == sender.said[: len(receiver.heard)], "heard what was not said, or not then"
        if not self.disturbed:
            for end in self.ends:
                assert end.ended is None or end.ended.code in {1000, Code.EXPIRED}, end.ended
        if self.client_session.is_open and self.server_session.is_open:
            assert self.client_session.epoch - self.server_session.epoch in {0, 1}

    # What both sides, the clock and the HSM do.

    def side(self) -> tuple[End, End]:
        return self.ends if self.choices.flag() else (self.server, self.client)

    def deliver(self) -> None:
        sender, receiver = self.side()
        self._carry(sender, receiver, 1 + self.choices.below(30))

    def _carry(self, sender: End, receiver: End, count: int) -> None:
        for _ in range(min(count, len(sender.on_the_way))):
            self.judge()  # until then no record may be handed in
            record = sender.on_the_way.pop(0)
            sender.past.append(record)
            self.happened(receiver.receive(record, self.now))

    def happened(self, arrived: list[Event]) -> None:
        self.unsigned += [event for event in arrived if isinstance(event, SignatureWanted)]

    def settle(self) -> None:
        """Sign all and deliver all, until nobody has anything to say."""
        for _ in range(8):
            while self.unsigned:
                self._prove(self.unsigned.pop(0))
            self._carry(self.client, self.server, MAX_HANDSHAKE_BYTES)
            self._carry(self.server, self.client, MAX_HANDSHAKE_BYTES)
            self.judge()
            if not (self.unsigned or self.client.on_the_way or self.server.on_the_way):
                return

    def sign(self) -> None:
        """Sign what waits, or bring a signature again."""
        if self.unsigned:
            self._prove(self.unsigned.pop(0))
        elif self.signed:
            wanted, certificate, proof = self.choices.pick(self.signed)
            self.server_session.provide_proof(wanted, certificate, proof, self.now)
            self.server.take(self.server_session.events())

    def judge(self) -> None:
        """Give the verdict on the credential that waits for it."""
        while self.server.shown:
            self.server_session.provide_verdict(self.server.shown.pop(), Identity("late"), self.now)
            self.server.take(self.server_session.events())

    def _prove(self, wanted: SignatureWanted) -> None:
        certificate = signing_under(self.server_session, wanted)
        proof = prove(toy_serving(), wanted.kind, wanted.leaf_under(certificate))
        self.signed.append((wanted, certificate, proof))
        self.server_session.provide_proof(wanted, certificate, proof, self.now)
        self.server.take(self.server_session.events())

    def ask(self) -> None:
        self.server_session.request_rekey()
        self.server.take(self.server_session.events())

    def hang_up(self) -> None:
        end, _ = self.side()
        if self.choices.byte() == 0xFF and end.session.is_open:
            end.session.close(1000, self.now)
            end.take(end.session.events())

    def wait(self) -> None:
        """The clock runs; whoever asked to be woken is, unless the machine was asleep."""
        until = self.now + self.choices.pick(_MOMENTS)
        if self.choices.byte() >= 0xF0:
            self.now = until
            return
        while True:
            due = min((d for end in self.ends if (d := end.session.next_deadline()) is not None), default=until + 1)
            if due > until:
                break
            self.now = max(self.now, due)
            for end in self.ends:
                deadline = end.session.next_deadline()
                if deadline is not None and deadline <= self.now:
                    self.happened(end.take(end.session.on_deadline(self.now)))
        self.now = until

    def say(self) -> None:
        """Either application says something."""
        sender, _ = self.side()
        self.speak(sender)

    def speak(self, sender: End) -> None:
        session, now, choices = sender.session, self.now, self.choices
        said: Event | None = None
        match choices.below(8):
            case 0 | 1:
                flags, sample = choices.pick((0, 0x20, 0x40)), bytes([choices.byte()]) * choices.pick((0, 1, 160, 640))
                timestamp = choices.byte() if choices.flag() else None
                record = session.seal_audio(sample, now, flags=flags, timestamp=timestamp)
                if record is not None:
                    stamp = b"" if timestamp is None else timestamp.to_bytes(4)
                    sender.on_the_way.append(record)
                    said = Audio(bytes([flags | (0x10 if stamp else 0)]) + stamp + sample)
            case 2:
                key = choices.below(16)
                said = Dtmf(key, 100) if session.send_dtmf(key, 100, now) else None
            case 3:
                text = b'{"n":%d}' % choices.byte()
                said = Json(text) if session.send_json(text, now) else None
            case 4:
                said = Mark("m") if session.send_mark("m", now) else None
            case 5:
                session.send_ping(bytes(8), now)
            case 6:
                session.send_cover(choices.byte(), now)
            case _ if sender is self.server:
                said = Clear() if session.send_clear(now) else None
            case _:
                muted = choices.flag()
                said = Mute(muted) if session.send_mute(now, muted=muted) else None
        if said is not None:
            sender.said.append(said)
        sender.take(session.events())

    # An attacker.

    def attack(self) -> None:
        """Do something to the records on one side's way."""
        sender, other = self.side()
        records, choices = sender.on_the_way, self.choices
        kind = choices.below(9)
        self.disturbed = True
        if kind == 8 and sender.past + other.past:
            records.insert(0, choices.pick(sender.past + other.past))
            return
        if kind == 7 or not records:
            records.insert(0, choices.piece())
            return
        index = choices.below(len(records))
        record = records[index]
        where = choices.number(2) % max(len(record), 1)
        match kind:
            case 0:
                del records[index]
            case 1:
                records.insert(0, record)
            case 2:
                records[0], records[index] = record, records[0]
            case 3 if record:
                records[index] = record[:where] + bytes([record[where] ^ (choices.byte() or 1)]) + record[where + 1 :]
            case 4:
                records[index] = record[:where] + choices.piece()
            case 5:
                other.on_the_way.insert(0, record)
            case _ if sender.past:
                donor = choices.pick(sender.past)
                records[index] = record[:where] + donor[where:]
            case _:
                pass


def earned(box: Box, config: ServerConfig) -> ClientTicket:
    """A ticket from a call before, in which nothing went wrong."""
    pair = Pair(make_client(client_config()), make_server(config, tickets=box)).run()
    return next(event.ticket for event in pair.client_events if isinstance(event, TicketReceived))


def run_talk(data: bytes, *, hostile: bool) -> Talk:
    """One conversation, inside a toy world."""
    talk = Talk(Choices(data), hostile=hostile)
    talk.run()
    return talk
