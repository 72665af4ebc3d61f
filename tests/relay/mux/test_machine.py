"""The proxy's end of a connection: a dialogue with a backend that a test plays."""

import json

import pytest

from sottovoce.relay import LegStatistics
from sottovoce.relay.link.outbound import MAX_CONTROLS
from sottovoce.relay.mux.inbound import GRANT_FRAMES, WINDOW_FRAMES
from sottovoce.wire import frames
from tests.relay.calls import DATA_START, END, START, RecordingSink
from tests.relay.mux.talking import Talk, credit, down, frame

SOUND = frames.encode_audio(b"abc", 0, None)


# A call from its beginning to its end.


def test_a_call_from_open_to_stop() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.ask(sink)
    ((name, number, body),) = talk.hear()
    assert (name, number) == ("open", 1)
    assert json.loads(body)["session_id"] == START.session_id.hex()
    assert json.loads(body)["header"] is True
    talk.say(frame("opened", 1), credit(1, 10))
    assert leg.is_opened
    leg.begin()
    assert talk.hear() == [("credit", 1, WINDOW_FRAMES.to_bytes(4))]
    leg.audio(SOUND, 0)
    leg.audio(frames.encode_audio(b"abc", frames.FLAG_TALK_SPURT, 8000), 2)
    leg.dtmf(5, 160)
    leg.mark_played("greeting")
    leg.mute(muted=True)
    leg.json(b'{"a": 1}')
    leg.audio(SOUND, 70_000)
    leg.flush()
    assert talk.hear() == [
        ("audio", 1, b"\0abc"),
        ("audio", 1, bytes.fromhex("31 0002 00001f40") + b"abc"),
        ("dtmf", 1, b"\5\0\xa0"),
        ("mark", 1, b"greeting"),
        ("mute", 1, b"\1"),
        ("json", 1, b'{"a": 1}'),
        ("audio", 1, b"\1\xff\xffabc"),
    ]
    talk.say(
        frame("audio", 1, b"\0abc"),
        frame("audio", 1, bytes.fromhex("50 00001f40") + b"xyz"),
        frame("audio", 1, b"\x20"),
        frame("mark", 1, b"m"),
        frame("dtmf", 1, b"\x0b\0\x64"),
        frame("clear", 1),
        frame("json", 1, b'{"b": 2}'),
    )
    assert sink.told == [
        ("audio", b"abc", 0, None),
        ("audio", b"xyz", 0x40, 8000),
        ("audio", b"", 0x20, None),
        ("mark", "m"),
        ("dtmf", 11, 100),
        ("clear",),
        ("json", b'{"b": 2}'),
    ]
    assert leg.statistics == LegStatistics(
        frames_to_backend=3, frames_from_backend=3, frames_dropped_to_backend=0, frames_dropped_from_backend=0
    )
    leg.stop(END)
    ((name, number, body),) = talk.hear()
    assert (name, number, json.loads(body)["code"]) == ("stop", 1, 1000)
    assert talk.machine.calls == 0
    leg.audio(SOUND, 0)
    leg.dtmf(1, 1)
    leg.stop(END)
    leg.leave("x", "y")
    talk.say(frame("audio", 1, b"\0abc"), frame("stop", 1))
    assert talk.hear() == []
    assert len(sink.told) == 7


def test_a_data_session() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink, DATA_START, granted=1)
    for each in (b"\0\1", b"\0\2"):
        leg.data(each)
    talk.say(frame("data", 1, b"\2\1"), frame("json", 1, b"{}"))
    assert talk.hear() == [("data", 1, b"\0\1")]
    talk.say(credit(1, 1))
    assert talk.hear() == [("data", 1, b"\0\2")]
    assert sink.told == [("data", b"\2\1"), ("json", b"{}")]
    assert leg.statistics.frames_to_backend == 2


def test_a_backend_hangs_up_and_is_answered() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink)
    talk.say(frame("audio", 1, b"\0abc"), frame("stop", 1, b'{"reason": "a\\nb"}'), frame("audio", 1, b"\0xyz"))
    talk.say(frame("mark", 1, b"late"))
    assert sink.told == [("audio", b"abc", 0, None), ("hung_up", "a?b")]
    leg.audio(SOUND, 0)  # the proxy may still speak
    leg.stop(END)
    assert [name for name, *_ in talk.hear()] == ["audio", "stop"]


