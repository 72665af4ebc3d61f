"""The proxy's machine and the library's, and a network that cuts as it likes: they agree on every call."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.backend import Audio, Dtmf, Ended, Item, MarkPlayed
from sottovoce.backend.machine import MuxCall, MuxMachine
from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.leg import MuxLeg
from sottovoce.wire import frames
from tests.relay.calls import END, RecordingSink
from tests.relay.mux.talking import Talk

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "hear", "key", "mark", "take", "speak", "clear", "object", "stop", "hang_up", "fail"]),
        st.integers(0, 3),
        st.integers(1, 40),
    ),
    max_size=60,
)


class Pair:
    """Both ends; bytes on their way; what each call was sent and has heard, at both ends."""

    def __init__(self, cut: int) -> None:
        self.proxy = Talk()
        self.backend = MuxMachine(0.0)
        self.cut = cut
        self.legs: list[tuple[MuxLeg, RecordingSink]] = []
        self.calls: dict[int, MuxCall] = {}
        self.taken: dict[int, list[Item]] = {}
        self.said: dict[int, list[object]] = {}
        self.spoken: dict[int, list[object]] = {}
        greeting = self.backend.to_send()
        assert greeting == mux.GREETING
        self.backend.receive(mux.GREETING, 0.0)

    def carry(self) -> None:
        """Carry everything, both ways, in pieces."""
        while (out := self.proxy.machine.to_send()) + (back := self.backend.to_send()):
            for data, receive in ((out, self.backend.receive), (back, self.proxy.machine.receive)):
                for at in range(0, len(data), self.cut):
                    receive(data[at : at + self.cut], 0.0)
            for call in self.backend.take_begun():
                self.calls[call.number] = call
            for leg, _ in self.legs:
                if leg.is_opened and not leg._is_begun:
                    leg.begin()

    def open(self) -> None:
        sink = RecordingSink()
        leg = self.proxy.ask(sink, queue_frames=500)
        self.legs.append((leg, sink))
        self.said[leg.number], self.spoken[leg.number], self.taken[leg.number] = [], [], []

    def take(self, number: int, count: int) -> None:
        call = self.calls[number]
        for _ in range(count):
            if (item := call.take()) is not None:
                self.taken[number].append(item)

    def step(self, what: str, which: int, count: int) -> None:
        if what == "open" or not self.legs:
            self.open()
            self.carry()
            return
        leg, sink = self.legs[which % len(self.legs)]
        call = self.calls[leg.number]
        goes_on = leg._talks and leg.hears and call.ended is None and not call._has_hung_up
        match what:
            case "take":
                self.take(leg.number, count)
            case _ if not goes_on:
                pass
            case "hear" | "key" | "mark":
                self._say(leg, what, count)
            case "stop":
                leg.stop(END)
            case "hang_up":
                call.hang_up(0.0, "done")
            case "fail":
                call.fail(0.0)
            case _:
                self._speak(call, what, count)
        self.carry()
        if sink.named("hung_up") or sink.named("backend_closed"):
            leg.stop(END)
        self.carry()

    def _say(self, leg: MuxLeg, what: str, count: int) -> None:
        said = self.said[leg.number]
        for _ in range(count):
            number = len(said)
            if what == "hear":
                leg.audio(frames.encode_audio(number.to_bytes(2), 0, None), 0)
                said.append(Audio(number.to_bytes(2)))
            elif what == "key":
                leg.dtmf(5, number)
                said.append(Dtmf(5, number))
            else:
                leg.mark_played(str(number))
                said.append(MarkPlayed(str(number)))
        leg.flush()

    def _speak(self, call: MuxCall, what: str, count: int) -> None:
        spoken = self.spoken[call.number]
        for _ in range(count):
            number = len(spoken)
            if not call.may_send:
                return
            match what:
                case "speak":
                    call.audio(Audio(number.to_bytes(2)))
                    spoken.append(("audio", number.to_bytes(2), 0, None))
                case "clear" if not call.clear(0.0):
                    spoken.append(("clear",))
                case "object" if not call.json({"n": number}, 0.0):
                    spoken.append(("json", b'{"n":%d}' % number))
                case _:
                    return  # not so fast


@given(STEPS, st.integers(1, 300))
@settings(max_examples=60)
def test_each_call_hears_what_it_was_told_in_order_and_nothing_of_the_others(
    steps: list[tuple[str, int, int]], cut: int
) -> None:
    pair = Pair(cut)
    for step in steps:
        pair.step(*step)
    for leg, sink in pair.legs:
        if leg._talks:
            pair.take(leg.number, 10_000)
            pair.carry()
            pair.take(leg.number, 10_000)
            leg.stop(END)
            pair.carry()
        pair.take(leg.number, 10_000)
        taken = pair.taken[leg.number]
        assert isinstance(taken[-1], Ended)
        assert taken[:-1] == pair.said[leg.number][: len(taken) - 1]
        ends = [each for each in sink.told if each[0] in {"hung_up", "backend_closed"}]
        assert [each for each in sink.told if each not in ends] == pair.spoken[leg.number]
        assert len(ends) <= 1
    assert pair.backend.fault is None
    assert pair.proxy.machine.fault is None
    assert pair.backend.calls == pair.proxy.machine.calls == 0


def test_one_call_that_is_not_taken_holds_up_no_other() -> None:
    """The one is told less than a queue of the proxy holds; `test_machine` has what is dropped beyond."""
    pair = Pair(4096)
    for _ in range(2):
        pair.open()
    pair.carry()
    for _ in range(20):
        for what in ("hear", "key"):
            pair.step(what, 0, 20)
            pair.step(what, 1, 20)
        pair.take(2, 10_000)
    pair.carry()
    pair.take(2, 10_000)
    assert pair.taken[2] == pair.said[2]
    assert pair.taken[1] == []
    assert pair.proxy.machine.calls == 2
    for _ in range(4):
        pair.take(1, 10_000)
        pair.carry()
    keys = [each for each in pair.said[1] if isinstance(each, Dtmf)]
    assert [each for each in pair.taken[1] if isinstance(each, Dtmf)] == keys
