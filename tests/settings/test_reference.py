import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sottovoce.hsm.seal import SealConfig
from sottovoce.settings import Configuration, build, development_text, reference_text, schema_text

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("file", "made"), [("reference.toml", reference_text), ("schema.json", schema_text)])
def test_the_files_are_what_the_code_says(file: str, made: Callable[[], str]) -> None:
    assert (ROOT / "config" / file).read_text() == made(), "run: make reference"


def test_the_reference_changes_nothing() -> None:
    assert build(tomllib.loads(reference_text())) == Configuration()


def test_the_reference_names_every_key() -> None:
    schema: dict[str, Any] = json.loads(schema_text())
    keys = {name for section in schema["$defs"].values() for name in section.get("properties", {})}
    text = reference_text()
    for key in keys - {"listeners", "routes", "raw", "twilio", "audiosocket", "realtime", "mux", "seal"}:
        assert f"{key} = " in text or f"[{key}]" in text, key


def test_a_section_of_any_name_is_the_default_once_it_is_uncommented() -> None:
    lines = reference_text().partition("# [listeners.public]")[2].splitlines()
    text = "[listeners.public]\n" + "\n".join(line.removeprefix("# ") for line in lines)
    configuration = build(tomllib.loads(text + "\n[listener]\naddress = '[::1]:1'"))
    assert configuration.listeners["public"] == Configuration().listener
    assert set(configuration.routes) == {"support"}


def test_the_seal_is_there_once_it_is_uncommented_with_its_defaults() -> None:
    after = reference_text().partition("# [hsm.seal]")[2].partition("# Below")[0]
    text = "[hsm.seal]\n" + "\n".join(line.removeprefix("# ") for line in after.splitlines())
    assert build(tomllib.loads(text)).hsm.seal == SealConfig()
    assert build({}).hsm.seal is None


def test_every_line_fits() -> None:
    assert max(map(len, reference_text().splitlines())) <= 120


def test_the_schema_takes_what_is_right_and_refuses_what_is_wrong() -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(reference_text()), schema)
    for wrong in ("[voice]\nepoch_seconds = 1", "[voices]", "[routes.a]\nadapter = 'ehco'", "[routes.'a b']\n"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(wrong), schema)


def test_the_development_file_says_what_it_was_told() -> None:
    configuration = build(tomllib.loads(development_text(0, ("localhost", "::1"))))
    assert configuration.listener.address == "127.0.0.1:0"
    assert configuration.identity.names == ("localhost", "::1")
    assert set(configuration.routes) == {"echo"}


@pytest.mark.parametrize("name", ['"', '"]\n[hsm]\nmodule = "/x', "\\", "\n", "é", "\x00"])
def test_a_name_stays_inside_its_quotes(name: str) -> None:
    table = tomllib.loads(development_text(1, (name,)))
    assert table["identity"]["names"] == [name]
    assert "hsm" not in table


def test_uncommenting_the_bot_of_the_development_file_works() -> None:
    text = development_text(1, ("localhost",))
    before, heading, bot = text.partition("# [routes.bot]")
    table = tomllib.loads(before + heading.removeprefix("# ") + bot.replace("\n# ", "\n"))
    assert build(table).routes["bot"].adapter == "raw"
