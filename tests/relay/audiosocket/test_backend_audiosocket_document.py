"""What `docs/backend-audiosocket.md` says, held against the code."""

import tomllib
from pathlib import Path

import msgspec

from sottovoce.relay import RouteConfig
from sottovoce.relay.audiosocket.dialect import CHUNK_MILLISECONDS, KEY_MILLISECONDS
from sottovoce.relay.audiosocket.framing import FORWARDING_ERROR, Kind
from sottovoce.relay.audiosocket.options import RATES
from sottovoce.relay.link import pace
from sottovoce.relay.link.playout import FLUSH_SECONDS, LEAD_SECONDS, MAX_WAITING_SECONDS
from tests.relay.audiosocket.socket import SCHEMA

TEXT = (Path(__file__).parents[3] / "docs" / "backend-audiosocket.md").read_text(encoding="utf-8")
MESSAGES = ("hangUp", "uuid", "dtmf", "audio", "error")
ROWS = {
    line.split("`")[1]: [cell.strip() for cell in line.split("|")[2:-1]]
    for line in TEXT.splitlines()
    if line.startswith("| `0x")
}


def test_the_example_is_a_configuration() -> None:
    example = TEXT.partition("```toml\n")[2].partition("```")[0]
    route = msgspec.convert(tomllib.loads(example)["routes"]["pbx"], RouteConfig)
    assert route.audiosocket.rates == (8_000,)


def test_every_message_of_the_page_is_told() -> None:
    definitions = (SCHEMA["$defs"][message]["properties"]["type"] for message in MESSAGES)
    types = {number for each in definitions for number in each.get("enum", [each.get("const")])}
    assert {int(row, 16) for row in ROWS} == types == set(Kind)


def test_audio_that_is_sent_is_told_with_its_length() -> None:
    sent = {int(row, 16) for row, cells in ROWS.items() if "bytes" in cells[1] and "kHz" in cells[0]}
    assert sent == {Kind.SLIN_8K, Kind.SLIN_16K, Kind.SLIN_24K, Kind.SLIN_48K}
    for rate in RATES:
        assert f"{2 * rate * CHUNK_MILLISECONDS // 1000} bytes" in TEXT


def test_the_numbers() -> None:
    assert MAX_WAITING_SECONDS == 60
    assert f"{LEAD_SECONDS} s before" in TEXT
    assert f"for {FLUSH_SECONDS} s" in TEXT
    assert f"for {KEY_MILLISECONDS} ms" in TEXT
    assert f"`{FORWARDING_ERROR.hex()}` (Asterisk's" in TEXT
    assert f"{pace.CONTROLS_PER_SECOND:g} a second, burst {pace.CONTROL_BURST:g}" in TEXT
    for rate in RATES[1:]:
        assert str(rate) in TEXT
