"""The suite by two processes: all that they have to tell is told, and what wants to be alone is."""

import pytest

from tests.running import ROOT

PLUGIN = """
import pytest
pytest_plugins = ("tests.parallel", "tests.vector_report", "tests.fuzz_report")
"""
FILE = """
import pathlib, time
HERE = pathlib.Path(__file__).parent

def test_it(vector_run, tell_campaign):
    with vector_run("{name}") as run:
        run.check(1, True, positive=True)
    tell_campaign("campaign {name}")

def test_beside(tmp_path):
    (HERE / "{name}.running").touch()
    time.sleep(0.2)
    (HERE / "{name}.running").unlink()
"""
ALONE = """
import pathlib, time
HERE = pathlib.Path(__file__).parents[2]

def test_alone():
    mine = HERE / "{name}.running"
    mine.touch()
    for _ in range(5):
        assert list(HERE.glob("*.running")) == [mine]
        time.sleep(0.05)
    mine.unlink()
"""


def test_two_processes_tell_what_one_would(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(PLUGIN)
    for name in ("first", "second", "third"):
        pytester.makepyfile(**{f"test_{name}": FILE.format(name=name)})
    alone = pytester.path / "tests" / "shows"
    alone.mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (alone / f"test_{name}.py").write_text(ALONE.format(name=name))
    words = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--import-mode=importlib")
    done = pytester.runpytest_subprocess(*words)
    done.assert_outcomes(passed=10)
    for name in ("first", "second", "third"):
        done.stdout.fnmatch_lines([f"campaign {name}"])
        done.stdout.fnmatch_lines([f"{name} *1 *1 *0*"])
