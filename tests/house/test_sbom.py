"""`make sbom`: a list of what an installation with [server] consists of, valid, whole and nothing beside."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import find_tool
from tests.house.test_lock import LINE

ROOT = Path(__file__).parents[2]
TOOL = "cyclonedx-py"


def test_the_tools_own_lock_names_packages_and_hashes_and_no_index() -> None:
    text = (ROOT / ".ci/sbom.lock").read_text(encoding="ascii")
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    assert "//" not in text
    assert "cyclonedx-bom==" in text


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tool = find_tool(TOOL)
    assert tool is not None
    output = tmp_path_factory.mktemp("sbom") / "sbom.json"
    subprocess.run([sys.executable, ROOT / ".ci/sbom", tool, output], check=True, capture_output=True)
    return json.loads(output.read_text())


def names(listed: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"].lower(): each["version"] for each in listed["components"]}


def asked_for() -> set[str]:
    """What pyproject.toml says, base and [server]."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    return {word.partition(">")[0] for word in words}


@pytest.mark.interop(tool=TOOL)
def test_it_is_what_it_says_it_is(listed: dict[str, Any]) -> None:
    """The tool has checked it against the schema of CycloneDX; this is the part that others rely on."""
    component = {
        "type": "object",
        "required": ["type", "name", "version", "purl", "externalReferences"],
        "properties": {"purl": {"pattern": "^pkg:pypi/"}, "type": {"const": "library"}},
    }
    whole = {
        "type": "object",
        "required": ["bomFormat", "specVersion", "metadata", "components"],
        "properties": {
            "bomFormat": {"const": "CycloneDX"},
            "specVersion": {"const": "1.6"},
            "components": {"type": "array", "minItems": 20, "items": component},
        },
    }
    jsonschema.validate(listed, whole)
    assert listed["metadata"]["component"]["name"] == "sottovoce"


@pytest.mark.interop(tool=TOOL)
def test_it_names_every_dependency_of_the_server_with_version_and_hashes(listed: dict[str, Any]) -> None:
    found = names(listed)
    assert asked_for() <= found.keys()
    assert {name: found[name] for name in asked_for()} == {name: metadata.version(name) for name in asked_for()}
    for each in listed["components"]:
        hashes = [one["alg"] for place in each["externalReferences"] for one in place.get("hashes", ())]
        assert set(hashes) == {"SHA-256"}, each["name"]


@pytest.mark.interop(tool=TOOL)
def test_it_names_nothing_that_only_developers_have(listed: dict[str, Any]) -> None:
    assert (
        names(listed).keys().isdisjoint({"pytest", "mypy", "ruff", "matplotlib", "uvloop", "tlslite-ng", "hatchling"})
    )
