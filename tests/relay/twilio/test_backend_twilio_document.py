"""What `docs/backend-twilio.md` says, held against the code."""

import tomllib
from pathlib import Path

import msgspec

from sottovoce.relay import RouteConfig
from sottovoce.relay.link import pace
from sottovoce.relay.link.playout import (
    FLUSH_SECONDS,
    LEAD_SECONDS,
    MARK_SPACING_SECONDS,
    MAX_MARKS,
    MAX_WAITING_SECONDS,
)
from sottovoce.relay.twilio import MAX_MESSAGE_BYTES
from sottovoce.relay.twilio.messages import MAX_MARK_NAME_BYTES
from sottovoce.relay.twilio.options import IDENTITY_PARAMETER, MAX_PARAMETER_CHARACTERS, MAX_PARAMETERS
from tests.relay.twilio.stream import SCHEMA

TEXT = (Path(__file__).parents[3] / "docs" / "backend-twilio.md").read_text(encoding="utf-8")


def test_the_example_is_a_configuration() -> None:
    example = TEXT.partition("```toml\n")[2].partition("```")[0]
    route = msgspec.convert(tomllib.loads(example)["routes"]["bot"], RouteConfig)
    assert route.twilio.parameters == {"queue": "billing"}


def test_every_message_is_told() -> None:
    messages = {reference["$ref"].rpartition("/")[2] for reference in SCHEMA["$defs"]["to-bot"]["oneOf"]}
    sent = TEXT.partition("## What the bot gets")[2].partition("## What the bot may send")[0]
    assert {line.split("`")[1] for line in sent.splitlines() if line.startswith("| `")} == messages


def test_the_numbers() -> None:
    assert f"{MAX_MESSAGE_BYTES:_} bytes".replace("_", " ") in TEXT
    assert f"{MAX_MARK_NAME_BYTES:_} bytes; {MAX_MARKS:_} marks".replace("_", " ") in TEXT
    assert MAX_WAITING_SECONDS == 60
    assert f"{LEAD_SECONDS} s before" in TEXT
    assert f"for {FLUSH_SECONDS} s" in TEXT
    assert f"than {MARK_SPACING_SECONDS} s" in TEXT
    assert f"under {MAX_PARAMETER_CHARACTERS + 1} characters" in TEXT
    assert f"{MAX_PARAMETERS} in all" in TEXT
    assert f"`{IDENTITY_PARAMETER}`" in TEXT
    assert f"{pace.CONTROLS_PER_SECOND:g} a second, burst {pace.CONTROL_BURST:g}" in TEXT