def test_a_backend_hangs_up_before_the_call_has_begun() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.ask(sink)
    talk.say(frame("opened", 1), frame("stop", 1))
    assert sink.told == []
    leg.begin()
    assert sink.told == [("hung_up", "")]


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (frame("refused", 1, b'{"code": "busy", "reason": "much to do"}'), "refused: busy: much to do"),
        (frame("refused", 1, b"\xff"), "refused: without a reason that can be read"),
        (frame("refused", 1), "refused: without a reason"),
        (frame("error", 1, b'{"code": "failed"}'), "failed: it gave the call up: failed"),
        (frame("error", 1), "failed: it gave the call up: without a reason"),
        (frame("audio", 1, b"\0abc"), "bad_framing: a frame of type 0x10 (audio) before `opened`"),
        (credit(1, 1), "bad_framing: a frame of type 0x22 (credit) before `opened`"),
        (frame("stop", 1), "bad_framing: a frame of type 0x20 (stop) before `opened`"),
    ],
)
def test_a_call_that_does_not_begin(answer: bytes, refusal: str) -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.ask(sink)
    talk.say(answer)
    assert str(leg.refusal) == refusal
    leg.leave("gave_up", "as the route does")
    assert sink.told == []
    assert talk.machine.calls == 0
    talk.say(frame("opened", 1), frame("refused", 1))
    assert not talk.machine.is_ended


@pytest.mark.parametrize(
    ("said", "reason", "answer"),
    [
        (frame("error", 1), "failed: it gave the call up: without a reason", "stop"),
        (frame("audio", 1, b"\0abc"), "flood: more frames than it has credit for", "error"),
        (frame("opened", 1), "bad_framing: it answered an `open` twice", "error"),
        (frame("refused", 1), "bad_framing: it answered an `open` twice", "error"),
        (bytes.fromhex("4001 00000001 10"), "bad_framing: a frame of 16385 bytes", "error"),
    ],
)
def test_a_call_that_is_opened_and_over_before_it_has_begun(said: bytes, reason: str, answer: str) -> None:
    """It is no refusal, which would be tried again: the backend has begun with it."""
    talk, sink = Talk(), RecordingSink()
    leg = talk.ask(sink)
    talk.hear()
    talk.say(frame("opened", 1), said)
    assert leg.is_opened
    assert leg.refusal is None
    assert sink.told == []
    leg.begin()
    assert down(sink) == reason
    leg.stop(END)
    assert [name for name, *_ in talk.hear()] == [answer]
    assert talk.machine.calls == 0


def test_an_opened_with_a_body_is_a_fault_of_a_call_that_is_opened() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.ask(sink)
    talk.say(frame("opened", 1, b"{}"))
    assert leg.is_opened
    leg.begin()
    assert down(sink) == "bad_framing: an opened with 2 bytes, not 0"
    assert [name for name, *_ in talk.hear()] == ["open", "error"]


def test_a_call_that_is_given_up() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink)
    leg.leave("cut_off", "without a word")
    assert talk.hear() == [("error", 1, b'{"code":"cut_off","reason":"without a word"}')]
    talk.say(frame("audio", 1, b"\0abc"))
    assert sink.told == []


def test_a_backend_gives_a_call_up_and_is_answered() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink)
    talk.say(frame("error", 1, b'{"code": "failed", "reason": "no voice"}'), frame("audio", 1, b"\0abc"))
    assert sink.told == [("backend_closed", "failed: it gave the call up: failed: no voice")]
    leg.stop(END)
    assert [name for name, *_ in talk.hear()] == ["stop"]


# Credit.


def test_without_credit_the_oldest_audio_is_dropped_and_no_control() -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink, granted=1, queue_frames=3)
    for number in range(8):
        leg.audio(frames.encode_audio(bytes([number]), 0, None), 1 if number == 2 else 0)
        if number % 2:
            leg.dtmf(number, 100)
    leg.flush()
    assert talk.hear() == [("audio", 1, b"\0\0")]
    assert leg.statistics.frames_dropped_to_backend == 4
    talk.say(credit(1, 3))
    assert talk.hear() == [("dtmf", 1, b"\1\0\x64"), ("dtmf", 1, b"\3\0\x64"), ("audio", 1, b"\1\0\5\5")]
    talk.say(credit(1, 100))
    assert [body[:1] for name, _, body in talk.hear() if name == "dtmf"] == [b"\5", b"\7"]
    assert leg.statistics.frames_to_backend == 4


def test_what_waits_for_credit_at_the_end_is_dropped_and_counted() -> None:
    talk = Talk()
    leg = talk.call(granted=1)
    for _ in range(3):
        leg.audio(SOUND, 0)
    leg.stop(END)
    (_, (name, _, body)) = talk.hear()
    assert name == "stop"
    assert json.loads(body)["statistics"]["frames_dropped_to_backend"] == 2


