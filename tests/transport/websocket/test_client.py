import base64
import hashlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import ClientWebSocket, UpgradeAccepted, WebSocketClosed, WsFailed
from sottovoce.transport.limits import UPGRADE_BYTES
from tests.transport.websocket.dialogue import BINARY, LIMIT, cut, frame, head, receive_pieces

NOT_HTTP = "the server's response is not HTTP/1.1"
UNSOUND = "the server's response is not sound HTTP/1.1"
NOT_ASKED = "the server selected a WebSocket subprotocol or extension that was not asked for"
NOT_OPENED = "the server's response does not open the WebSocket that was asked for"
NOT_SELECTED = "the server did not select the WebSocket subprotocol that was asked for"


def client(subprotocol: str | None = None) -> ClientWebSocket:
    return ClientWebSocket("[::1]:8443", "/v1/voice/echo?x=1", max_message_bytes=LIMIT, subprotocol=subprotocol)


def asked(subprotocol: str | None = None) -> tuple[ClientWebSocket, dict[str, str]]:
    """Give a client that has asked, and the headers of the response that would satisfy it."""
    end = client(subprotocol)
    end.request()
    lines = end.to_send().decode().split("\r\n")
    key = next(line for line in lines if line.startswith("Sec-WebSocket-Key: ")).partition(": ")[2]
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324  # RFC 6455 §1.3
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
    }
    if subprotocol is not None:
        headers["Sec-WebSocket-Protocol"] = subprotocol
    return end, headers


def response(headers: dict[str, str], line: str = "HTTP/1.1 101 Switching Protocols") -> bytes:
    return head(line, headers.items())


def test_the_request() -> None:
    end = client("sottovoce.v1")
    assert end.to_send() == b""
    end.request()
    first, host, *others, blank, nothing = end.to_send().decode().split("\r\n")
    assert first == "GET /v1/voice/echo?x=1 HTTP/1.1"
    assert host == "Host: [::1]:8443"
    assert (blank, nothing) == ("", "")
    assert {line.partition(":")[0] for line in others} == {
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
    }


@pytest.mark.parametrize("subprotocol", [None, "sottovoce.v1"])
def test_acceptance_and_what_came_with_it(subprotocol: str | None) -> None:
    end, headers = asked(subprotocol)
    assert not end.is_open
    events = end.receive(response(headers) + frame(BINARY, b"hello", masked=False))
    assert events == [UpgradeAccepted(subprotocol), b"hello"]
    assert end.is_open
    assert not end.is_over


@pytest.mark.protocol("P1.18")
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Sec-WebSocket-Protocol": None}, NOT_SELECTED),
        ({"Sec-WebSocket-Protocol": "chat"}, NOT_ASKED),
        ({"Sec-WebSocket-Protocol": "sottovoce.v1, chat"}, NOT_OPENED),
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, NOT_ASKED),
        ({"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, NOT_OPENED),
        ({"Sec-WebSocket-Accept": None}, NOT_OPENED),
        ({"Upgrade": "h2c"}, NOT_OPENED),
        ({"Connection": None}, NOT_OPENED),
        ({"bad name": "x"}, UNSOUND),
    ],
    ids=str,
)
def test_a_response_that_does_not_open_what_was_asked_for(changed: dict[str, str | None], reason: str) -> None:
    end, headers = asked("sottovoce.v1")
    headers = {name: value for name, value in {**headers, **changed}.items() if value is not None}
    assert end.receive(response(headers) + frame(BINARY, b"hello", masked=False)) == [WsFailed(reason)]
    assert end.is_over
    assert not end.is_open
    with pytest.raises(WebSocketClosed):
        end.send_binary(b"audio")
    end.close(1000)
    assert end.to_send() == b""


def test_a_subprotocol_that_nobody_asked_for() -> None:
    end, headers = asked()
    assert end.receive(response({**headers, "Sec-WebSocket-Protocol": "chat"})) == [WsFailed(NOT_ASKED)]


@pytest.mark.parametrize("status", [100, 200, 301, 403, 404, 503])
def test_a_refusal_is_told_before_its_body_has_come(status: int) -> None:
    end, _ = asked()
    data = response({"Content-Length": "1000"}, f"HTTP/1.1 {status} \N{SNOWMAN}".encode("ascii", "ignore").decode())
    assert end.receive(data + b"the peer's words") == [
        WsFailed(f"the server refused the WebSocket with HTTP status {status}", status)
    ]
    assert end.is_over
    assert end.receive(b"more") == []
    assert end.receive_eof() == []


