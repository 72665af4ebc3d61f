import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sottovoce.backend.errors import PeerMisbehaved
from sottovoce.backend.items import Audio, Start
from sottovoce.backend.machine import messages
from sottovoce.primitives import ApiMisuse
from tests.backend.proxies import DATA_START, START, STOP


def start(**changes: object) -> Start:
    return messages.read_start_untrusted(json.dumps(START | changes))


@pytest.mark.parametrize(
    ("codec", "rate", "heard"), [("pcm16", 16_000, 640), ("pcmu", 8000, 160), ("opus", 48_000, 0), ("none", 0, 0)]
)
def test_how_long_a_frame_is(codec: str, rate: int, heard: int) -> None:
    both = start(codec=codec, rate=rate, reply_codec=codec, reply_rate=rate)
    assert (both.frame_bytes, both.reply_frame_bytes) == (heard, heard)
    assert both.is_data is (codec == "none")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type":"mark","name":"a"}', "not `start` but 'mark'"),
        (json.dumps(START | {"version": 2}), "version 2 of the contract, this backend 1"),
        ('{"type":"start","version":1}', "missing required field"),
        (json.dumps(START | {"reply_rate": -8000}), "`int` >= 0 - at `$.reply_rate`"),
        (json.dumps(START | {"frame_ms": 10**30}), "at `$.frame_ms`"),
        ("[]", "not as the contract has it"),
        ("{", "not as the contract has it"),
        ('{"type":"start","version":1,"a":' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_start(text: str, said: str) -> None:
    with pytest.raises(PeerMisbehaved, match=r".*") as caught:
        messages.read_start_untrusted(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(START),
        '{"type":"dtmf","event":16,"duration_ms":1}',
        '{"type":"mute","muted":1}',
        '{"type":"json","value":[1]}',
        '{"type":"mark"}',
        '{"type":"stop","code":1000}',
        '{"type":7}',
        "null",
    ],
)
def test_what_a_proxy_must_not_say(text: str) -> None:
    with pytest.raises(PeerMisbehaved):
        messages.read_text_untrusted(text)


def test_what_this_version_does_not_know_is_ignored() -> None:
    assert messages.read_text_untrusted('{"type":"smell","of":"roses"}') is None
    assert messages.read_text_untrusted(json.dumps(STOP | {"weather": "fine"})) is not None
    assert start(weather="fine") == start()


@given(st.text(max_size=100) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
@example("\ud800")
@example('{"type":"\ud800"}')
def test_any_text_is_read_or_a_fault(text: str) -> None:
    for read in (messages.read_text_untrusted, messages.read_start_untrusted):
        try:
            read(text)
        except PeerMisbehaved as error:
            assert str(error).isprintable()  # noqa: PT017


@given(st.binary(max_size=20), st.booleans())
def test_any_frame_is_read_or_a_fault(message: bytes, header: bool) -> None:  # noqa: FBT001
    try:
        heard = messages.read_binary_untrusted(message, start(header=header))
    except PeerMisbehaved:
        assert header
        assert len(message) < messages.HEADER_BYTES
    else:
        assert message.endswith(heard.payload)


@given(st.binary(max_size=160), st.booleans(), st.booleans(), st.none() | st.integers(0, 2**32 - 1))
def test_an_echoed_frame_is_the_frame(payload: bytes, spurt: bool, end: bool, timestamp: int | None) -> None:  # noqa: FBT001
    frame = Audio(payload, spurt, end, timestamp)
    call = start(header=True)
    assert messages.read_binary_untrusted(messages.write_audio(frame, call), call) == frame


@pytest.mark.parametrize(
    ("frame", "changes", "said"),
    [
        (bytes(161), {}, "161 bytes, a frame of pcmu at 8000 has at most 160"),
        (bytes(3), {"reply_codec": "pcm16"}, "end within a sample"),
        (bytes(4001), {"reply_codec": "opus", "reply_rate": 48_000}, "at most 4000"),
        (b"", DATA_START, "send data"),
    ],
)
def test_audio_that_the_proxy_would_end_the_call_for(frame: bytes, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ApiMisuse, match=said):
        messages.write_audio(Audio(frame), start(**changes))


def test_other_things_that_it_would_end_the_call_for() -> None:
    for wrong in (
        lambda: messages.write_mark("ä" * 33),
        lambda: messages.write_mark("\ud800"),
        lambda: messages.write_dtmf(16, 100),
        lambda: messages.write_dtmf(1, 65_536),
        lambda: messages.write_json({"text": "a" * 4000}),
        lambda: messages.write_json({"text": object()}),
        lambda: messages.write_data(b"", start()),
        lambda: messages.write_data(bytes(8001), start(**DATA_START)),
    ):
        with pytest.raises(ApiMisuse):
            wrong()


def test_a_reason_is_one_short_line() -> None:
    assert json.loads(messages.write_stop("a\nb" + "c" * 200))["reason"] == "a?b" + "c" * 117


def test_audio_shows_no_audio() -> None:
    assert repr(Audio(b"secret")) == "Audio(6 bytes)"
    assert repr(messages.read_binary_untrusted(b"secret", start(**DATA_START))) == "Data(6 bytes)"
