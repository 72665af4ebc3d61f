import logging
from email.parser import BytesParser

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import ServerWebSocket, UpgradeRequest, WebSocketClosed, WsFailed
from sottovoce.transport.limits import UPGRADE_BYTES
from tests.transport.websocket.dialogue import (
    ACCEPT,
    BINARY,
    LIMIT,
    cut,
    frame,
    receive_pieces,
    request,
)

DEFLATE = "permessage-deflate; client_max_window_bits"


def server() -> ServerWebSocket:
    return ServerWebSocket(max_message_bytes=LIMIT)


def answer(end: ServerWebSocket) -> tuple[int, dict[str, str], bytes]:
    line, _, rest = end.to_send().partition(b"\r\n")
    head, _, body = rest.partition(b"\r\n\r\n")
    parsed = BytesParser().parsebytes(head, headersonly=True)
    return int(line.split()[1]), {name.lower(): value for name, value in parsed.items()}, body


def refusal(data: bytes) -> tuple[int, dict[str, str], bytes]:
    end = server()
    [failed] = end.receive(data)
    assert isinstance(failed, WsFailed)
    status, headers, body = answer(end)
    assert failed == WsFailed(body.decode().strip(), status)
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    assert end.is_over
    assert not end.is_open
    assert end.receive(b"more") == []
    assert end.to_send() == b""
    return status, headers, body


def test_a_request_is_told_as_it_was_sent() -> None:
    end = server()
    [asked] = end.receive(
        request(
            "GET /v1/voice/echo?a=%20b HTTP/1.1",
            Origin="https://app.example.com",
            Sec_WebSocket_Protocol="sottovoce.v1, chat",
            Cookie="session=s3cret",
        )
    )
    assert isinstance(asked, UpgradeRequest)
    assert asked.target == b"/v1/voice/echo?a=%20b"
    assert asked.authority == b"voice.example.com:8443"
    assert asked.origin == "https://app.example.com"
    assert asked.subprotocols == ("sottovoce.v1", "chat")
    assert asked.header("UPGRADE") == ("websocket",)
    assert asked.header("x-none") == ()
    assert "s3cret" not in repr(asked)
    assert not end.is_open


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8443", "a_b.Example.COM", "xn--bcher-kva.example"])
def test_hosts_that_are_taken(host: str) -> None:
    [asked] = server().receive(request(Host=host))
    assert isinstance(asked, UpgradeRequest)
    assert asked.authority == host.encode()
    assert asked.origin is None
    assert asked.subprotocols == ()


def test_accepting_opens_it() -> None:
    end = server()
    end.receive(request(Sec_WebSocket_Protocol="chat, sottovoce.v1"))
    end.accept("sottovoce.v1")
    status, headers, body = answer(end)
    assert status == 101
    assert headers["sec-websocket-accept"] == ACCEPT
    assert headers["sec-websocket-protocol"] == "sottovoce.v1"
    assert body == b""
    assert end.is_open
    assert end.receive(frame(BINARY, b"hello", masked=True)) == [b"hello"]


@pytest.mark.protocol("P1.3")
def test_an_offer_of_deflate_is_ignored() -> None:
    end = server()
    [asked] = end.receive(request(Sec_WebSocket_Extensions=DEFLATE))
    assert isinstance(asked, UpgradeRequest)
    end.accept(None)
    status, headers, _ = answer(end)
    assert status == 101
    assert "sec-websocket-extensions" not in headers
    assert "sec-websocket-protocol" not in headers
    [failed] = end.receive(frame(BINARY, b"deflated", masked=True, reserved=0x40))
    assert isinstance(failed, WsFailed)
    assert failed.close_code == 1002


@pytest.mark.protocol("P1.8")
@pytest.mark.parametrize(
    "target",
    ["https://voice.example.com/v1/voice/echo", "*", "voice.example.com:443", "/a#b", "/\x7f", "/a\tb", "//\x00"],
)
def test_a_target_that_is_not_a_path(target: str) -> None:
    assert refusal(request(f"GET {target} HTTP/1.1"))[0] == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"Host": None},
        {"Host": ""},
        {"Host": "a b"},
        {"Host": "user@host"},
        {"Host": "host/path"},
        {"Host": "one.example, two.example"},
        {"Host": "höst"},
        {"Host": "::1"},
        {"Host": "host:port"},
        {"Content-Length": "5"},
        {"Content-Length": "x"},
        {"Transfer-Encoding": "chunked"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=é"},
        {"Sec-WebSocket-Protocol": "not a token"},
        {"Connection": ","},
        {"bad name": "x"},
        {"Fine": "but\x00not its value"},
    ],
    ids=str,
)
def test_headers_that_are_not_sound(changed: dict[str, str | None]) -> None:
    assert refusal(request(**changed))[0] == 400


@pytest.mark.parametrize(
    "line", ["Host: voice.example.com:8443", "Sec-WebSocket-Version: 13", "Origin: https://a", "Sec-WebSocket-Key: a"]
)
def test_headers_that_come_twice(line: str) -> None:
    data = request(Origin="https://a")[:-2] + line.encode() + b"\r\n\r\n"
    assert refusal(data)[0] == 400


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", ""])
def test_other_versions_of_http(version: str) -> None:
    assert refusal(request(f"GET / {version}"))[0] == 400


