"""The models of the protocol under Verifpal: every claim holds, and each mutant breaks what it should.

docs/models.md says what is claimed and what is not.
"""

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import find_tool

FOLDER = Path(__file__).parents[1] / "models"
MODELS: list[dict[str, Any]] = tomllib.loads((FOLDER / "claims.toml").read_text(encoding="utf-8"))["model"]
MUTANTS = [(model, mutant) for model in MODELS for mutant in model["mutant"]]
VERIFPAL = "verifpal"
SECONDS = 300


def verdicts(path: Path, sessions: int) -> str:
    """Give a digit for each query, in the file's order: 1 if an attack was found."""
    program = find_tool(VERIFPAL)
    assert program is not None
    command = [program, "verify", "--sessions", str(sessions), "--quiet", "--result-code", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    code = done.stdout.split()[-1]
    return "".join(re.findall(r"[a-z](\d)", code))


def queries_of(text: str) -> list[str]:
    return re.findall(r"\? (.+)$", text[text.index("queries[") :], re.MULTILINE)


def test_each_claim_has_a_mutant_that_breaks_it() -> None:
    assert {model["file"] for model in MODELS} == {path.name for path in FOLDER.glob("*.vp")}
    for model in MODELS:
        assert queries_of((FOLDER / model["file"]).read_text(encoding="utf-8")) == model["queries"]
        broken = [{place for place, digit in enumerate(mutant["breaks"]) if digit == "1"} for mutant in model["mutant"]]
        assert set[int]().union(*broken) == set(range(len(model["queries"]))), model["file"]


@pytest.mark.soak
@pytest.mark.interop(tool=VERIFPAL)
@pytest.mark.parametrize("model", MODELS, ids=[model["file"] for model in MODELS])
def test_every_claim_holds(model: dict[str, Any], figure: Callable[[str], None]) -> None:
    figure(f"{model['file']}: {len(model['queries'])} claims, {len(model['mutant'])} mutants")
    assert verdicts(FOLDER / model["file"], model["sessions"]) == "0" * len(model["queries"])


@pytest.mark.soak
@pytest.mark.interop(tool=VERIFPAL)
@pytest.mark.parametrize(("model", "mutant"), MUTANTS, ids=[mutant["name"].replace(" ", "-") for _, mutant in MUTANTS])
def test_each_mutant_breaks_what_it_should(model: dict[str, Any], mutant: dict[str, Any], tmp_path: Path) -> None:
    text = (FOLDER / model["file"]).read_text(encoding="utf-8")
    for old, new in mutant["replace"]:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / "mutant.vp"
    path.write_text(text, encoding="utf-8")
    assert verdicts(path, model["sessions"]) == mutant["breaks"]
