"""Two ends over two carriers: a control stream that keeps its word, and datagrams with which anything may happen.

Whatever the network or an attacker does to datagrams, each frame is heard once at most, only frames that were said are
heard, and no call ends by it before the limit of `LOSSY_FAILURES`; root steps go on over the control stream meanwhile.
"""

from sottovoce.session import Event, ServerConfig, SignatureWanted
from sottovoce.wire import LOSSY_FAILURES, Code
from tests.fuzz.choices import Choices
from tests.fuzz.talk import End
from tests.fuzz.toy import toy_serving, toy_world
from tests.session.carriers import WEBTRANSPORT
from tests.session.dialogue import client_config, give_proof, make_client, make_server

_MOMENTS = (0.001, 0.02, 0.3, 1.0, 2.1, 5.0)


class Flying(End):
    """An end that also throws and catches datagrams."""

    def __init__(self, session: object) -> None:
        super().__init__(session)
        self.air: list[bytes] = []
        self.thrown: list[bytes] = []
        self.frames: set[bytes] = set()
        self.caught: set[bytes] = set()

    def speak(self, number: int, now: float) -> None:
        """Throw a frame that no other is like."""
        codec_bytes = number.to_bytes(4) * 5
        datagram = self.session.seal_datagram(codec_bytes, now)
        if datagram:
            self.frames.add(codec_bytes)
            self.air.append(datagram)

    def catch(self, datagram: bytes, now: float) -> list[Event]:
        payload = self.session.open_datagram(datagram, now)
        if payload is not None:
            assert payload not in self.caught, "a frame was heard twice"
            self.caught.add(payload)
        return self.take(self.session.events())

    def collect(self) -> None:
        """Take what the session throws by itself: pongs, pings, filling."""
        self.air += self.session.datagrams_to_send()


class Crossing:
    """The two ends, the clock, and a programme."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.now = 0.0
        self.count = 0
        self.landed = 0
        config = ServerConfig(
            epoch_seconds=choices.pick((5, 2, 20)),
            messages_per_key=choices.pick((16, 17, 100)),
            padding=choices.pick((0, 1)),
            reauthenticate_every=choices.pick((1, 0)),
        )
        self.server_session = make_server(config, WEBTRANSPORT)
        self.client = Flying(make_client(client_config(), WEBTRANSPORT))
        self.server = Flying(self.server_session)
        self.ends = (self.client, self.server)
        self.client.check()
        self.stream()
        assert self.client.established == self.server.established == 1

    def run(self) -> None:
        """Go through the programme; both ends end as they should."""
        actions = (self.speak, self.land, self.stream, self.wait, self.meddle, self.meddle, self.wait, self.speak)
        while self.choices.are_left:
            self.choices.pick(actions)()
            self.check()
        for end in self.ends:
            end.take(end.session.carriage_ended(None))
            assert end.ended is not None

    def check(self) -> None:
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            assert {payload[1:] for payload in receiver.caught} <= sender.frames, "heard what nobody said"
            sender.collect()
            ended = receiver.ended
            assert ended is None or ended.code in {1000, Code.EXPIRED} or self.landed >= LOSSY_FAILURES, ended

    def side(self) -> tuple[Flying, Flying]:
        return self.ends if self.choices.flag() else (self.server, self.client)

    def speak(self) -> None:
        sender, _ = self.side()
        for _ in range(1 + self.choices.below(20)):
            self.count += 1
            sender.speak(self.count, self.now)
        if self.choices.byte() == 0xFF:
            sender.session.send_ping(bytes(8), self.now)
            sender.check()

    def land(self) -> None:
        """Some of the datagrams arrive, in an order of the input's."""
        sender, receiver = self.side()
        for _ in range(min(1 + self.choices.below(20), len(sender.air))):
            datagram = sender.air.pop(self.choices.below(len(sender.air)) if self.choices.flag() else 0)
            sender.thrown.append(datagram)
            self.drop_in(receiver, datagram)

    def drop_in(self, receiver: Flying, datagram: bytes) -> None:
        self.landed += 1
        self.happened(receiver.catch(datagram, self.now))

    def happened(self, arrived: list[Event]) -> None:
        for event in arrived:
            if isinstance(event, SignatureWanted):
                give_proof(self.server_session, event, toy_serving(), self.now)
                self.server.take(self.server_session.events())

    def stream(self) -> None:
        """The control stream brings all that was written."""
        for _ in range(6):
            for sender, receiver in ((self.client, self.server), (self.server, self.client)):
                records, sender.on_the_way = sender.on_the_way, []
                for record in records:
                    self.happened(receiver.receive(record, self.now))

    def wait(self) -> None:
        """The clock runs, and each end does what is due when it is due."""
        until = self.now + self.choices.pick(_MOMENTS)
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

    def meddle(self) -> None:
        """A datagram of any kind comes in: changed, again, reflected, a record of the other carrier, or made up."""
        sender, receiver = self.side()
        choices = self.choices
        makers = (
            choices.piece,
            lambda: self._flipped(sender.air or sender.thrown),
            lambda: choices.pick(sender.thrown) if sender.thrown else b"",
            lambda: choices.pick(receiver.thrown) if receiver.thrown else b"",
            lambda: choices.pick(sender.on_the_way) if sender.on_the_way else b"",
            lambda: self._cut(sender.air or sender.thrown),
        )
        datagram = choices.pick(makers)()
        for _ in range(choices.pick((1, 1, 2, 200))):
            self.drop_in(receiver, datagram)

    def _flipped(self, among: list[bytes]) -> bytes:
        if not among:
            return b""
        changed = bytearray(self.choices.pick(among))
        changed[self.choices.byte() % len(changed)] ^= self.choices.byte() or 1
        return bytes(changed)

    def _cut(self, among: list[bytes]) -> bytes:
        return self.choices.pick(among)[: self.choices.byte()] + self.choices.piece() if among else b""


def fuzz_lossy(data: bytes) -> None:
    """One call over two carriers."""
    with toy_world():
        Crossing(Choices(data)).run()
