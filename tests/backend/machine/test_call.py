import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.backend.errors import CallOver
from sottovoce.backend.items import Audio, Data, Dtmf, Ended, Item, Json, MarkPlayed, Mute, Statistics
from sottovoce.backend.machine import CallMachine
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import CLOSE_SECONDS, HANDSHAKE_SECONDS, PqPolicy, client_context, server_context
from tests.backend.proxies import DATA_START, START, STOP, Proxy, in_call
from tests.transport.certificates import Authority

ENDED = Ended(1000, "normal", truncated=False, statistics=Statistics(seconds=1.5, epochs=1, frames_from_client=3))
SAID: tuple[dict[str, object] | bytes, ...] = (
    b"abc",
    {"type": "dtmf", "event": 5, "duration_ms": 160},
    {"type": "mark", "name": "a"},
    {"type": "mute", "muted": True},
    {"type": "later", "invention": 1},
    {"type": "json", "value": {"a": 1}},
    b"",
    STOP,
)
HEARD: list[Item] = [Audio(b"abc"), Dtmf(5, 160), MarkPlayed("a"), Mute(muted=True), Json({"a": 1}), Audio(b""), ENDED]


def test_a_call_from_start_to_stop() -> None:
    proxy = in_call()
    machine = proxy.machine
    assert machine.start is not None
    assert machine.start.route == "bot"
    assert proxy.items() == []
    proxy.say(*SAID)
    assert machine.ended == ENDED
    assert not machine.is_over
    assert proxy.close().items() == HEARD
    assert machine.is_over
    assert machine.fault is None
    assert machine.next_deadline() is None


@given(st.integers(1, 50))
def test_however_the_bytes_are_cut(size: int) -> None:
    def cut(data: bytes) -> list[bytes]:
        return [data[at : at + size] for at in range(0, len(data), size)]

    proxy = Proxy(CallMachine(0.0), cut=cut).say(START, *SAID).close()
    assert proxy.items() == HEARD


def test_in_tls() -> None:
    ca = Authority("ca")
    server = server_context(ca.issue("localhost"), pq=PqPolicy.PREFER)
    client = client_context("localhost", pq=PqPolicy.REQUIRE, ca_pem=ca.pem)
    proxy = Proxy(CallMachine(0.0, tls=server), tls=client).say(START, b"abc")
    proxy.machine.audio(Audio(b"cba"))
    assert proxy.settle().heard == [b"cba"]
    assert proxy.say(STOP).close().items() == [Audio(b"abc"), ENDED]


def test_tls_with_somebody_who_does_not_speak_it() -> None:
    ca = Authority("ca")
    machine = CallMachine(0.0, tls=server_context(ca.issue("localhost"), pq=PqPolicy.PREFER))
    machine.receive(b"GET / HTTP/1.1\r\n\r\n", 0.0)
    assert machine.is_over
    assert "TLS" in (machine.fault or "")


def test_what_a_handler_says() -> None:
    proxy = in_call()
    machine = proxy.machine
    machine.audio(Audio(b"abc"))
    assert machine.mark("a", 0.0) == machine.clear(0.0) == machine.dtmf(1, 2, 0.0) == 0.0
    assert machine.json({"a": 1}, 0.0) == 0.0
    machine.hang_up(0.0, "done")
    assert proxy.settle().heard == [
        b"abc",
        {"type": "mark", "name": "a"},
        {"type": "clear"},
        {"type": "dtmf", "event": 1, "duration_ms": 2},
        {"type": "json", "value": {"a": 1}},
        {"type": "stop", "reason": "done"},
    ]
    with pytest.raises(CallOver):
        machine.audio(Audio(b"late"))
    machine.hang_up(0.0)  # harmless
    assert proxy.say(b"on its way", STOP).close().items() == [Audio(b"on its way"), ENDED]


def test_a_call_without_audio() -> None:
    proxy = in_call(DATA_START)
    proxy.say(b"\1\2")
    proxy.machine.data(b"\2\1")
    assert proxy.machine.json({}, 0.0) == 0.0
    with pytest.raises(ApiMisuse, match="no marks"):
        proxy.machine.clear(0.0)
    assert proxy.settle().heard == [b"\2\1", {"type": "json", "value": {}}]
    assert proxy.items() == [Data(b"\1\2")]


