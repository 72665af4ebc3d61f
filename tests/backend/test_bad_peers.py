"""Who connects may be anybody: each is answered as RFC 6455 or the contract has it, and the server goes on."""

import pytest

from tests.backend.peers import START_TEXT, close_code, echo, is_echoing
from tests.backend.servers import Server, serving


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["no json"], 1008),
        ([b"audio first"], 1008),
        ([START_TEXT, START_TEXT], 1008),
        ([START_TEXT, '{"type":"mute"}'], 1008),
        ([START_TEXT, bytes(70_000)], 1009),
    ],
)
def test_a_bad_peer_is_closed_with_the_right_code_and_the_server_goes_on(
    server: Server, messages: list[str | bytes], code: int, logged: pytest.LogCaptureFixture
) -> None:
    with serving(server, echo):
        with server.connect() as peer:
            for message in messages:
                peer.send(message)
            assert close_code(peer) == code
        assert is_echoing(server)
    (record,) = logged.records
    assert record.message.startswith("a connection from 127.0.0.1:")


@pytest.mark.parametrize("garbage", [b"\0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000], ids=len)
def test_garbage_is_answered_by_http_and_the_server_goes_on(server: Server, garbage: bytes) -> None:
    with serving(server, echo):
        try:
            answer = server.knock(garbage)
        except ConnectionResetError:  # it sent more than was read
            answer = b"HTTP/1.1 4"
        assert answer.startswith(b"HTTP/1.1 4")
        assert is_echoing(server)


def test_a_peer_that_never_starts_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.backend.machine.call.HANDSHAKE_SECONDS", 0.1)
    with serving(server, echo):
        assert server.knock(b"") == b""
        with server.connect() as peer:
            assert close_code(peer) == 1008
