"""What a backend may not say, or a sink not do: one clear end, of the call or of the connection, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.inbound import WINDOW_FRAMES
from sottovoce.relay.mux.machine import LATE_FRAMES, LATE_SECONDS
from sottovoce.wire import frames
from tests.relay.calls import DATA_START, END, RecordingSink
from tests.relay.mux.talking import Talk, code_of, credit, down, frame, split

SOUND = frames.encode_audio(b"abc", 0, None)
SAID = frame("audio", 1, b"\0abc")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (frame("mute", 1, b"\1"), "bad_framing: a frame of type 0x16 (mute), not in this direction"),
        (frame("data", 1, b"x"), "bad_framing: a frame of type 0x11 (data) has no place in this call"),
        (frame("open", 1), "bad_framing: a frame of type 0x01 (open), not in this direction"),
        (frame(0x40, 1) * 9, "bad_framing: a frame of type 0x40 (unknown), not in a call"),
        (frame("ping", 1, bytes(8)) * 9, "bad_framing: a frame of type 0x30 (ping), not in a call"),
        (frame("opened", 1), "bad_framing: it answered an `open` twice"),
        (frame("refused", 1), "bad_framing: it answered an `open` twice"),
        (frame("credit", 1, b"\0\1"), "bad_framing: a credit of 2 bytes, not 4"),
        (credit(1, 0), "bad_framing: a credit for no frames"),
        (credit(1, mux.MAX_CREDIT), "flood: more credit than can be counted"),
        (frame("dtmf", 1, b"\x10\0\1"), "bad_text: a dtmf "),
        (frame("dtmf", 1, b"\1\0"), "bad_text: "),
        (frame("mark", 1, b"\xff"), "bad_text: "),
        (frame("mark", 1, bytes(65)), "bad_text: "),
        (frame("clear", 1, b"x"), "bad_text: "),
        (frame("json", 1, b"[]"), "bad_text: "),
        (frame("stop", 1, b'{"reason": 1}'), "bad_text: a stop that cannot be read: Expected `str`"),
        (frame("stop", 1, b'{"x":' * 3000), "bad_text: a stop whose JSON is nested too deeply"),
        (frame("audio", 1), "bad_audio: an audio frame without flags"),
        (frame("audio", 1, b"\x10\0\0\0"), "bad_audio: a timestamp is cut off"),
        (frame("audio", 1, b"\1\0\1x"), "bad_audio: unknown flags 0x01"),
        (frame("audio", 1, bytes(162)), "bad_audio: 161 bytes, a frame has at most 160"),
        (frame("mark", 1) * 251, "flood: "),
        (frame("audio", 1, b"\0abc") * (WINDOW_FRAMES + 3000), "flood: more frames than it has credit for"),
    ],
)
def test_a_fault_in_a_call_ends_it_and_no_other(said: bytes, fault: str) -> None:
    talk, sinks = Talk(), [RecordingSink(), RecordingSink()]
    legs = [talk.call(sink) for sink in sinks]
    talk.say(said, frame("audio", 1, b"\0late"), frame("audio", 2, b"\0abc"))
    assert down(sinks[0]).startswith(fault)
    assert sinks[1].told == [("audio", b"abc", 0, None)]
    ((name, number, body),) = talk.hear()
    assert (name, number, code_of(body)) == ("error", 1, fault.partition(":")[0])
    legs[0].stop(END)
    assert talk.hear() == []
    legs[1].audio(SOUND, 0)
    assert talk.hear() == [("audio", 2, b"\0abc")]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (frame("data", 1, bytes(8001)), "bad_audio: 8001 bytes of data, 8000 are allowed"),
        (frame("audio", 1, b"\0abc"), "bad_framing: a frame of type 0x10 (audio) has no place in this call"),
        (frame("mark", 1, b"m"), "bad_framing: a frame of type 0x13 (mark) has no place in this call"),
    ],
)
def test_a_fault_in_a_data_session(said: bytes, fault: str) -> None:
    talk, sink = Talk(), RecordingSink()
    talk.call(sink, DATA_START)
    talk.say(said)
    assert down(sink) == fault


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (frame("audio", 3, b"\0abc"), "bad_framing: a frame of call 3, which there never was"),
        (frame("clear", 0), "bad_framing: a frame of type 0x14 (clear) of no call"),
        (frame("open", 0), "bad_framing: a frame of type 0x01 (open) of no call"),
        (frame("ping", 0, b"x"), "bad_framing: a ping of 1 bytes"),
        (frame("pong", 0, b"x"), "bad_framing: a pong of 1 bytes"),
        (bytes.fromhex("4001 00000001 10"), "bad_framing: a frame of 16385 bytes"),
        (b"HTTP/1.1 400 Bad Request\r\n", "bad_framing: a frame of 18516 bytes"),
    ],
)
def test_a_fault_of_the_connection_ends_all_calls(said: bytes, fault: str) -> None:
    talk, sinks = Talk(), [RecordingSink(), RecordingSink()]
    legs = [talk.call(sink) for sink in sinks]
    talk.say(said, frame("audio", 1, b"\0late"))
    assert down(sinks[0]) == fault
    ((name, number, body),) = talk.hear()
    assert (name, number, code_of(body)) == ("error", 0, "bad_framing")
    assert talk.machine.is_ended
    assert not talk.machine.takes_calls
    legs[0].stop(END)
    legs[0].audio(SOUND, 0)
    talk.say(frame("clear", 0))
    assert talk.hear() == []


def test_a_backend_gives_the_connection_up() -> None:
    talk, sink = Talk(), RecordingSink()
    talk.call(sink)
    talk.say(frame("error", 0, b'{"code": "confused"}'), frame("audio", 1, b"\0late"))
    assert down(sink) == "failed: it gave the connection up: confused"
    assert talk.hear() == []


def test_of_calls_that_are_over_no_more_may_come_than_can_have_been_on_its_way() -> None:
    talk = Talk()
    talk.call().stop(END)
    odd = [frame(kind, 1) for kind in ("open", "ping", "mute", 0x40)]
    talk.say(SAID * (LATE_FRAMES - len(odd)), credit(1, 1) * 10, frame("stop", 1), frame(0x80, 1), *odd)
    assert not talk.machine.is_ended
    talk.say(SAID)
    assert str(talk.machine.fault) == "flood: it goes on sending in calls that are over"


@pytest.mark.parametrize(("seconds", "calls_worth"), [(0, 8), (LATE_SECONDS, 4), (10 * LATE_SECONDS, 1)])
def test_what_does_not_come_of_calls_that_are_over_fades(seconds: float, calls_worth: int) -> None:
    talk = Talk()
    for _ in range(8):
        talk.call().stop(END)
    while talk.now < seconds:
        talk.now += LATE_SECONDS / 2
        talk.say(frame("pong", 0, bytes(8)))
        talk.machine.on_deadline(talk.now)
    talk.say(SAID * (calls_worth * LATE_FRAMES))
    assert not talk.machine.is_ended
    talk.say(SAID)
    assert str(talk.machine.fault) == "flood: it goes on sending in calls that are over"


@pytest.mark.parametrize(
    "said", [frame(0x40, 1), frame("open", 1), frame("opened", 1), credit(1, 0), frame("dtmf", 1), frame("stop", 1)]
)
def test_behind_its_own_stop_a_backend_is_not_heard_nor_blamed(said: bytes) -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink)
    talk.say(frame("stop", 1), said * 3)
    assert sink.told == [("hung_up", "")]
    assert talk.hear() == []
    leg.stop(END)
    assert [name for name, *_ in talk.hear()] == ["stop"]


def test_what_later_versions_may_say_is_ignored() -> None:
    talk, sink = Talk(), RecordingSink()
    talk.call(sink)
    talk.say(frame(0x80, 0, b"x"), frame(0xFF, 1, b"x"), frame("audio", 1, b"\0abc"))
    assert sink.told == [("audio", b"abc", 0, None)]


class _Faulty(RecordingSink):
    """A sink that breaks its word."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def mark(self, name: str) -> None:
        if self._where == "mark":
            raise LookupError("ours")
        super().mark(name)

    def flush(self) -> None:
        if self._where == "flush" and self.told:
            raise LookupError("ours")

    def backend_closed(self, reason: str) -> None:
        if self._where == "backend_closed":
            raise LookupError("ours")
        super().backend_closed(reason)


