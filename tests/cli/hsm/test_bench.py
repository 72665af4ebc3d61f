"""`sottovoce hsm bench`: it measures, and its ratios are those of what it shows."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.interop(tool="softhsm2-util")


def test_the_pool_is_measured_beside_the_bare_loop(cli: Cli, directory: Path) -> None:
    done = cli("hsm", "bench", directory, "--seconds", "0.6", "--json").json
    assert (done["tokens"], set(done["pool"])) == (["main"], {"1", "32"})
    for each in (done["bare"], *done["pool"].values()):
        assert 0 < each["p50_milliseconds"] <= each["p99_milliseconds"]
    assert done["share"] == pytest.approx(done["pool"]["32"]["per_second"] / done["bare"]["per_second"], abs=0.001)
    added = done["pool"]["1"]["p50_milliseconds"] - done["bare"]["p50_milliseconds"]
    assert done["added_milliseconds"] == pytest.approx(added, abs=0.001)


def test_people_get_a_table(cli: Cli, directory: Path) -> None:
    ran = cli("hsm", "bench", directory, "--seconds", "0.3")
    assert (ran.code, ran.err) == (0, "")
    headings, bare, one, many, last = ran.out.splitlines()
    assert headings.split() == ["PER", "SECOND", "P50", "MS", "P99", "MS"]
    assert (bare.startswith("a bare loop"), one.startswith("the pool, 1 at"), many.startswith("the pool, 32")) == (
        *(True, True),
        True,
    )
    assert last.startswith("the pool adds ")
