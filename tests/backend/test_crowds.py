"""Peers that take what they can get: none of them takes calls, memory or time from the others."""

import json
import socket
import threading

import pytest

from sottovoce.backend import Call, Ended
from tests.backend.peers import KEY, START_TEXT, Raw, echo, is_echoing
from tests.backend.proxies import START
from tests.backend.servers import WAIT_SECONDS, Server, serving


def test_who_connects_and_asks_for_nothing_takes_no_calls_place(server: Server) -> None:
    with serving(server, echo, max_calls=1):
        silent = [socket.create_connection(server.address) for _ in range(3)]
        assert is_echoing(server)
        for each in silent:
            each.close()


def test_of_too_many_that_ask_for_nothing_the_oldest_goes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.backend.serving.MAX_WAITING", 2)
    with serving(server, echo):
        silent = [socket.create_connection(server.address, WAIT_SECONDS) for _ in range(4)]
        assert [each.recv(1) for each in silent[:2]] == [b"", b""]
        assert is_echoing(server)
        for each in silent:
            each.close()


def test_pings_whose_answers_nobody_reads_are_read_no_further(server: Server) -> None:
    with serving(server, echo), Raw(server, buffer_bytes=4096) as peer:
        peer.say(START_TEXT)
        peer.socket.settimeout(2)
        flood = (peer.frame(9, bytes(125)) * 16 + peer.frame(1, b'{"type":"later"}')) * 11_000  # 23 MB
        with pytest.raises(TimeoutError):
            peer.socket.sendall(flood)
        assert is_echoing(server)


def test_a_peer_that_holds_on_is_left_when_the_handler_fails_after_the_end(
    server: Server, logged: pytest.LogCaptureFixture
) -> None:
    async def bot(call: Call) -> None:
        async for item in call:
            assert not isinstance(item, Ended), "as late as can be"

    with serving(server, bot), Raw(server) as peer:
        peer.say(START_TEXT)
        peer.say('{"type":"mute"}')
        peer.read_to_the_end()
    assert "raised AssertionError" in logged.text


def test_waits_that_are_cancelled_in_a_silent_call_leave_nothing(server: Server) -> None:
    async def bot(call: Call) -> None:
        for _ in range(20):
            assert await server.within(0.001, call.__anext__) is None
        server.told.put(len(getattr(call._link, "_waiting", [])))

    with serving(server, bot), Raw(server) as peer:
        peer.say(START_TEXT)
        assert server.hear() <= 1


def test_what_a_peer_says_stays_on_its_line_of_the_log(server: Server, logged: pytest.LogCaptureFixture) -> None:
    async def bot(call: Call) -> None:
        raise ValueError(call.start.route)

    with serving(server, bot), Raw(server) as peer:
        peer.say(json.dumps(START | {"route": "a\nERROR b", "session_id": "\x1b[31m"}))
        peer.read_to_the_end()
    assert logged.records[0].message.isprintable()


def test_no_call_begins_while_the_server_ends(server: Server) -> None:
    go = threading.Event()

    async def bot(call: Call) -> None:
        server.told.put(call.start.route)
        try:
            async for _ in call:
                pass
        finally:
            server.told.put("ending")
            while server.loop != "trio" and not go.is_set():
                await server.pause(0.01)
            server.told.put("over")

    with serving(server, bot), Raw(server) as first, Raw(server) as second:
        first.say(START_TEXT)
        assert server.hear() == "bot"
        server.stop()
        assert server.hear() == "ending"
        second.say(START_TEXT)
        second.say(KEY)
        threading.Event().wait(0.05)
        go.set()
        assert server.hear() == "over"
        second.read_to_the_end()
    assert server.told.empty()
