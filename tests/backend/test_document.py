"""Every example of docs/backend-raw.md, read and written by the library for backends: the other end of the contract."""

import ast
import json
import re
from pathlib import Path

import pytest

from sottovoce.backend import Audio, Call, Data, Dtmf, Ended, Item, Json, MarkPlayed, Mute, Start, Statistics
from sottovoce.backend import asyncio as shell
from sottovoce.backend.machine import messages
from tests.backend.proxies import DATA_START, START

DOCUMENT = (Path(__file__).parents[2] / "docs" / "backend-raw.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(json|hex) (to-backend|from-backend) ([a-z_-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (way, name, bytes.fromhex(body) if kind == "hex" else body) for kind, way, name, body in BLOCK.findall(DOCUMENT)
]
CODEC_BYTES = bytes.fromhex("ff7ffe")


def start(**changes: object) -> Start:
    return messages.read_start_untrusted(json.dumps(START | changes))


PLAIN, HEADER, DATA = start(), start(header=True), start(**DATA_START)
STATISTICS = Statistics(
    seconds=12.48, epochs=3, frames_from_client=612, frames_to_client=600, frames_dropped_to_backend=2
)
CUT = Statistics(seconds=0.5, epochs=1, frames_from_client=20, frames_to_client=20, frames_dropped_to_client=3)
READ: dict[str, Item] = {
    "audio": Audio(CODEC_BYTES),
    "audio-header": Audio(CODEC_BYTES, talk_spurt=True, timestamp=8000, lost_before=2),
    "dtmf": Dtmf(5, 160),
    "mark": MarkPlayed("greeting ends"),
    "mute": Mute(muted=True),
    "json": Json({"button": "help"}),
    "stop": Ended(1000, "normal", truncated=False, statistics=STATISTICS),
    "stop-truncated": Ended(1001, "going_away", truncated=True, statistics=CUT),
    "data": Data(b"\0\1\2\3"),
}
WRITTEN: dict[str, str | bytes] = {
    "audio": messages.write_audio(Audio(CODEC_BYTES), PLAIN),
    "audio-header": messages.write_audio(Audio(CODEC_BYTES, end_of_turn=True), HEADER),
    "dtmf": messages.write_dtmf(11, 100),
    "mark": messages.write_mark("greeting ends"),
    "clear": messages.write_clear(),
    "json": messages.write_json({"transcript": "good morning", "final": True}),
    "stop": messages.write_stop("conversation finished"),
    "stop-bare": messages.write_stop(""),
    "data": messages.write_data(b"\3\2\1\0", DATA),
}
CALLS = {"audio": PLAIN, "audio-header": HEADER, "data": DATA}


def examples(way: str) -> list[tuple[str, str | bytes]]:
    return [(name, body) for found, name, body in EXAMPLES if found == way]


@pytest.mark.parametrize(("name", "body"), examples("to-backend"))
def test_what_the_proxy_says_is_understood(name: str, body: str | bytes) -> None:
    if name.startswith("start") and isinstance(body, str):
        read = messages.read_start_untrusted(body)
        said = json.loads(body)
        assert {field: getattr(read, field) for field in read.__struct_fields__} == {
            field: said[field] for field in said if field not in {"type", "version"}
        }
    elif isinstance(body, bytes):
        assert messages.read_binary_untrusted(body, CALLS[name]) == READ[name]
    else:
        assert messages.read_text_untrusted(body) == READ[name]


@pytest.mark.parametrize(("name", "body"), examples("from-backend"))
def test_what_a_backend_says_is_what_the_document_shows(name: str, body: str | bytes) -> None:
    written = WRITTEN[name]
    assert written == body if isinstance(written, bytes) else json.loads(written) == json.loads(body)


def test_every_message_has_its_example() -> None:
    assert {name for name, _ in examples("to-backend")} == {"start", "start-anonymous", *READ}
    assert {name for name, _ in examples("from-backend")} == set(WRITTEN)


def test_the_document_quotes_our_limits() -> None:
    assert f"{messages.MAX_OPUS_BYTES:,}".replace(",", " ") in DOCUMENT
    assert f"`version` | of this contract: {messages.VERSION}." in DOCUMENT


def test_the_sample_at_its_head_uses_what_there_is() -> None:
    (sample,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    tree = ast.parse(sample)
    (names,) = [node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {each.name for each in names} <= set(shell.__all__)
    used = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "call"
    }
    assert used == {"start", "send", "clear", "end"}
    assert all(name == "start" or hasattr(Call, name) for name in used)
