"""What `docs/backend-realtime.md` says, held against the code."""

import json
import re
import tomllib
from pathlib import Path

import msgspec

from sottovoce.relay import RouteConfig
from sottovoce.relay.link.playout import FLUSH_SECONDS, LEAD_SECONDS, MAX_WAITING_SECONDS
from sottovoce.relay.realtime.dialect import EVENT_BURST, EVENTS_PER_SECOND
from sottovoce.relay.realtime.messages import MAX_ID_CHARACTERS, MAX_MESSAGE_BYTES, SESSION_EVENT_ID
from tests.relay.realtime.server import FOLDER, SCHEMA

TEXT = (Path(__file__).parents[3] / "docs" / "backend-realtime.md").read_text(encoding="utf-8")
SENT, _, HEARD = TEXT.partition("## What the server gets")[2].partition("## What the server may send")
EVENT = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+|error)`")


def test_the_example_is_a_configuration() -> None:
    example = TEXT.partition("```toml\n")[2].partition("```")[0]
    route = msgspec.convert(tomllib.loads(example)["routes"]["model"], RouteConfig)
    assert route.realtime.speaks_first


def test_every_event_that_is_sent_is_told() -> None:
    messages = (SCHEMA["$defs"][each["$ref"].rpartition("/")[2]] for each in SCHEMA["$defs"]["to-server"]["oneOf"])
    types = {message["properties"]["type"]["const"] for message in messages}
    assert {line.split("`")[1] for line in SENT.splitlines() if line.startswith("| `")} == types


def test_every_event_of_the_pages_is_told_with_what_becomes_of_it() -> None:
    file = json.loads((FOLDER / "from-server.json").read_text())
    cases = (*file["events"], *file["beta"])
    acted, _, ignored = HEARD.partition("These are ignored")
    in_table = {
        name for line in acted.splitlines() if line.startswith("| ") for name in EVENT.findall(line.split("|")[1])
    }
    ignored = ignored.partition("All of them together")[0]
    assert in_table == {each["message"]["type"] for each in cases if each["becomes"] != "ignored"} | {"error"}
    assert set(EVENT.findall(ignored)) == {
        each["message"]["type"] for each in cases if each["becomes"] == "ignored"
    } - {"error"}


def test_the_numbers() -> None:
    assert f"{MAX_MESSAGE_BYTES:_} bytes, an id {MAX_ID_CHARACTERS} characters".replace("_", " ") in TEXT
    assert f"{EVENTS_PER_SECOND:g} a second, burst {EVENT_BURST:_g}".replace("_", " ") in TEXT.replace("5_000", "5 000")
    assert f'"{SESSION_EVENT_ID}"' in TEXT
    assert MAX_WAITING_SECONDS == 60
    assert f"{LEAD_SECONDS} s before" in TEXT
    assert f"for {FLUSH_SECONDS} s" in TEXT