@pytest.mark.parametrize(
    "line", ["HTTP/1.0 101 Fine", "HTTP/1.1 99 Low", "HTTP/2 101", "HTTP/1.1 1011 Long", "SSH-2.0", ""]
)
def test_what_is_no_http(line: str) -> None:
    end, headers = asked()
    assert end.receive(response(headers, line)) == [WsFailed(NOT_HTTP)]


def test_a_status_line_without_a_reason() -> None:
    end, headers = asked()
    assert end.receive(response(headers, "HTTP/1.1 101")) == [WsFailed(UNSOUND)]  # RFC 9112 §4: the space is mandatory


@pytest.mark.parametrize(
    "data", [b"x" * (UPGRADE_BYTES + 1), b"HTTP/1.1 101 \r\nA: " + b"x" * UPGRADE_BYTES + b"\r\n\r\n"]
)
def test_a_head_that_is_too_large(data: bytes) -> None:
    end, _ = asked()
    assert end.receive(data) == [WsFailed(f"the head of the server's response has more than {UPGRADE_BYTES} bytes")]


def test_a_line_that_is_too_long() -> None:
    end, headers = asked()
    assert end.receive(response({**headers, "A": "x" * 9_000})) == [WsFailed(UNSOUND)]


def test_the_end_of_the_bytes_before_it_is_open() -> None:
    end, headers = asked()
    assert end.receive(response(headers)[:-1]) == []
    assert end.receive_eof() == [WsFailed("the connection ended before the WebSocket was open")]


@pytest.mark.parametrize("authority", ["", "a b", "a\r\nX: y", "höst", "user@host", "host/"])
def test_an_authority_that_is_none(authority: str) -> None:
    with pytest.raises(ApiMisuse):
        ClientWebSocket(authority, "/", max_message_bytes=LIMIT)


@pytest.mark.parametrize("target", ["", "voice", "/a b", "/\r\nX: y", "/ö", "/#a", "http://a/"])
def test_a_target_that_is_none(target: str) -> None:
    with pytest.raises(ApiMisuse):
        ClientWebSocket("host", target, max_message_bytes=LIMIT)


def test_misuse() -> None:
    end = client()
    with pytest.raises(ApiMisuse):
        end.receive(b"")
    end.request()
    for call in (end.request, lambda: end.send_text("x"), lambda: end.close(1000)):
        with pytest.raises(ApiMisuse):
            call()


@given(st.lists(st.integers(1, 60)))
def test_any_cut_of_a_response_is_the_same_response(sizes: list[int]) -> None:
    end, headers = asked("sottovoce.v1")
    data = response(headers) + frame(BINARY, b"hello", masked=False)
    assert receive_pieces(end, cut(data, sizes)) == [UpgradeAccepted("sottovoce.v1"), b"hello"]


@given(st.lists(st.binary(max_size=300)), st.sampled_from([b"", b"HTTP/1.1 101 ", b"HTTP/1.1 101 X\r\n"]))
def test_any_bytes_raise_nothing(pieces: list[bytes], start: bytes) -> None:
    end, _ = asked()
    for event in receive_pieces(end, [start, *pieces, b"\r\n\r\n"]):
        assert isinstance(event, WsFailed)
    end.receive_eof()
    assert end.is_over


@given(
    st.dictionaries(
        st.sampled_from(
            ["Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "A", "Sec-WebSocket-Extensions"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=30),
        min_size=1,
        max_size=3,
    )
)
def test_nearly_sound_responses_raise_nothing(changed: dict[str, str]) -> None:
    end, headers = asked("sottovoce.v1")
    for event in end.receive(response({**headers, **changed})):
        assert isinstance(event, UpgradeAccepted | WsFailed)


def test_headers_of_the_callers_own_go_with_the_request() -> None:
    websocket = client()
    websocket.request([("Authorization", "Bearer a b"), ("X-Team", "voice")])
    lines = websocket.to_send().split(b"\r\n")
    assert lines.count(b"Authorization: Bearer a b") == lines.count(b"X-Team: voice") == 1


@pytest.mark.parametrize("header", [("a b", "c"), ("", "c"), ("a", ""), ("a", "b\r\nc: d"), ("a", " b"), ("a", "é")])
def test_a_header_that_is_none_is_our_own_fault(header: tuple[str, str]) -> None:
    with pytest.raises(ApiMisuse, match="a header has a name"):
        client().request([header])
