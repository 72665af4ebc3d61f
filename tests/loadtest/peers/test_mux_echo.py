"""The backend of the `mux` contract that a comparison uses: what goes back, credit, and what it does not know."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.peers.children.mux_echo import MuxEcho, NotMuxError

GREETING = b"SVMUX\x01\x01\n"


def frame(kind: int, call: int, body: bytes = b"") -> bytes:
    return struct.pack(">HIB", len(body), call, kind) + body


def credit(call: int, count: int) -> bytes:
    return frame(0x22, call, count.to_bytes(4))


@pytest.fixture
def echo() -> MuxEcho:
    echo = MuxEcho()
    assert echo.receive(GREETING) == b""
    return echo


def test_a_call_is_taken_and_granted_frames(echo: MuxEcho) -> None:
    assert echo.receive(frame(0x01, 1, b"{}")) == frame(0x02, 1) + credit(1, 1_000_000)


def test_audio_goes_back_as_far_as_there_is_credit(echo: MuxEcho) -> None:
    echo.receive(frame(0x01, 1, b"{}"))
    one, two = frame(0x10, 1, b"\0ab"), frame(0x10, 1, b"\0cd")
    assert echo.receive(one) == b"", "nothing was granted"
    assert echo.receive(credit(1, 2)) == b""
    assert echo.receive(one + two + one) == one + two


def test_calls_have_credit_of_their_own(echo: MuxEcho) -> None:
    echo.receive(frame(0x01, 1, b"{}") + frame(0x01, 2, b"{}") + credit(2, 1) + credit(9, 5))
    one, two, never = (frame(0x10, call, b"\0a") for call in (1, 2, 9))
    assert echo.receive(one + two + never) == two


def test_of_a_frame_behind_a_hole_the_hole_is_left_out(echo: MuxEcho) -> None:
    echo.receive(frame(0x01, 1, b"{}") + credit(1, 9))
    assert echo.receive(frame(0x10, 1, b"\x21\x00\x02ab")) == frame(0x10, 1, b"\x20ab")


def test_what_else_there_is(echo: MuxEcho) -> None:
    echo.receive(frame(0x01, 1, b"{}") + credit(1, 9))
    assert echo.receive(frame(0x30, 0, b"12345678")) == frame(0x31, 0, b"12345678")
    assert echo.receive(frame(0x12, 1, b"\1\0\xa0") + frame(0x16, 1, b"\1") + frame(0x90, 7)) == b""
    assert echo.receive(frame(0x20, 1, b"{}") + frame(0x10, 1, b"\0a")) == b"", "the call is over"


def test_who_does_not_speak_mux() -> None:
    with pytest.raises(NotMuxError):
        MuxEcho().receive(b"GET / HTTP/1.1\r\n")


@given(st.lists(st.integers(1, 60), max_size=40))
def test_however_it_is_cut(sizes: list[int]) -> None:
    audio = b"".join(frame(0x10, 1, bytes((0, number))) for number in range(20))
    whole = GREETING + frame(0x01, 1, b"{}") + credit(1, 100) + audio + frame(0x30, 0, bytes(8))
    echo, said, at = MuxEcho(), b"", 0
    for size in (*sizes, len(whole)):
        said += echo.receive(whole[at : at + size])
        at += size
    assert said == frame(0x02, 1) + credit(1, 1_000_000) + audio + frame(0x31, 0, bytes(8))
