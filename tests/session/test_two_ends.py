"""Two ends of a session under Hypothesis: they agree, or one of them fails; they never disagree.

A machine of rules speaks for both applications, for the clock, for the HSM, for the network, and for an attacker on it.
What an end was given is always a beginning of what the other end sent, in order and unchanged; and while nobody
attacked and no deadline passed, both ends are up.
"""

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sottovoce.session.config import ServerConfig
from sottovoce.session.events import Audio, Dtmf, Ended, Event, Json, Mark, Mute, SignatureWanted, TicketReceived
from sottovoce.session.session import Session
from sottovoce.wire import Code
from tests.session.dialogue import Box, Pair, client_config, flipped, give_proof, make_client, make_server
from tests.session.keys import serving_keys

HEARD = (Audio, Dtmf, Json, Mark, Mute)
sizes = st.integers(0, 700)


class End:
    """One end: its machine, what it was asked to send, what it was given, and its records on the way."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.said: list[Event] = []
        self.heard: list[Event] = []
        self.on_the_way: list[bytes] = []
        self.ended: Ended | None = None

    def flush(self) -> None:
        self.on_the_way += self.session.to_send()


class TwoEnds(RuleBasedStateMachine):
    """See the module's text."""

    @initialize(
        chosen=st.fixed_dictionaries(
            {
                "epoch_seconds": st.sampled_from([2, 5, 20]),
                "messages_per_key": st.sampled_from([16, 17, 100]),
                "padding": st.sampled_from([0, 1]),
                "reauthenticate_every": st.sampled_from([0, 1, 2]),
            }
        ),
        hostile=st.booleans(),
        quick=st.sampled_from([True, True, True, False]),
        resumed=st.booleans(),
    )
    def begin(self, chosen: dict[str, Any], *, hostile: bool, quick: bool, resumed: bool) -> None:
        self.now = 0.0
        self.hostile = hostile
        tickets, ticket = Box(), None
        if resumed:
            earlier = Pair(server=make_server(tickets=tickets)).run()
            (ticket,) = [event.ticket for event in earlier.client_events if isinstance(event, TicketReceived)]
        # A server whose promise became weaker asks for a full handshake, so either way both ends must agree.
        self.server_machine = make_server(ServerConfig(**chosen), tickets=tickets)
        self.client, self.server = End(make_client(client_config(ticket=ticket))), End(self.server_machine)
        self.unsigned: list[SignatureWanted] = []
        self.disturbed = False
        if quick:
            self.deliver_all_and_sign_all()

    def _take(self, end: End, events: list[Event]) -> None:
        for event in events:
            assert end.ended is None, "nothing comes after the end"
            if isinstance(event, SignatureWanted):
                self.unsigned.append(event)
            elif isinstance(event, HEARD):
                end.heard.append(event)
            elif isinstance(event, Ended):
                end.ended = event
        end.flush()

    def _ends(self, *, up: bool) -> tuple[End, End]:
        return (self.client, self.server) if up else (self.server, self.client)

    # The applications

    @rule(up=st.booleans(), size=sizes, flags=st.sampled_from([0, 0x20, 0x40]))
    def speak(self, size: int, flags: int, *, up: bool) -> None:
        end, _ = self._ends(up=up)
        end.flush()
        record = end.session.seal_audio(bytes([size % 256]) * size, self.now, flags=flags)
        if record is not None:
            end.on_the_way.append(record)
            end.said.append(Audio(bytes([flags]) + bytes([size % 256]) * size))

    @rule(up=st.booleans(), key=st.integers(0, 15))
    def press(self, key: int, *, up: bool) -> None:
        end, _ = self._ends(up=up)
        if end.session.send_dtmf(key, 100, self.now):
            end.said.append(Dtmf(key, 100))
        end.flush()

    @rule(up=st.booleans(), number=st.integers(0, 999))
    def tell(self, number: int, *, up: bool) -> None:
        end, _ = self._ends(up=up)
        text = b'{"n":%d}' % number
        if end.session.send_json(text, self.now):
            end.said.append(Json(text))
        end.flush()

    @rule()
    def ask_for_a_step(self) -> None:
        self.server_machine.request_rekey()
        self.server.flush()

    @precondition(lambda self: self.client.ended is None and self.server.ended is None)
    @rule(up=st.booleans(), tired=st.integers(0, 30))
    def hang_up(self, tired: int, *, up: bool) -> None:
        end, _ = self._ends(up=up)
        if tired > 29 and end.session.is_open:
            end.session.close(1000, self.now)
            self._take(end, end.session.events())

    # Clock, HSM, network

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 1.0, 1.7]))
    def wait(self, seconds: float) -> None:
        """Both ends wake when they asked to."""
        until = self.now + seconds
        while True:
            due = [
                d for d in (self.client.session.next_deadline(), self.server.session.next_deadline()) if d is not None
            ]
            if not due or min(due) > until:
                break
            self.now = max(self.now, min(due))
            for end in (self.client, self.server):
                deadline = end.session.next_deadline()
                if deadline is not None and deadline <= self.now:
                    self._take(end, end.session.on_deadline(self.now))
        self.now = until

    @rule(seconds=st.sampled_from([2.5, 12.0, 40.0, 3600.0]), wakes=st.booleans())
    def oversleep(self, seconds: float, *, wakes: bool) -> None:
        """The machine was asleep: nobody woke when asked to, and what comes first may be a record."""
        self.now += seconds
        for end in (self.client, self.server) if wakes else ():
            self._take(end, end.session.on_deadline(self.now))

    @rule(twice=st.booleans())
    def sign(self, *, twice: bool) -> None:
        if self.unsigned:
            wanted = self.unsigned.pop(0)
            for _ in range(1 + twice):
                give_proof(self.server_machine, wanted, serving_keys(), self.now)
            self.server.flush()

    @rule(up=st.booleans(), count=st.integers(1, 30))
    def deliver(self, count: int, *, up: bool) -> None:
        sender, receiver = self._ends(up=up)
        sender.flush()
        for _ in range(min(count, len(sender.on_the_way))):
            self._take(receiver, receiver.session.receive(sender.on_the_way.pop(0), self.now))

    @rule()
    def deliver_all_and_sign_all(self) -> None:
        for _ in range(6):
            while self.unsigned:
                self.sign(twice=False)
            self.deliver(10_000, up=True)
            self.deliver(10_000, up=False)

    # An attacker

    @precondition(lambda self: self.hostile and any(any(end.on_the_way) for end in (self.client, self.server)))
    @rule(data=st.data())
    def attack(self, data: st.DataObject) -> None:
        sender = data.draw(st.sampled_from([end for end in (self.client, self.server) if any(end.on_the_way)]))
        records = sender.on_the_way
        index = data.draw(st.sampled_from([index for index, record in enumerate(records) if record]))
        self.disturbed = True
        match data.draw(st.sampled_from(["drop", "repeat", "swap", "flip", "cut", "reflect", "insert"])):
            case "drop":
                del records[index]
            case "repeat":
                records.insert(index, records[index])
            case "swap":
                records[0], records[index] = records[index], records[0]
            case "flip":
                where = data.draw(st.integers(0, len(records[index]) - 1))
                records[index] = flipped(records[index], where, 1 << data.draw(st.integers(0, 7)))
            case "cut":
                records[index] = records[index][: data.draw(st.integers(0, len(records[index]) - 1))]
            case "reflect":
                other = self.server if sender is self.client else self.client
                other.on_the_way.insert(0, records[index])
            case _:
                records.insert(index, data.draw(st.binary(max_size=60)))

    # What always holds

    @invariant()
    def each_end_heard_a_beginning_of_what_the_other_said(self) -> None:
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            assert receiver.heard == sender.said[: len(receiver.heard)]

    @invariant()
    def nobody_fails_unless_there_is_a_reason(self) -> None:
        if self.disturbed:
            return
        for end in (self.client, self.server):
            if end.ended is not None:
                assert end.ended.code in {1000, Code.EXPIRED}
                assert not end.ended.truncated

    @invariant()
    def ends_that_are_up_are_in_neighbouring_epochs(self) -> None:
        if self.client.session.is_open and self.server.session.is_open:
            assert self.client.session.epoch - self.server.session.epoch in {0, 1}

    def teardown(self) -> None:
        """Undisturbed and in time, everything arrives at last."""
        self.deliver_all_and_sign_all()
        if not self.disturbed and self.client.ended is None and self.server.ended is None:
            for sender, receiver in ((self.client, self.server), (self.server, self.client)):
                assert receiver.heard == sender.said
        for end in (self.client, self.server):
            end.session.carriage_ended(None)


TwoEnds.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=60)
TestTwoEnds = TwoEnds.TestCase
