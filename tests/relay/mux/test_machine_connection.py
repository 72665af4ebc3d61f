"""What is of the connection and of no call: pings, silence, leave, numbers, and bytes however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.machine import IDLE_SECONDS
from sottovoce.wire import frames
from tests.relay.calls import END, RecordingSink
from tests.relay.mux.talking import SILENCE_SECONDS, Talk, down, frame

SOUND = frames.encode_audio(b"abc", 0, None)


def test_the_newest_ping_is_answered() -> None:
    talk = Talk()
    talk.say(frame("ping", 0, b"12345678"))
    assert talk.hear() == [("pong", 0, b"12345678")]
    talk.say(*(frame("ping", 0, bytes([number] * 8)) for number in range(200)))
    assert talk.hear() == [("pong", 0, bytes([199] * 8))]


def test_a_silent_backend_is_asked_and_then_lost() -> None:
    talk, sink = Talk(), RecordingSink()
    talk.call(sink)
    assert talk.machine.next_deadline() == SILENCE_SECONDS / 2
    talk.machine.on_deadline(SILENCE_SECONDS / 2 - 0.1)
    assert talk.hear() == []
    talk.machine.on_deadline(SILENCE_SECONDS / 2)
    ((name, number, body),) = talk.hear()
    assert (name, number, len(body)) == ("ping", 0, 8)
    talk.now = 6.0
    talk.say(frame("pong", 0, body))
    assert talk.machine.next_deadline() == 6.0 + SILENCE_SECONDS / 2
    talk.machine.on_deadline(11.0)
    talk.machine.on_deadline(15.9)
    assert sink.told == []
    talk.machine.on_deadline(16.0)
    assert down(sink) == "lost: it said nothing for 10 s, not even pong"


def test_a_connection_that_nobody_uses_is_taken_leave_of() -> None:
    talk = Talk()
    leg = talk.call()
    while not talk.machine.is_ended:
        talk.now = talk.machine.next_deadline()
        talk.machine.on_deadline(talk.now)
        if talk.now == 50:
            leg.stop(END)
        talk.say(frame("pong", 0, bytes(8)))
        assert talk.now < 200
    assert 50 + IDLE_SECONDS <= talk.now <= 50 + IDLE_SECONDS + SILENCE_SECONDS
    assert talk.hear()[-1][:2] == ("goaway", 0)
    assert talk.machine.fault is None


def test_a_connection_is_kept_from_its_last_call_on_and_not_from_its_beginning() -> None:
    talk = Talk()
    leg = talk.call()
    talk.now = 10 * IDLE_SECONDS
    talk.say(frame("audio", leg.number, b"\0abc"))
    leg.stop(END)
    ended_at = talk.now
    while not talk.machine.is_ended:
        talk.now = talk.machine.next_deadline()
        talk.machine.on_deadline(talk.now)
        talk.say(frame("pong", 0, bytes(8)))
    assert talk.now >= ended_at + IDLE_SECONDS


@pytest.mark.parametrize("body", [b"", b'{"code": "drain"}', b"{", b"\xff"])
def test_goaway_takes_no_calls_and_ends_none(body: bytes) -> None:
    talk, sink = Talk(), RecordingSink()
    leg = talk.call(sink)
    talk.say(frame("goaway", 0, body), frame("audio", 1, b"\0abc"))
    assert not talk.machine.takes_calls
    leg.audio(SOUND, 0)
    assert talk.hear() == [("audio", 1, b"\0abc")]
    assert sink.told == [("audio", b"abc", 0, None)]


def test_numbers_of_calls_run_out_and_are_never_used_twice() -> None:
    talk = Talk()
    talk.machine._last_call = mux.MAX_CALL - 1
    assert talk.machine.takes_calls
    assert talk.call().number == mux.MAX_CALL
    assert not talk.machine.takes_calls


@given(st.lists(st.integers(1, 60), max_size=30), st.lists(st.integers(1, 3), min_size=1, max_size=30))
def test_however_the_bytes_are_cut(cuts: list[int], order: list[int]) -> None:
    talk, sinks = Talk(), [RecordingSink() for _ in range(3)]
    for sink in sinks:
        talk.call(sink)
    data = b"".join(frame("audio", call, b"\0" + bytes([at])) for at, call in enumerate(order))
    for cut in cuts:
        talk.say(data[:cut])
        data = data[cut:]
    talk.say(data)
    for number, sink in enumerate(sinks, 1):
        assert [each[1] for each in sink.told] == [bytes([at]) for at, call in enumerate(order) if call == number]
