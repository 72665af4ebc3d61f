"""The backend's end of a connection of many calls: a dialogue with a proxy that a test plays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.backend import Audio, CallOver, Data, Dtmf, Ended, Json, MarkPlayed, Mute
from sottovoce.backend.machine import MuxMachine
from sottovoce.backend.machine.mux.call import WINDOW_FRAMES
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import CLOSE_SECONDS, HANDSHAKE_SECONDS, PqPolicy, TlsCore, client_context, server_context
from tests.backend.mux.proxies import GREETING, Talk, credit, frame, items, opening, split, stopping
from tests.transport.certificates import Authority

SAID = (
    frame("audio", 1, b"\0abc"),
    frame("audio", 1, bytes.fromhex("71 0002 00001f40") + b"x"),
    frame("audio", 1, b"\1\0\3"),
    frame("dtmf", 1, b"\5\0\xa0"),
    frame("mark", 1, b"a"),
    frame("mute", 1, b"\1"),
    frame(0x80, 1, b"later"),
    frame("json", 1, b'{"a": 1}'),
    stopping(1),
)
HEARD = [
    Audio(b"abc"),
    Audio(b"x", talk_spurt=True, end_of_turn=True, timestamp=8000, lost_before=2),
    Audio(b"", lost_before=3),
    Dtmf(5, 160),
    MarkPlayed("a"),
    Mute(muted=True),
    Json({"a": 1}),
]


def test_a_call_from_open_to_stop() -> None:
    talk = Talk()
    assert talk.machine.is_accepted
    talk.say(opening(1))
    (call,) = talk.machine.take_begun()
    assert talk.machine.take_begun() == []
    assert call.start is not None
    assert (call.start.route, call.start.header) == ("bot", True)
    assert talk.hear() == [("opened", 1, b""), ("credit", 1, WINDOW_FRAMES.to_bytes(4))]
    assert call.take() is None
    talk.say(*SAID)
    assert talk.machine.take_changed() == [call]
    assert talk.machine.take_changed() == []
    *taken, ended = items(call)
    assert taken == HEARD
    assert ended == call.ended
    assert isinstance(ended, Ended)
    assert (ended.code, ended.truncated) == (1000, False)
    assert talk.machine.calls == 0
    with pytest.raises(CallOver):
        call.audio(Audio(b"x"))
    call.hang_up(0.0)
    call.fail(0.0)
    assert talk.hear() == []


@given(st.integers(1, 60))
def test_however_the_bytes_are_cut(size: int) -> None:
    machine = MuxMachine(0.0)
    data = b"".join((GREETING, opening(1), *SAID))
    for at in range(0, len(data), size):
        machine.receive(data[at : at + size], 0.0)
    (call,) = machine.take_begun()
    assert items(call)[:-1] == HEARD


def test_what_a_handler_says() -> None:
    talk = Talk()
    call = talk.call(granted=8)
    call.audio(Audio(b"abc"))
    call.audio(Audio(b"x", talk_spurt=True, end_of_turn=True))
    call.audio(Audio(b"x", timestamp=2**32 + 8000))
    assert call.mark("a", 0.0) == call.clear(0.0) == call.dtmf(5, 160, 0.0) == call.json({"a": 1}, 0.0) == 0.0
    assert call.may_send
    call.mark("b", 0.0)
    assert not call.may_send
    call.hang_up(0.0, "done\n")
    call.hang_up(0.0)
    assert call.may_send  # so that it hears that it is over
    assert talk.hear() == [
        ("audio", 1, b"\0abc"),
        ("audio", 1, b"\x60x"),
        ("audio", 1, bytes.fromhex("10 00001f40") + b"x"),
        ("mark", 1, b"a"),
        ("clear", 1, b""),
        ("dtmf", 1, b"\5\0\xa0"),
        ("json", 1, b'{"a":1}'),
        ("mark", 1, b"b"),
        ("stop", 1, b'{"reason":"done?"}'),
    ]
    with pytest.raises(CallOver):
        call.clear(0.0)
    talk.say(frame("audio", 1, b"\0late"), stopping(1))
    assert [type(each) for each in items(call)] == [Audio, Ended]
    assert talk.machine.next_deadline() is None


def test_data_sessions() -> None:
    talk = Talk()
    call = talk.call(data=True)
    talk.say(frame("data", 1, b"\0\1"))
    assert items(call) == [Data(b"\0\1")]
    call.data(b"\2")
    call.json({}, 0.0)
    assert talk.hear() == [("data", 1, b"\2"), ("json", 1, b"{}")]
    for act in (lambda: call.mark("a", 0.0), lambda: call.audio(Audio(b"x")), lambda: call.data(bytes(8001))):
        with pytest.raises(ApiMisuse):
            act()
    assert talk.hear() == []


def test_what_the_proxy_would_end_the_call_for_is_refused_where_it_is_said() -> None:
    talk = Talk()
    call = talk.call()
    for act in (
        lambda: call.audio(Audio(bytes(161))),
        lambda: call.data(b"x"),
        lambda: call.mark("ä" * 33, 0.0),
        lambda: call.mark("\ud800", 0.0),
        lambda: call.dtmf(16, 1, 0.0),
        lambda: call.json({"a": "a" * 4000}, 0.0),
    ):
        with pytest.raises(ApiMisuse):
            act()
    assert talk.hear() == []


def test_texts_are_paced_and_ask_for_credit() -> None:
    talk = Talk()
    call = talk.call(granted=41)
    assert [call.clear(0.0) for _ in range(41)] == [0.0] * 40 + [pytest.approx(0.05)]
    assert call.clear(0.06) == 0.0
    with pytest.raises(ApiMisuse, match="may_send"):
        call.clear(1.0)


def test_what_was_taken_is_granted_again() -> None:
    talk = Talk()
    call = talk.call()
    talk.say(frame("audio", 1, b"\0abc") * WINDOW_FRAMES)
    assert len(items(call)) == WINDOW_FRAMES
    assert talk.hear() == [("credit", 1, (WINDOW_FRAMES // 2).to_bytes(4))] * 2
    talk.say(frame("audio", 1, b"\0abc") * WINDOW_FRAMES)
    assert talk.machine.fault is None
    assert call.frames_dropped == 0


def test_a_handler_that_fails() -> None:
    talk = Talk()
    call = talk.call()
    call.fail(0.0)
    assert talk.hear() == [("error", 1, b'{"code":"failed","reason":"the handler failed"}')]
    assert call.ended == Ended(1011, "the handler failed", truncated=True)
    talk.say(frame("audio", 1, b"\0late"), stopping(1))
    assert items(call) == [call.ended]
    assert talk.machine.calls == 0


def test_a_proxy_that_does_not_answer_is_waited_for_so_long() -> None:
    talk = Talk()
    first, second = talk.call(1), talk.call(2)
    talk.machine.take_changed()
    first.hang_up(0.0)
    second.hang_up(1.0)
    assert talk.machine.next_deadline() == CLOSE_SECONDS
    talk.machine.on_deadline(CLOSE_SECONDS - 0.1)
    assert first.ended is None
    talk.machine.on_deadline(CLOSE_SECONDS)
    assert first.ended == Ended(1006, "the proxy did not answer", truncated=True)
    assert second.ended is None
    assert talk.machine.take_changed() == [first]
    assert talk.machine.next_deadline() == 1.0 + CLOSE_SECONDS
    talk.say(stopping(1), stopping(2))
    assert second.ended is not None
    assert not second.ended.truncated
    assert talk.machine.next_deadline() is None


def test_a_handler_that_failed_lets_nobody_wait_who_hangs_up_behind_it() -> None:
    talk = Talk()
    failed, other = talk.call(1), talk.call(2)
    failed.fail(talk.now)
    other.hang_up(talk.now)
    assert talk.machine.next_deadline() == talk.now + CLOSE_SECONDS
    talk.machine.on_deadline(talk.now + CLOSE_SECONDS)
    assert other.ended is not None


def test_a_proxy_gives_a_call_up() -> None:
    talk = Talk()
    first, second = talk.call(1), talk.call(2)
    talk.say(frame("error", 1, {"code": "flood", "reason": "too\nmuch"}))
    assert first.ended == Ended(1011, "the proxy gave the call up: flood: too?much", truncated=True)
    talk.say(frame("error", 2, b"\xff"))
    assert second.ended == Ended(1011, "the proxy gave the call up: without a reason", truncated=True)


def test_as_many_calls_as_there_may_be() -> None:
    talk = Talk(busy_at=1)
    talk.call(1)
    talk.say(opening(2), frame("error", 2, {"code": "gave_up"}))
    ((name, number, body),) = talk.hear()
    assert (name, number, json.loads(body)["code"]) == ("refused", 2, "busy")
    assert talk.machine.take_begun() == []
    talk.say(stopping(1), opening(3))
    assert talk.hear()[0] == ("opened", 3, b"")


def test_the_connections_own_frames() -> None:
    talk = Talk()
    talk.say(frame("ping", 0, b"12345678"), frame("pong", 0, bytes(8)), frame("goaway", 0), frame(0x90, 0, b"later"))
    assert talk.hear() == [("pong", 0, b"12345678")]
    assert not talk.machine.is_over
    call = talk.call()
    talk.say(frame("error", 0, {"code": "flood"}))
    assert call.ended == Ended(1006, "the proxy gave the connection up: flood", truncated=True)
    assert talk.machine.is_over
    assert talk.machine.fault is None


def test_a_connection_that_ends() -> None:
    talk = Talk()
    calls = [talk.call(1), talk.call(2)]
    talk.machine.receive_eof(0.0)
    talk.machine.receive_eof(0.0)
    for call in calls:
        assert call.ended == Ended(1006, "the connection to the proxy ended without a word", truncated=True)
        assert items(call) == [call.ended]
    assert talk.machine.take_changed() == calls
    assert talk.machine.next_deadline() is None
    talk.say(opening(3))
    talk.machine.on_deadline(1e6)
    talk.machine.say(b"nobody reads it")
    assert talk.hear() == []


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (opening(1), "call 1 was opened behind call 1"),
        (opening(0), "call 0 was opened behind call 1"),
        (frame("open", 2, b"no json"), "a text is not as the contract has it"),
        (frame("open", 2, b"\xff"), "a text is not UTF-8"),
        (frame("audio", 2, b"\0abc"), "a frame of type 0x10 in call 2"),
        (frame("error", 2), "a frame of type 0x21 in call 2"),
        (frame("opened", 1), "a frame of type 0x02 in call 1"),
        (frame("clear", 1), "a frame of type 0x14 in call 1"),
        (frame("audio", 1), "an audio frame is cut off"),
        (frame("audio", 1, b"\x11\0\1\0\0\0"), "an audio frame is cut off"),
        (frame("data", 1, b"x"), "a frame of type 0x11 that this call cannot have"),
        (frame("dtmf", 1, b"x"), "a frame of type 0x12 that this call cannot have"),
        (frame("mute", 1, b"\2"), "a frame of type 0x16 that this call cannot have"),
        (frame("mark", 1, b"\xff"), "a text is not UTF-8"),
        (frame("json", 1, b"[]"), "a json is no object"),
        (frame("stop", 1, b"{}"), "a text is not as the contract has it"),
        (frame("stop", 1, {"type": "clear"}), "a `stop` of another type"),
        (credit(1, 0), "a credit of 4 bytes"),
        (credit(1, 0x7FFFFFFF), "more credit than can be counted"),
        (frame("audio", 1, b"\0abc") * 251, "more frames than it has credit for"),
        (frame("ping", 0, b"x"), "a ping of 1 bytes"),
        (frame("pong", 0, b"x"), "a ping of 1 bytes"),
        (frame("stop", 0), "a frame of type 0x20 of no call"),
        (bytes.fromhex("4001 00000001 10"), "a frame of 16385 bytes"),
    ],
)
def test_what_no_proxy_says_ends_the_connection(said: bytes, fault: str) -> None:
    talk = Talk()
    call = talk.call()
    talk.say(said, frame("audio", 1, b"\0late"))
    assert (talk.machine.fault or "").startswith(fault)
    assert talk.machine.is_over
    assert talk.hear()[-1][:2] == ("error", 0)
    assert call.ended == Ended(1008, talk.machine.fault or "", truncated=True)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"SVMUX\2\3\n", b"SVMUX\1\1\r", b"S\0"])
def test_somebody_who_greets_otherwise(data: bytes) -> None:
    machine = MuxMachine(0.0)
    machine.receive(data, 0.0)
    assert machine.is_over
    assert machine.fault
    assert not machine.is_accepted


def test_who_does_not_greet_in_time_or_holds_others_up() -> None:
    machine = MuxMachine(0.0)
    machine.receive(GREETING[:7], 0.0)
    assert machine.next_deadline() == HANDSHAKE_SECONDS
    machine.on_deadline(HANDSHAKE_SECONDS)
    assert machine.fault == "no greeting came within 10 seconds"
    another = MuxMachine(0.0)
    another.make_room(0.0)
    assert another.is_over


class _Secured:
    """A proxy's end in TLS."""

    def __init__(self) -> None:
        ca = Authority("ca")
        self.machine = MuxMachine(0.0, tls=server_context(ca.issue("localhost"), pq=PqPolicy.PREFER))
        self.core = TlsCore(client_context("localhost", pq=PqPolicy.REQUIRE, ca_pem=ca.pem))
        self.heard = b""

    def settle(self) -> None:
        while (out := self.core.to_send()) + (back := self.machine.to_send()):
            self.machine.receive(out, 0.0)
            self.heard += self.core.receive(back) if back else b""


def test_in_tls() -> None:
    peer = _Secured()
    peer.settle()
    assert peer.heard == GREETING
    peer.core.send(GREETING + opening(1) + credit(1, 5))
    peer.settle()
    (call,) = peer.machine.take_begun()
    call.audio(Audio(b"abc"))
    peer.settle()
    assert split(peer.heard[8:])[0][-1] == ("audio", 1, b"\0abc")
    peer.core.close()
    peer.settle()
    assert peer.machine.is_over
    assert peer.core.closed_by_peer
    assert call.ended is not None
    assert call.ended.code == 1006


def test_tls_with_somebody_who_does_not_speak_it() -> None:
    peer = _Secured()
    peer.machine.receive(GREETING * 3, 0.0)
    assert peer.machine.is_over
    assert "TLS" in (peer.machine.fault or "")


@given(st.binary(max_size=300))
def test_any_bytes_leave_one_end_or_none(data: bytes) -> None:
    talk = Talk()
    call = talk.call()
    talk.say(data)
    assert sum(isinstance(each, Ended) for each in items(call)) == int(call.ended is not None)
    assert talk.machine.is_over or talk.machine.fault is None
    split(talk.machine.to_send())
