"""The echo backend, spoken to by a WebSocket library that it does not use, however the bytes are cut."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from loadtest.replay.processes.echo_backend import ConnectionOver, EchoProtocol, unmask


class Talk:
    """A client and the backend, and how many bytes pass at a time."""

    def __init__(self, cut: int | None = None) -> None:
        self.client = ClientProtocol(parse_uri("ws://localhost/"), max_size=1 << 21)
        self.backend = EchoProtocol()
        self.cut = cut
        self.is_over = False
        self.client.send_request(self.client.connect())
        (response,) = self.exchange()
        assert isinstance(response, Response)
        assert self.client.state is State.OPEN

    def exchange(self) -> list[object]:
        data = b"".join(self.client.data_to_send())
        size = self.cut or len(data) or 1
        for start in range(0, len(data), size):
            try:
                answer = self.backend.receive(data[start : start + size])
            except ConnectionOver as over:
                answer, self.is_over = over.last, True
            if answer:
                self.client.receive_data(answer)
        return list(self.client.events_received())


@pytest.mark.parametrize("cut", [None, 1, 7])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 640, 65_535, 65_536, 100_000])
def test_binary_messages_come_back(size: int, cut: int | None) -> None:
    talk = Talk(None if size > 1000 else cut)
    payload = bytes(each % 253 for each in range(size))
    for _ in range(3):
        talk.client.send_binary(payload)
    frames = talk.exchange()
    assert [frame.data for frame in frames if isinstance(frame, Frame)] == [payload] * 3


def test_texts_are_read_over() -> None:
    talk = Talk()
    talk.client.send_text(b'{"type": "start"}')
    talk.client.send_binary(b"a")
    (frame,) = talk.exchange()
    assert isinstance(frame, Frame)
    assert frame.data == b"a"


def test_fragments_come_back_as_fragments_and_those_of_a_text_do_not() -> None:
    talk = Talk()
    talk.client.send_text(b"a", fin=False)
    talk.client.send_continuation(b"b", fin=True)
    talk.client.send_binary(b"c", fin=False)
    talk.client.send_ping(b"between")
    talk.client.send_continuation(b"d", fin=True)
    frames = [frame for frame in talk.exchange() if isinstance(frame, Frame)]
    assert [(frame.opcode, frame.data) for frame in frames] == [
        (Opcode.BINARY, b"c"),
        (Opcode.PONG, b"between"),
        (Opcode.CONT, b"d"),
    ]


def test_a_close_is_answered_with_its_code_and_is_the_end() -> None:
    talk = Talk()
    talk.client.send_binary(b"last")
    talk.client.send_close(1001, "a reason")
    talk.exchange()
    assert talk.is_over
    assert talk.client.close_rcvd is not None
    assert (talk.client.close_rcvd.code, talk.client.close_rcvd.reason) == (1001, "")


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(20_000)])
def test_what_asks_for_no_websocket_is_refused(head: bytes) -> None:
    with pytest.raises(ConnectionOver):
        EchoProtocol().receive(head)


def test_frames_that_are_not_masked_or_far_too_long_end_the_connection() -> None:
    for frame in (b"\x82\x01a" + bytes(20), b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(20)):
        talk = Talk()
        with pytest.raises(ConnectionOver):
            talk.backend.receive(frame)


def test_unmasking() -> None:
    mask, text = b"\x01\x02\x03\x04", b"hello world"
    masked = bytes(each ^ mask[place % 4] for place, each in enumerate(text))
    assert unmask(mask, masked) == text
    assert unmask(mask, b"") == b""
