from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import (
    ClientWebSocket,
    PeerClosed,
    ServerWebSocket,
    TextMessage,
    WebSocketClosed,
    WsEvent,
    WsFailed,
)
from tests.transport.websocket.dialogue import (
    BINARY,
    CLOSE,
    CONT,
    LIMIT,
    PING,
    PONG,
    TEXT,
    connected,
    cut,
    frame,
    open_server,
    receive_pieces,
)

End = ServerWebSocket | ClientWebSocket
NOT_UTF8 = b"caf\xe9"


def to_server(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    return frame(opcode, payload, masked=True, fin=fin, reserved=reserved)


@pytest.fixture(params=["to the server", "to the client"])
def ends(request: pytest.FixtureRequest) -> tuple[End, End]:
    """Give who speaks and who hears."""
    client, server = connected("sottovoce.v1")
    return (client, server) if request.param == "to the server" else (server, client)


def test_messages_both_ways(ends: tuple[End, End]) -> None:
    speaker, hearer = ends
    speaker.send_binary(b"")
    speaker.send_text("hé")
    speaker.send_binary(bytes(LIMIT))
    assert hearer.receive(speaker.to_send()) == [b"", TextMessage("hé"), bytes(LIMIT)]
    assert speaker.to_send() == b""


def test_a_client_masks_and_a_server_does_not() -> None:
    client, server = connected()
    client.send_binary(b"audio of a call")
    assert b"audio" not in client.to_send()
    server.send_binary(b"audio of a call")
    assert server.to_send() == frame(BINARY, b"audio of a call", masked=False)


def test_pings_are_answered_and_answers_are_not_told(ends: tuple[End, End]) -> None:
    speaker, hearer = ends
    speaker.send_ping(b"are you there")
    assert hearer.receive(speaker.to_send()) == []
    assert speaker.receive(hearer.to_send()) == []
    assert speaker.to_send() == b""


def test_fragments_are_put_together_around_control_frames() -> None:
    server = open_server()
    pieces = [
        to_server(TEXT, "é".encode()[:1], fin=False),
        to_server(PING, b"x"),
        to_server(CONT, b"", fin=False),
        to_server(PONG),
        to_server(CONT, "é".encode()[1:]),
        to_server(BINARY, b"a", fin=False),
        to_server(CONT, b"b"),
    ]
    assert receive_pieces(server, pieces) == [TextMessage("é"), b"ab"]
    assert server.to_send() == frame(PONG, b"x", masked=False)


def test_a_closing_handshake(ends: tuple[End, End]) -> None:
    speaker, hearer = ends
    speaker.send_binary(b"last")
    speaker.close(4408, "expired")
    assert not speaker.is_open
    assert not speaker.is_over
    assert hearer.receive(speaker.to_send()) == [b"last", PeerClosed(4408, "expired")]
    assert hearer.is_over
    assert not hearer.is_open
    assert speaker.receive(hearer.to_send()) == [PeerClosed(4408, "expired")]
    assert speaker.is_over
    for end in ends:
        assert end.receive(b"whatever") == []
        assert end.receive_eof() == []
        assert end.to_send() == b""


def test_both_close_at_once() -> None:
    client, server = connected()
    client.close(1000)
    server.close(1001, "going away")
    from_client, from_server = client.to_send(), server.to_send()
    assert client.receive(from_server) == [PeerClosed(1001, "going away")]
    assert server.receive(from_client) == [PeerClosed(1000, "")]
    assert client.is_over
    assert server.is_over
    assert client.to_send() == server.to_send() == b""


def test_messages_still_come_after_our_close() -> None:
    client, server = connected()
    server.close(1000)
    client.send_binary(b"crossed it")
    assert server.receive(client.to_send()) == [b"crossed it"]
    assert not server.is_over


def test_a_close_without_a_code() -> None:
    assert open_server().receive(to_server(CLOSE)) == [PeerClosed(1005, "")]


@pytest.mark.parametrize("masked", [True, False], ids=["server", "client"])
def test_a_close_between_the_fragments_of_a_message(masked: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    client, server = connected()
    hearer = server if masked else client
    fragment = frame(TEXT, b"never fini", masked=masked, fin=False)
    assert hearer.receive(fragment + frame(CLOSE, b"\x03\xe8bye", masked=masked)) == [PeerClosed(1000, "bye")]
    assert hearer.is_over
    assert hearer.to_send()[0] == 0x80 | CLOSE


def test_nothing_is_sent_after_a_close(ends: tuple[End, End]) -> None:
    closer, other = ends
    closer.close(1000)
    other.receive(closer.to_send())
    for end in ends:
        end.to_send()
        for send in (lambda e: e.send_binary(b""), lambda e: e.send_text(""), lambda e: e.send_ping(b"")):
            with pytest.raises(WebSocketClosed):
                send(end)
        end.close(1011)
        assert end.to_send() == b""


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)])
def test_a_close_that_may_not_be(code: int, reason: str) -> None:
    server = open_server()
    with pytest.raises(ApiMisuse):
        server.close(code, reason)
    assert server.is_open
    assert server.to_send() == b""
    with pytest.raises(ApiMisuse):
        server.send_ping(bytes(126))
    assert server.to_send() == b""


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (frame(BINARY, b"x", masked=False), 1002, "the peer broke the WebSocket protocol: incorrect masking"),
        (to_server(BINARY, reserved=0x20), 1002, "the peer broke the WebSocket protocol: reserved bits must be 0"),
        (to_server(3), 1002, "the peer broke the WebSocket protocol: invalid opcode"),
        (to_server(PING, bytes(126)), 1002, "the peer broke the WebSocket protocol: control frame too long"),
        (to_server(PING, fin=False), 1002, "the peer broke the WebSocket protocol: fragmented control frame"),
        (to_server(CONT), 1002, "the peer broke the WebSocket protocol: unexpected continuation frame"),
        (
            to_server(TEXT, fin=False) + to_server(TEXT),
            1002,
            "the peer broke the WebSocket protocol: expected a continuation frame",
        ),
        (to_server(CLOSE, b"\x03"), 1002, "the peer broke the WebSocket protocol: close frame too short"),
        (to_server(CLOSE, b"\x03\xed"), 1002, "the peer broke the WebSocket protocol: invalid status code"),
        (to_server(CLOSE, b"\x03\xe8" + NOT_UTF8), 1007, "the peer gave a reason for closing that is not UTF-8"),
        (to_server(TEXT, NOT_UTF8), 1007, "the peer sent text that is not UTF-8"),
        (to_server(TEXT, b"\xe2\x82", fin=False) + to_server(CONT), 1007, "the peer sent text that is not UTF-8"),
        (to_server(TEXT, b"\xed\xa0\x80"), 1007, "the peer sent text that is not UTF-8"),
        (to_server(BINARY, bytes(LIMIT + 1)), 1009, f"the peer sent a message of more than {LIMIT} bytes"),
        (
            to_server(BINARY, bytes(LIMIT), fin=False) + to_server(CONT, b"x"),
            1009,
            f"the peer sent a message of more than {LIMIT} bytes",
        ),
        (b"\x82\xff" + b"\xff" * 8, 1009, f"the peer sent a message of more than {LIMIT} bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_faults_end_it_with_their_code(data: bytes, code: int, reason: str) -> None:
    server = open_server()
    assert server.receive(to_server(BINARY, b"before") + data + to_server(BINARY, b"behind")) == [
        b"before",
        WsFailed(reason, None, code),
    ]
    said = server.to_send()
    assert said == bytes([0x80 | CLOSE, 2]) + code.to_bytes(2), "a code and no words"
    assert server.is_over
    assert not server.is_open
    with pytest.raises(WebSocketClosed):
        server.send_binary(b"x")


def test_a_client_fails_alike() -> None:
    client, server = connected()
    server.send_binary(bytes(LIMIT + 1))
    assert client.receive(server.to_send()) == [
        WsFailed(f"the peer sent a message of more than {LIMIT} bytes", None, 1009)
    ]
    [closed] = server.receive(client.to_send())
    assert isinstance(closed, PeerClosed)
    assert closed.code == 1009


def test_a_fault_behind_text_that_is_not_utf8_does_not_hide_it() -> None:
    client, server = connected()
    data = frame(TEXT, NOT_UTF8, masked=False) + frame(CLOSE, masked=False)
    assert client.receive(data) == [WsFailed("the peer sent text that is not UTF-8", None, 1007)]
    server = open_server()
    assert server.receive(to_server(TEXT, NOT_UTF8) + to_server(CLOSE)) == [
        WsFailed("the peer sent text that is not UTF-8", None, 1007)
    ]


def test_a_fault_in_the_core_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    server = open_server()

    def broken(_frame: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(server._core, "recv_frame", broken)
    assert server.receive(to_server(TEXT)) == [WsFailed("the WebSocket core failed", None, 1011)]
    assert int.from_bytes(server.to_send()[2:4], "big") == 1011


@pytest.mark.parametrize("prepare", [lambda _end: None, lambda end: end.close(1000)], ids=["open", "closing"])
def test_an_end_of_the_bytes_without_a_close(ends: tuple[End, End], prepare: Callable[[End], None]) -> None:
    _, hearer = ends
    prepare(hearer)
    hearer.to_send()
    assert hearer.receive_eof() == [WsFailed("the connection ended without a WebSocket close", None, 1006)]
    assert hearer.is_over
    assert not hearer.is_open
    assert hearer.to_send() == b""
    assert hearer.receive_eof() == []


def test_an_end_of_the_bytes_within_a_frame() -> None:
    server = open_server()
    assert server.receive(to_server(BINARY, b"half of it")[:-3]) == []
    assert server.receive_eof() == [WsFailed("the connection ended without a WebSocket close", None, 1006)]


messages = st.one_of(st.binary(max_size=LIMIT), st.text(max_size=LIMIT // 4).map(TextMessage))


@given(st.lists(messages), st.lists(st.integers(1, 50)), st.booleans())
def test_any_cut_gives_the_same_messages(said: list[WsEvent], sizes: list[int], by_client: bool) -> None:  # noqa: FBT001  # from hypothesis
    client, server = connected()
    speaker, hearer = (client, server) if by_client else (server, client)
    for message in said:
        if isinstance(message, TextMessage):
            speaker.send_text(message.text)
        elif isinstance(message, bytes):
            speaker.send_binary(message)
    speaker.close(1000)
    assert receive_pieces(hearer, cut(speaker.to_send(), sizes)) == [*said, PeerClosed(1000, "")]


frames = st.builds(
    lambda opcode, payload, fin, reserved: to_server(opcode, payload, fin=fin, reserved=reserved),
    st.sampled_from([CONT, CONT, TEXT, BINARY, BINARY, PING, PONG, CLOSE, 7]),
    st.one_of(st.binary(max_size=20), st.just(b"\x03\xe8"), st.just(bytes(LIMIT))),
    st.booleans(),
    st.sampled_from([0, 0, 0, 0, 0x40]),
)


@given(st.lists(frames, max_size=12), st.lists(st.integers(1, 40)))
def test_any_frames_in_any_cut_give_the_same_events(sent: list[bytes], sizes: list[int]) -> None:
    whole, pieces = open_server(), open_server()
    data = b"".join(sent)
    events = whole.receive(data)
    assert receive_pieces(pieces, cut(data, sizes)) == events
    assert whole.is_over == pieces.is_over
    endings = [place for place, each in enumerate(events) if isinstance(each, PeerClosed | WsFailed)]
    assert endings in ([], [len(events) - 1])


@given(st.lists(st.binary(max_size=300)))
def test_any_bytes_raise_nothing(pieces: list[bytes]) -> None:
    client, server = connected()
    for end in (client, server):
        receive_pieces(end, pieces)
        end.to_send()
        end.receive_eof()
        assert end.is_over
