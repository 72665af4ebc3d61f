"""Every example of docs/backend-mux.md is built or parsed by the code that speaks the contract, at both ends."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from sottovoce.backend import Audio, Data, Dtmf, Ended, Json, MarkPlayed, Mute
from sottovoce.backend.machine import MuxMachine
from sottovoce.relay.mux import frames as mux
from sottovoce.wire import frames
from tests.relay.calls import DATA_START, END, START, RecordingSink
from tests.relay.mux.talking import NAMES, Talk, code_of, credit, frame, split

DOCUMENT = Path(__file__).parents[3] / "docs" / "backend-mux.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^```(json|hex) (to-backend|from-backend|refused-\w+) ([a-z_-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
EXAMPLES = [
    (way, name, bytes.fromhex(body) if kind == "hex" else body.encode().strip())
    for kind, way, name, body in BLOCK.findall(TEXT)
]
CALL = 7
SOUND = bytes.fromhex("ff7ffe")


def examples(way: str) -> dict[str, bytes]:
    """By name; a JSON text stands for the body of the frame of its name."""
    return {name: data if data[:1] != b"{" else frame(name, CALL, data) for each, name, data in EXAMPLES if each == way}


def test_every_type_is_in_the_table_and_has_its_examples() -> None:
    rows = dict(re.findall(r"^\| 0x([0-9a-f]{2}) \| `(\w+)` \|", TEXT, re.MULTILINE))
    assert {int(kind, 16): name for kind, name in rows.items()} == NAMES
    shown = {name.removesuffix("-flags") for _, name, _ in EXAMPLES}
    assert set(NAMES.values()) <= shown


def talk_with(sink: RecordingSink, *, data: bool = False) -> Talk:
    """A connection whose call 7 goes on; the others are over."""
    talk = Talk()
    for _ in range(CALL - 1):
        talk.call().stop(END)
    talk.call(sink, DATA_START if data else START)
    talk.hear()
    return talk


def test_what_the_proxy_says() -> None:
    shown = examples("to-backend")
    talk = talk_with(RecordingSink())
    leg = talk.machine._calls[CALL]
    leg.dtmf(5, 160)
    leg.mark_played("greeting ends")
    leg.mute(muted=True)
    leg.audio(frames.encode_audio(SOUND, 0, None), 0)
    leg.audio(frames.encode_audio(SOUND, frames.FLAG_TALK_SPURT, 8000), 2)
    leg.json(b'{"button": "h"}')
    names = ["dtmf", "mark", "mute", "audio", "audio-flags", "json"]
    assert talk.machine.to_send() == b"".join(shown.pop(name) for name in names)
    assert shown.pop("greeting") == mux.GREETING
    assert shown.pop("credit") == credit(CALL, 256)
    assert shown.pop("data") == mux.frame(mux.DATA, CALL, bytes([0, 1, 2, 3]))
    ((_, _, said),) = split(mux.encode_open(CALL, START))[0]
    assert json.loads(said) == json.loads(shown.pop("open")[7:])
    talk.machine.on_deadline(1e6)
    assert talk.machine.to_send() == shown.pop("ping")
    stop, error = shown.pop("stop"), shown.pop("error")
    leg.stop(END)
    ((_, _, body),) = talk.hear()
    assert json.loads(stop[7:]).keys() == json.loads(body).keys()
    assert json.loads(stop[7:])["statistics"].keys() == json.loads(body)["statistics"].keys()
    assert json.loads(error[7:]) == json.loads(
        mux.encode_error(CALL, "flood", "more frames than it has credit for")[7:]
    )
    assert not shown


def test_what_a_backend_says() -> None:
    shown = examples("from-backend")
    sink = RecordingSink()
    talk = talk_with(sink)
    mux.check_greeting_untrusted(shown.pop("greeting"))
    assert shown.pop("opened") == frame("opened", CALL)
    assert code_of(shown.pop("refused")[7:]) == "busy"
    for name in ("mark", "clear", "json", "audio", "audio-flags", "credit", "pong", "goaway", "stop"):
        talk.say(shown.pop(name))
    assert sink.told == [
        ("mark", "greeting ends"),
        ("clear",),
        ("json", b"{}"),
        ("audio", SOUND, 0, None),
        ("audio", SOUND, 0x40, 8000),
        ("hung_up", "conversation finished"),
    ]
    assert not talk.machine.takes_calls
    with_data = RecordingSink()
    talk_with(with_data, data=True).say(shown.pop("data"))
    assert with_data.told == [("data", bytes([3, 2, 1, 0]))]
    failed = RecordingSink()
    talk_with(failed).say(shown.pop("error"))
    assert failed.told == [("backend_closed", "failed: it gave the call up: failed: the speech synthesis is away")]
    assert not shown


@pytest.mark.parametrize(
    ("way", "fault", "said"), [(way, name, data) for way, name, data in EXAMPLES if way.startswith("refused-")]
)
def test_what_is_refused(way: str, fault: str, said: bytes) -> None:
    sink = RecordingSink()
    talk = talk_with(sink)
    talk.say(said)
    ((_, reason),) = sink.named("backend_closed")
    assert str(reason).startswith(f"{fault}: ")
    assert talk.machine.is_ended == (way == "refused-connection")
    ((name, number, body),) = talk.hear()
    assert (name, number, code_of(body)) == ("error", 0 if talk.machine.is_ended else CALL, fault)


def test_every_fault_of_the_table_has_its_examples_or_is_no_frame() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| .* \| the (?:call|connection)", TEXT, re.MULTILINE))
    shown = {name for way, name, _ in EXAMPLES if way.startswith("refused-")}
    assert rows - shown == {"unreachable", "refused", "failed", "lost", "stuck"}
    assert shown <= rows


def test_the_library_hears_what_the_proxy_says() -> None:
    shown = examples("to-backend")
    machine = MuxMachine(0.0)
    machine.receive(shown["greeting"] + shown["open"], 0.0)
    (call,) = machine.take_begun()
    order = ["credit", "dtmf", "mark", "mute", "audio", "audio-flags", "ping", "stop"]
    machine.receive(b"".join(shown[name] for name in order), 0.0)
    assert machine.fault is None
    items = list(iter(call.take, None))
    ended = items.pop()
    assert items == [
        Dtmf(5, 160),
        MarkPlayed("greeting ends"),
        Mute(muted=True),
        Audio(SOUND),
        Audio(SOUND, talk_spurt=True, timestamp=8000, lost_before=2),
    ]
    assert isinstance(ended, Ended)
    assert ended.statistics is not None
    assert (ended.statistics.seconds, ended.statistics.frames_dropped_to_backend) == (12.48, 2)
    said = machine.to_send()
    assert said.startswith(examples("from-backend")["greeting"] + examples("from-backend")["opened"])
    assert said.endswith(examples("from-backend")["pong"])


def test_the_library_hears_data_and_objects() -> None:
    machine = MuxMachine(0.0)
    start = msgspec.json.encode(json.loads(mux.encode_open(CALL, DATA_START)[7:]))
    machine.receive(mux.GREETING + frame("open", CALL, start), 0.0)
    machine.receive(examples("to-backend")["data"] + frame("json", CALL, b'{"a": 1}'), 0.0)
    (call,) = machine.take_begun()
    assert list(iter(call.take, None)) == [Data(bytes([0, 1, 2, 3])), Json({"a": 1})]
    machine.receive(examples("to-backend")["error"], 0.0)
    assert call.ended == Ended(1011, call.ended.reason if call.ended else "", truncated=True)