def test_a_call_whose_backend_takes_no_control_is_stuck_and_no_other() -> None:
    talk, sinks = Talk(), [RecordingSink(), RecordingSink()]
    stuck, other = talk.call(sinks[0], granted=0), talk.call(sinks[1])
    for _ in range(MAX_CONTROLS):
        stuck.dtmf(1, 1)
    assert sinks[0].told == []
    stuck.dtmf(1, 1)
    assert down(sinks[0]) == "stuck: it left 512 control messages unread"
    other.audio(SOUND, 0)
    assert [(name, call) for name, call, _ in talk.hear()] == [("error", 1), ("audio", 2)]
    assert sinks[1].told == []


def test_a_backend_is_granted_what_was_passed_on_if_there_is_room() -> None:
    talk, sink = Talk(), RecordingSink()
    talk.call(sink)
    sound = frame("audio", 1, b"\0abc")
    talk.say(sound * (GRANT_FRAMES - 1))
    assert talk.hear() == []
    talk.say(sound)
    assert talk.hear() == [("credit", 1, GRANT_FRAMES.to_bytes(4))]
    sink.is_crowded = True
    talk.say(sound * GRANT_FRAMES)
    assert talk.hear() == []
    sink.make_room()
    assert talk.hear() == [("credit", 1, GRANT_FRAMES.to_bytes(4))]
    assert sink.told == [("audio", b"abc", 0, None)] * 2 * GRANT_FRAMES


def test_room_that_is_told_twice_is_granted_once() -> None:
    """A credit of nothing would be a fault of the connection, and the end of all its calls."""
    talk, sink = Talk(), RecordingSink()
    talk.call(sink)
    sink.is_crowded = True
    talk.say(frame("audio", 1, b"\0abc") * WINDOW_FRAMES)
    assert talk.hear() == []
    sink.make_room()
    sink.make_room()
    assert talk.hear() == [("credit", 1, WINDOW_FRAMES.to_bytes(4))]


def test_a_backend_without_credit_ends_its_call_and_no_other() -> None:
    talk, sinks = Talk(), [RecordingSink(), RecordingSink()]
    sinks[0].is_crowded = True
    talk.call(sinks[0])
    talk.call(sinks[1])
    talk.say(frame("audio", 1, b"\0abc") * (WINDOW_FRAMES + 1), frame("audio", 2, b"\0abc"))
    assert down(sinks[0]) == "flood: more frames than it has credit for"
    assert [name for name, *_ in talk.hear()] == ["error"]
    assert sinks[1].told == [("audio", b"abc", 0, None)]
    sinks[0].make_room()
    assert talk.hear() == []


# What a stuck connection does to its calls.


def test_on_a_clogged_connection_audio_makes_room_and_goes_on_in_turns() -> None:
    talk = Talk()
    legs = [talk.call(granted=1000, queue_frames=20) for _ in range(3)]
    talk.machine.is_clogged = True
    for number in range(30):
        for leg in legs:
            leg.audio(frames.encode_audio(bytes([number]), 0, None), 0)
    legs[0].dtmf(1, 1)
    legs[0].flush()
    talk.machine.is_clogged = False
    heard = talk.hear()
    assert [call for _, call, _ in heard] == [1] * 16 + [2] * 16 + [3] * 16 + [1] * 5 + [2] * 4 + [3] * 4
    assert heard[0] == ("audio", 1, bytes.fromhex("01 000a 0a"))  # ten dropped
    assert talk.hear() == []


def test_one_write_is_bounded_so_that_the_rest_may_still_be_dropped() -> None:
    talk = Talk()
    leg = talk.call(start=DATA_START, granted=1000)
    talk.machine.is_clogged = True
    for _ in range(40):
        leg.data(bytes(8000))
    talk.machine.is_clogged = False
    assert len(talk.hear()) == 16
    assert len(talk.hear()) == 16
    assert len(talk.hear()) == 8
    assert talk.hear() == []


def test_a_call_ends_on_a_clogged_connection_behind_what_it_said() -> None:
    talk = Talk()
    leg = talk.call()
    talk.machine.is_clogged = True
    leg.audio(SOUND, 0)
    leg.stop(END)
    assert [name for name, *_ in talk.hear()] == ["audio", "stop"]


def test_what_happens_in_a_turn_is_asked_for_once() -> None:
    talk = Talk()
    legs = [talk.call() for _ in range(3)]
    before = talk.wishes
    for leg in legs:
        leg.audio(SOUND, 0)
        leg.flush()
    assert talk.wishes == before + 1
    assert len(talk.hear()) == 3
    legs[0].flush()
    assert talk.wishes == before + 1
