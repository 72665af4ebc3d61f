"""Every check of `wire` and `session` is taken out in turn, and the pure tests notice.

`tests/mutation/alive.toml` says of each mutant that lives why it does no harm; `python -m tests.mutation [WORD…]` tries
those of some files by hand.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mutation.operators import ERASE, mutants
from tests.mutation.running import ROOT, all_mutants, run, summary

ALIVE = ROOT / "tests/mutation/alive.toml"
ENOUGH = 0.95


def explained() -> dict[str, str]:
    entries = tomllib.loads(ALIVE.read_text(encoding="utf-8"))["mutant"]
    assert all(entry["why"].strip() for entry in entries)
    names = {entry["name"]: entry["why"] for entry in entries}
    assert len(names) == len(entries), "an entry stands there twice"
    return names


def test_what_is_explained_still_exists() -> None:
    """An entry whose code has gone, or reads differently, has to be looked at again."""
    assert set(explained()) - {mutant.name for mutant in all_mutants(ROOT)} == set()


def test_a_small_module_has_these_mutants() -> None:
    source = "def f(a):\n    if a > 1:\n        raise E\n    a.wipe()\n    return a and b\n"
    assert [mutant.name for mutant in mutants("m.py", source)] == [
        "m.py:f: boundary: a > 1 -> (a >= 1)",
        "m.py:f: refusal: raise E -> pass",
        "m.py:f: erase: a.wipe() -> pass",
        "m.py:f: clause: a and b -> (b)",
        "m.py:f: clause: a and b -> (a)",
    ]
    assert "a >= 1" in mutants("m.py", source)[0].source


@pytest.mark.soak
def test_nearly_every_mutant_is_killed_and_the_rest_explained(tmp_path: Path, figure: Callable[[str], None]) -> None:
    results, coverage = run(tmp_path, explained=explained())
    assert coverage.failed == []
    killed = sum(result.is_killed for result in results)
    slow = sum(result.how == "timeout" for result in results)
    erased, erasers = summary(results)[ERASE]
    figure(
        f"{killed} of {len(results)} mutants killed ({100 * killed / len(results):.1f} %), {slow} of them by time;"
        f" of those that erase nothing, {erased} of {erasers}; {len(explained())} explained"
    )
    alive = {result.mutant.name for result in results if not result.is_killed}
    assert alive - set(explained()) == set(), "each wants a test, or an entry in alive.toml"
    assert killed >= ENOUGH * len(results)