@pytest.mark.parametrize(
    "junk", [b"\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"\x16\x03\x01 \r\n\r\n", b"GET / HTTP/1.1\n\r\n\r\n"]
)
def test_what_is_no_http(junk: bytes) -> None:
    assert refusal(junk)[0] == 400


def test_other_methods_are_told_which_is_allowed() -> None:
    status, headers, _ = refusal(request("POST / HTTP/1.1"))
    assert (status, headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "changed",
    [
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": "13, 8"},
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
    ],
    ids=str,
)
def test_a_request_for_something_else_is_told_what_there_is(changed: dict[str, str | None]) -> None:
    status, headers, _ = refusal(request(**changed))
    assert (status, headers["upgrade"], headers["sec-websocket-version"]) == (426, "websocket", "13")


@pytest.mark.parametrize(
    "data",
    [
        request(Filling="x" * UPGRADE_BYTES),
        b"x" * (UPGRADE_BYTES + 1),
        request(Filling="x" * 9_000),  # the core's own limits: a line,
        request(f"GET /{'x' * 9_000} HTTP/1.1"),
        request()[:-2] + b"A: b\r\n" * 200 + b"\r\n",  # the number of headers
    ],
    ids=["whole", "endless", "line", "first line", "number"],
)
def test_a_head_that_is_too_large(data: bytes) -> None:
    assert refusal(data)[0] == 431


def test_a_head_may_have_exactly_the_limit() -> None:
    data = request()[:-2] + (b"P: " + b"x" * 4_000 + b"\r\n") * 3
    data += b"Q: " + b"x" * (UPGRADE_BYTES - len(data) - 7) + b"\r\n\r\n"
    assert len(data) == UPGRADE_BYTES
    [asked] = server().receive(data)
    assert isinstance(asked, UpgradeRequest)
    assert refusal(data.replace(b"Q: ", b"Q: x"))[0] == 431


@pytest.mark.parametrize("separately", [False, True])
def test_nothing_may_come_before_the_answer(separately: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    end = server()
    early = frame(BINARY, b"early", masked=True)
    if separately:
        [asked] = end.receive(request())
        assert isinstance(asked, UpgradeRequest)
        assert end.receive(b"") == []
        events = end.receive(early)
    else:
        events = end.receive(request() + early)
    assert events == [WsFailed("the client sent more than its request before it was answered", 400)]
    assert answer(end)[0] == 400
    with pytest.raises(WebSocketClosed):
        end.accept(None)
    with pytest.raises(WebSocketClosed):
        end.refuse(404, "no such route")


def test_refusing() -> None:
    end = server()
    end.receive(request())
    end.refuse(404, "no such route")
    status, headers, body = answer(end)
    assert (status, body) == (404, b"no such route\n")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert end.is_over
    assert end.receive(b"x") == []
    assert end.receive_eof() == []
    with pytest.raises(WebSocketClosed):
        end.send_text("x")


def test_the_end_of_the_bytes_before_it_is_open() -> None:
    for data in (b"", request()[:50], request()):
        end = server()
        end.receive(data)
        assert end.receive_eof() == [WsFailed("the connection ended before the WebSocket was open")]
        assert end.is_over
        assert end.receive_eof() == []
        assert end.to_send() == b""


def test_misuse() -> None:
    end = server()
    for call in (lambda: end.accept(None), lambda: end.refuse(400, ""), lambda: end.send_binary(b"")):
        with pytest.raises(ApiMisuse):
            call()
    end.receive(request(Sec_WebSocket_Protocol="chat"))
    for call in (lambda: end.accept("sottovoce.v1"), lambda: end.send_ping(b""), lambda: end.close(1000)):
        with pytest.raises(ApiMisuse):
            call()
    with pytest.raises(ValueError, match="not a valid HTTPStatus"):
        end.refuse(42, "x")
    end.accept("chat")
    with pytest.raises(ApiMisuse):
        end.accept("chat")


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        end = server()
        end.receive(request(Cookie="s3cret"))
        end.accept(None)
        end.receive(frame(BINARY, b"s3cret", masked=True) + b"\xff" * 20)
        refusal(request(Sec_WebSocket_Key="s3cret"))
    assert caplog.records == []


@given(st.lists(st.integers(1, 200)))
def test_any_cut_of_a_request_is_the_same_request(sizes: list[int]) -> None:
    data = request(Sec_WebSocket_Protocol="sottovoce.v1")
    assert receive_pieces(server(), cut(data, sizes)) == server().receive(data)


@given(st.lists(st.binary(max_size=300)), st.booleans())
def test_any_bytes_raise_nothing(pieces: list[bytes], accepts: bool) -> None:  # noqa: FBT001  # from hypothesis
    end = server()
    events = receive_pieces(end, pieces)
    if any(isinstance(each, UpgradeRequest) for each in events) and accepts:
        end.accept(None)
    end.receive_eof()
    assert end.is_over


lines = st.lists(
    st.tuples(
        st.sampled_from(["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "A"]),
        st.text(st.characters(max_codepoint=255), max_size=40),
    ),
    max_size=4,
)


@given(
    st.text(st.characters(max_codepoint=255), max_size=30),
    lines,
    st.dictionaries(
        st.sampled_from(["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"]),
        st.text(st.characters(max_codepoint=255), max_size=30),
        max_size=2,
    ),
)
def test_nearly_sound_requests_raise_nothing(
    target: str, further: list[tuple[str, str]], changed: dict[str, str]
) -> None:
    end = server()
    data = request(f"GET /{target} HTTP/1.1", **changed)[:-2]
    data += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in further) + b"\r\n"
    for event in end.receive(data):
        assert isinstance(event, UpgradeRequest | WsFailed)
        if isinstance(event, WsFailed):
            assert "\n" not in event.reason
            assert end.to_send().startswith(b"HTTP/1.1 4")
