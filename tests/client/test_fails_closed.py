"""A client that does not get `sottovoce.v1` gives nothing; and what is secret stays in the sealed part."""

import logging
from collections.abc import Callable

import pytest

from sottovoce.client.errors import CallError, ConnectFailed
from sottovoce.primitives import DEFAULT_SUITES, Secret, Suite
from sottovoce.session import Identity, ServerConfig
from sottovoce.transport import ServerWebSocket
from sottovoce.wire import Code
from tests.client.servers import FRAME, PureServer, Talk, settings
from tests.session.dialogue import Credentials

_UPGRADE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n"
)


def _with(headers: str) -> Callable[[str], bytes]:
    return lambda accept: (_UPGRADE.format(accept) + headers + "\r\n").encode()


def _refuse(status: int) -> Callable[[ServerWebSocket], None]:
    return lambda websocket: websocket.refuse(status, "no")


def _only_the_request_has_left(talk: Talk) -> None:
    """Whatever is called, nothing but the HTTP request has been or will be sent inside TLS."""
    machine = talk.machine
    assert not machine.is_open
    assert not machine.send_audio(FRAME, 0.0)
    assert not machine.send_json({"a": 1}, 0.0)
    machine.on_deadline(100.0)
    talk.run()
    assert machine.is_over
    request = bytes(talk.server.plaintext)
    assert request.startswith(b"GET /v1/voice/echo HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n")
    assert request.count(b"\r\n\r\n") == 1


@pytest.mark.protocol("P1.2", "P1.18")
@pytest.mark.parametrize(
    "headers",
    [
        "",
        "Sec-WebSocket-Protocol: chat\r\n",
        "Sec-WebSocket-Protocol: sottovoce.v2\r\n",
        "Sec-WebSocket-Protocol: sottovoce.v1, chat\r\n",
        "Sec-WebSocket-Protocol: sottovoce.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
    ],
)
def test_a_101_that_does_not_select_the_protocol_is_no_call(headers: str) -> None:
    talk = Talk(PureServer(response=_with(headers))).run()
    assert type(talk.machine.failure) is ConnectFailed
    _only_the_request_has_left(talk)


def test_the_same_101_with_the_protocol_is_one() -> None:
    server = PureServer(response=_with("Sec-WebSocket-Protocol: sottovoce.v1\r\n"))
    talk = Talk(server).run()
    assert talk.machine.failure is None
    assert server.plaintext.count(b"\r\n\r\n") == 1
    assert len(server.plaintext) > server.plaintext.index(b"\r\n\r\n") + 4, "the ClientHello has left"


@pytest.mark.protocol("P1.18")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 425, 426, 429, 500, 503])
def test_a_refusal_is_no_call_and_says_what_to_do(status: int) -> None:
    talk = Talk(PureServer(answer=_refuse(status))).run()
    failure = talk.machine.failure
    assert isinstance(failure, ConnectFailed)
    assert failure.status == status
    assert str(status) in str(failure)
    _only_the_request_has_left(talk)


@pytest.mark.protocol("P1.18", "P4.17")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_not_followed(status: int) -> None:
    response = f"HTTP/1.1 {status} Elsewhere\r\nLocation: wss://evil.example/v1/voice/echo\r\n\r\n".encode()
    talk = Talk(PureServer(response=lambda _: response)).run()
    failure = talk.machine.failure
    assert isinstance(failure, ConnectFailed)
    assert failure.status == status
    assert "evil" not in str(failure), "a peer's words are not repeated"
    _only_the_request_has_left(talk)


@pytest.mark.protocol("P1.18")
@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\0" * 20_000,
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: sottovoce.v1\r\n\r\n",
    ],
)
def test_what_is_no_upgrade_is_no_call(response: bytes) -> None:
    talk = Talk(PureServer(response=lambda _: response)).run()
    assert type(talk.machine.failure) is ConnectFailed
    _only_the_request_has_left(talk)


@pytest.mark.protocol("P1.19", "P11.11")
def test_after_a_failure_there_is_no_second_offer() -> None:
    """The offer is the configuration's, once: one ClientHello, all suites hybrid, and then the end."""
    talk = Talk(PureServer(config=ServerConfig(suites=(Suite.X25519_AES256GCM,)))).run()
    failure = talk.machine.failure
    assert isinstance(failure, CallError)
    assert failure.code == Code.NO_COMMON_SUITE
    assert not any(suite.is_classical for suite in DEFAULT_SUITES)
    before = bytes(talk.server.plaintext)
    talk.machine.on_deadline(100.0)
    talk.run()
    assert bytes(talk.server.plaintext) == before
    assert talk.machine.is_over


@pytest.mark.protocol("P1.7", "P3.31", "P4.17")
def test_a_token_stands_in_nothing_but_the_sealed_flight(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hunter2-hunter2-hunter2"
    made = settings(token=secret)
    credentials = Credentials(Identity("alice"))
    server = PureServer(config=ServerConfig(credential_kinds=(1,)), credentials=credentials)
    talk = Talk(server, made).run()
    assert credentials.asked == [(1, secret.encode(), b"localhost:8443", b"/v1/voice/echo")]
    machine = talk.machine
    machine.send_audio(FRAME, 0.0)
    talk.run()
    inside_tls, outside = bytes(server.plaintext), bytes(talk.from_client + talk.from_server)
    shown = repr((made, machine, machine.statistics, machine.items(), vars(machine))) + caplog.text
    for piece in (secret, secret[:8]):
        assert piece.encode() not in inside_tls
        assert piece.encode() not in outside
        assert piece not in shown
    assert made.config.credential.token is not None
    assert made.config.credential.token.is_wiped, "nobody needs it any more"


@pytest.mark.protocol("P3.31", "P4.17")
def test_a_server_that_is_not_the_right_one_never_gets_the_token() -> None:
    made = settings(token="hunter2")
    credentials = Credentials(Identity("alice"))
    server = PureServer(config=ServerConfig(credential_kinds=(1,)), credentials=credentials)
    server.serving.certificate = server.serving.certificate[:-1] + b"\0"
    talk = Talk(server, made).run()
    assert talk.machine.failure is not None
    assert talk.machine.failure.code == Code.AUTH_FAILED
    assert credentials.asked == []
    assert "hunter2" not in str(talk.machine.failure)
    assert made.config.credential.token == Secret("token", bytes(7))
