"""Layouts: greetings, and bodies that say nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay import BackendMisbehaved
from sottovoce.relay.mux import frames as mux
from sottovoce.relay.raw_messages import audio_shape
from sottovoce.wire import Codec, frames

SHAPE = audio_shape(Codec.PCM16_8K, 20)


def test_the_greeting() -> None:
    assert bytes.fromhex("53564d5558 01 01 0a") == mux.GREETING
    for length in range(9):
        mux.check_greeting_untrusted(mux.GREETING[:length])
    mux.check_greeting_untrusted(b"SVMUX\0\xff\n")


@pytest.mark.parametrize("greeting", [b"H", b"HTTP/1.1", b"SVMUX\2\3\n", b"SVMUX\0\0", b"SVMUX\2\1\n", b"SVMUX\1\1\r"])
def test_a_greeting_that_is_none(greeting: bytes) -> None:
    with pytest.raises(BackendMisbehaved, match="bad_framing"):
        mux.check_greeting_untrusted(greeting)


@given(st.binary(max_size=330), st.integers(0, 5))
def test_audio_is_what_the_session_can_seal_or_refused(body: bytes, before: int) -> None:
    buffer = bytes(before) + body + b"behind"
    try:
        codec_bytes, flags, timestamp = mux.decode_audio_untrusted(buffer, before, before + len(body), SHAPE)
    except BackendMisbehaved as fault:
        assert fault.fault == "bad_audio"  # noqa: PT017  either way is right
    else:
        assert frames.encode_audio(codec_bytes, flags, timestamp) == body


@given(st.binary(max_size=60))
def test_what_is_no_reason_is_one_line_all_the_same(body: bytes) -> None:
    assert mux.decode_why_untrusted(body).isprintable()


@pytest.mark.parametrize(("length", "shown"), [(120, "x" * 120), (121, "x" * 119 + "…")])
def test_a_reason_that_is_cut_says_so(length: int, shown: str) -> None:
    body = f'{{"reason": "{"x" * length}"}}'.encode()
    assert mux.decode_why_untrusted(body) == shown
    assert mux.decode_hang_up_untrusted(body) == shown