@pytest.mark.parametrize("where", ["mark", "flush", "backend_closed"])
def test_a_fault_of_our_own_in_one_call_is_that_calls_crash(where: str) -> None:
    talk, other, faulty = Talk(), RecordingSink(), _Faulty(where)
    talk.call(faulty)
    talk.call(other)
    talk.say(frame("mark", 1, b"m"), frame("mark", 1, b"n"), frame("mark", 2, b"m"))
    if where == "backend_closed":
        talk.say(frame("clear", 0))
    else:
        assert talk.hear() == [("error", 1, b'{"code":"internal","reason":"a fault in the proxy"}')]
        assert other.told == [("mark", "m")]
    assert [type(each) for each in faulty.crashes] == [LookupError]
    assert talk.machine.calls == (0 if where == "backend_closed" else 1)


def test_a_sink_that_raises_when_it_hears_of_a_fault_ends_no_other_call() -> None:
    talk, other, faulty = Talk(), RecordingSink(), _Faulty("backend_closed")
    talk.call(faulty)
    talk.call(other)
    talk.say(frame("open", 1), frame("mark", 2, b"m"))
    assert [type(each) for each in faulty.crashes] == [LookupError]
    assert other.told == [("mark", "m")]
    assert talk.machine.calls == 1
    assert not talk.machine.is_ended


def test_a_crash_before_the_call_is_opened_is_its_refusal() -> None:
    talk = Talk()
    leg = talk.ask(RecordingSink())
    leg.crash(LookupError("ours"))
    assert str(leg.refusal) == "lost: a fault in the proxy: LookupError"


def test_a_crash_before_the_call_has_begun_is_told_when_it_does() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.ask(sink)
    talk.say(frame("opened", 1))
    leg.crash(LookupError("ours"))
    assert leg.refusal is None
    leg.begin()
    assert [type(each) for each in sink.crashes] == [LookupError]


@given(st.binary(max_size=300))
def test_any_bytes_leave_one_clear_end_or_none(data: bytes) -> None:
    talk, sink = Talk(), RecordingSink()
    talk.call(sink)
    talk.say(data)
    assert sum(each[0] in {"backend_closed", "hung_up"} for each in sink.told) <= 1
    assert bool(talk.machine.fault) == talk.machine.is_ended
    if talk.machine.is_ended:
        assert sink.told[-1][0] in {"backend_closed", "hung_up"}
    split(talk.machine.to_send())