def test_texts_are_paced() -> None:
    machine = in_call().machine
    assert [machine.clear(0.0) for _ in range(40)] == [0.0] * 40
    assert machine.clear(0.0) == pytest.approx(0.05)
    assert machine.clear(0.06) == 0.0
    assert machine.clear(0.05) == pytest.approx(0.04)  # an older time gives no new tokens


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ((b"abc",), "not `start` but binary"),
        ((SAID[1],), "not `start` but 'dtmf'"),
        (("no json",), "not as the contract has it"),
        ((START | {"version": 9},), "version 9"),
        ((START, START), "second time"),
        ((START, {"type": "dtmf"}), "not as the contract has it"),
        ((START | {"header": True}, b"abc"), "shorter than its header"),
        ((START, STOP, b"abc"), "behind `stop`"),
    ],
)
def test_a_peer_that_does_not_keep_to_the_contract(
    said: tuple[dict[str, object] | bytes | str, ...], fault: str
) -> None:
    proxy = Proxy(CallMachine(0.0)).say(*said)
    assert proxy.heard == [1008]
    assert fault in (proxy.machine.fault or "")
    ended = proxy.machine.ended
    assert ended is not None
    assert ended.truncated is (STOP not in said)
    assert proxy.items()[-1] == ended
    assert proxy.machine.is_over


def test_a_message_too_large_and_a_text_that_is_none() -> None:
    proxy = in_call().say(bytes(65_537))
    assert proxy.heard == [1009]
    assert isinstance(proxy.items()[-1], Ended)
    machine = Proxy(CallMachine(0.0)).machine
    machine.receive(bytes.fromhex("818100000000ff"), 0.0)
    assert machine.is_over
    assert "UTF-8" in (machine.fault or "")


def test_a_web_page_is_refused_and_so_is_one_call_too_many() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    page = CallMachine(0.0)
    page.receive(head + key + b"Origin: http://evil.example\r\n\r\n", 0.0)
    assert page.to_send().startswith(b"HTTP/1.1 403 ")
    assert page.is_over
    busy = CallMachine(0.0, is_busy=lambda: True)
    busy.receive(head + key + b"\r\n", 0.0)
    assert busy.to_send().startswith(b"HTTP/1.1 503 ")
    assert busy.fault == "there are as many calls as there may be"


def test_without_a_start_it_is_closed() -> None:
    proxy = Proxy(CallMachine(0.0))
    assert proxy.machine.next_deadline() == HANDSHAKE_SECONDS
    assert proxy.at(HANDSHAKE_SECONDS - 1).heard == []
    assert proxy.at(HANDSHAKE_SECONDS).heard == [1008]
    assert proxy.machine.fault == "no `start` came within 10 seconds"
    silent = CallMachine(0.0)
    silent.on_deadline(HANDSHAKE_SECONDS)
    assert silent.is_over


def test_an_end_without_a_stop_is_truncated() -> None:
    closed = in_call().close(1001)
    assert closed.items() == [Ended(1001, "the proxy closed the WebSocket without a word", truncated=True)]
    lost = in_call()
    lost.machine.receive_eof(0.0)
    assert lost.items() == [Ended(1006, "the connection to the proxy ended without a word", truncated=True)]
    assert lost.machine.fault is None
    lost.machine.receive(b"more", 0.0)
    lost.machine.receive_eof(0.0)
    assert lost.items() == []


def test_a_proxy_that_does_not_answer_is_not_waited_for() -> None:
    hung_up = in_call()
    hung_up.machine.hang_up(0.0)
    assert not hung_up.at(CLOSE_SECONDS - 1).machine.is_over
    assert hung_up.at(CLOSE_SECONDS).machine.is_over
    assert hung_up.items() == [Ended(1006, "the proxy did not answer", truncated=True)]
    stopped = in_call().say(STOP)
    assert stopped.at(CLOSE_SECONDS).machine.is_over
    assert stopped.items() == [ENDED]


def test_a_handler_that_fails_leaves_no_stop() -> None:
    proxy = in_call()
    proxy.machine.fail(0.0)
    assert proxy.settle().heard == [1011]
    assert proxy.items() == [Ended(1011, "the handler failed", truncated=True)]
    assert proxy.machine.is_over
    unanswered = in_call().machine
    unanswered.fail(0.0)
    assert not unanswered.is_over
    unanswered.on_deadline(2.0)
    assert unanswered.is_over


def test_it_reads_no_more_while_nobody_takes_what_must_not_be_dropped() -> None:
    proxy = in_call()
    for _ in range(500):
        assert proxy.machine.wants_more
        proxy.say(SAID[1])
    assert not proxy.machine.wants_more
    proxy.machine.take()
    assert proxy.machine.wants_more


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_any_bytes_leave_a_machine_that_goes_on_or_is_over(pieces: list[bytes]) -> None:
    fresh, running = CallMachine(0.0), in_call().machine
    for machine in (fresh, running):
        for piece in pieces:
            machine.receive(piece, 0.0)
            machine.to_send()
        machine.receive_eof(0.0)
        assert machine.is_over
        assert machine.ended is not None


def test_a_connection_that_asks_for_nothing_makes_room_for_others() -> None:
    machine = CallMachine(0.0)
    assert not machine.is_accepted
    machine.make_room(1.0)
    assert machine.is_over
    assert machine.fault is not None
    assert in_call().machine.is_accepted
