"""A minute of fuzzing for each target; `FUZZ_SECONDS` says otherwise.  What is found fails its target's test."""

from concurrent.futures import Future

import pytest

from tests.fuzz.campaign import Campaign
from tests.fuzz.catalogue import TARGETS


@pytest.mark.interop(tool="python:atheris")
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str, campaigns: dict[str, Future[Campaign]]) -> None:
    campaign = campaigns[name].result()
    assert campaign.fault is None, f"{campaign}\n{campaign.fault}"
    assert campaign.runs > 0
    assert campaign.covered > 0
