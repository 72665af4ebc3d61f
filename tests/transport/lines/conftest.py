"""Every kind of line that there is."""

import pytest

from sottovoce.transport.lines import hub
from tests.transport.lines.ends import BY_TASK, KINDS


def never(_hub: hub.Hub) -> bool:
    """Find Trio changed."""
    return False


@pytest.fixture(params=[*KINDS, *BY_TASK])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a kind of line; where it says so, the hub is a task."""
    if request.param in BY_TASK:
        monkeypatch.setattr(hub, "stand_in", never)
    return request.param
