"""Every example of docs/backend-raw.md is built or parsed by the code that speaks the contract."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from sottovoce.relay import BackendFault, BackendMisbehaved, CallEnd, CallStatistics, LegStatistics
from sottovoce.relay import raw_messages as raw
from sottovoce.relay.link.dial import MAX_MESSAGE_BYTES
from sottovoce.wire import Codec, frames
from tests.relay import calls

DOCUMENT = Path(__file__).parents[2] / "docs" / "backend-raw.md"
BLOCK = re.compile(r"^```(json|hex) (to-backend|from-backend|refused) ([a-z_-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = [
    (way, name, bytes.fromhex(body) if kind == "hex" else body) for kind, way, name, body in BLOCK.findall(TEXT)
]
CODEC_BYTES = bytes.fromhex("ff7ffe")

START = msgspec.structs.replace(calls.START, receive_codec=Codec.OPUS_48K_MONO)
ANONYMOUS = msgspec.structs.replace(
    START,
    send_codec=Codec.PCM16_16K,
    receive_codec=Codec.PCM16_16K,
    identity=None,
    metadata=None,
    client_address="[2001:db8::9]:50112",
)
LEG = LegStatistics(
    frames_to_backend=610, frames_from_backend=600, frames_dropped_to_backend=2, frames_dropped_from_backend=0
)
END = CallEnd(
    code=1000,
    reason="normal",
    truncated=False,
    statistics=CallStatistics(seconds=12.4801, epochs=3, frames_from_client=612, frames_to_client=600),
)
TRUNCATED = CallEnd(
    code=1001,
    reason="going_away",
    truncated=True,
    statistics=CallStatistics(
        seconds=0.5, epochs=1, frames_from_client=20, frames_to_client=20, frames_dropped_to_client=3
    ),
)

TO_BACKEND = {
    "start": raw.encode_start(START, header=False),
    "start-anonymous": raw.encode_start(ANONYMOUS, header=True),
    "audio": raw.encode_audio(frames.encode_audio(CODEC_BYTES, 0, None), 0, header=False),
    "audio-header": raw.encode_audio(frames.encode_audio(CODEC_BYTES, frames.FLAG_TALK_SPURT, 8000), 2, header=True),
    "dtmf": raw.encode_dtmf(5, 160),
    "mark": raw.encode_mark("greeting ends"),
    "mute": raw.encode_mute(muted=True),
    "json": raw.encode_json(b'{"button": "help"}'),
    "stop": raw.encode_stop(END, LEG),
    "stop-truncated": raw.encode_stop(TRUNCATED, msgspec.structs.replace(LEG, frames_dropped_to_backend=0)),
    "data": b"\0\1\2\3",
}
SHAPE = raw.audio_shape(Codec.PCMU_8K, 20)
FROM_BACKEND = {
    "audio": (CODEC_BYTES, 0, None),
    "audio-header": (CODEC_BYTES, frames.FLAG_END_OF_TURN, None),
    "dtmf": raw.DtmfText(11, 100),
    "mark": raw.MarkText("greeting ends"),
    "clear": raw.ClearText(),
    "json": raw.JsonText(msgspec.Raw(b'{"transcript": "good morning", "final": true}')),
    "stop": raw.HangUpText("conversation finished"),
    "stop-bare": raw.HangUpText(""),
    "data": b"\3\2\1\0",
}


def examples(way: str) -> list[tuple[str, str | bytes]]:
    return [(name, body) for found, name, body in EXAMPLES if found == way]


def decode(name: str, body: str | bytes) -> object:
    if isinstance(body, str):
        return raw.decode_text_untrusted(body)
    if name == "data":
        return raw.decode_data_untrusted(body)
    return raw.decode_audio_untrusted(body, SHAPE, header=name.endswith("header"))


def decode_in_header_call(body: str | bytes, shape: raw.AudioShape) -> object:
    if isinstance(body, str):
        return raw.decode_text_untrusted(body)
    return raw.decode_audio_untrusted(body, shape, header=True)


@pytest.mark.parametrize(("name", "body"), examples("to-backend"))
def test_what_we_send_is_what_the_document_shows(name: str, body: str | bytes) -> None:
    built = TO_BACKEND[name]
    if isinstance(body, str):
        assert isinstance(built, str)
        assert json.loads(built) == json.loads(body)
        assert list(json.loads(built)) == list(json.loads(body)), "members in the order of the document"
    else:
        assert built == body


@pytest.mark.parametrize(("name", "body"), examples("from-backend"))
def test_what_a_backend_may_send_is_understood(name: str, body: str | bytes) -> None:
    assert decode(name, body) == FROM_BACKEND[name]


@pytest.mark.parametrize(("fault", "body"), examples("refused"))
def test_what_the_document_calls_a_fault_is_one(fault: str, body: str | bytes) -> None:
    shape = raw.audio_shape(Codec.PCM16_8K, 20)
    with pytest.raises(BackendMisbehaved) as caught:
        decode_in_header_call(body, shape)
    assert caught.value.fault is BackendFault(fault)


def test_every_message_has_its_example_and_every_block_is_checked() -> None:
    assert {name for name, _ in examples("to-backend")} == set(TO_BACKEND)
    assert {name for name, _ in examples("from-backend")} == set(FROM_BACKEND)
    assert len(EXAMPLES) == TEXT.count("\n```json") + TEXT.count("\n```hex")


def test_the_table_of_faults_is_complete() -> None:
    table = TEXT[TEXT.index("## 9. Faults") :]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(BackendFault)


def test_the_document_quotes_our_limits() -> None:
    for number in (MAX_MESSAGE_BYTES, raw.MAX_OPUS_BYTES, raw.MAX_LOST):
        assert f"{number:,}".replace(",", " ") in TEXT
