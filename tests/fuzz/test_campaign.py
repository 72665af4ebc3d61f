"""Some seconds of fuzzing for each target (`campaign.RUNS`).  What is found fails its target's test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.campaign import run_campaign
from tests.fuzz.catalogue import TARGETS


@pytest.mark.interop(tool="python:atheris")
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str, tmp_path: Path, tell_campaign: Callable[[str], None]) -> None:
    campaign = run_campaign(name, tmp_path)
    tell_campaign(f"{campaign}{'   FAULT' if campaign.fault else ''}")
    assert campaign.fault is None, f"{campaign}\n{campaign.fault}"
    assert campaign.runs > 0
    assert campaign.covered > 0
