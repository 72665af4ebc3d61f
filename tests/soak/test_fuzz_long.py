"""The long form of `tests/fuzz/test_campaign.py`: ten minutes a target, unless `FUZZ_SOAK_SECONDS` says otherwise."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.campaign import run_campaign
from tests.fuzz.catalogue import TARGETS

SECONDS = int(os.environ.get("FUZZ_SOAK_SECONDS", "600"))


@pytest.mark.soak
@pytest.mark.interop(tool="python:atheris")
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found_in_a_long_time(name: str, tmp_path: Path, figure: Callable[[str], None]) -> None:
    campaign = run_campaign(name, tmp_path, SECONDS, seed=0)
    figure(" ".join(str(campaign).split()))
    assert campaign.fault is None, f"{campaign}\n{campaign.fault}"
