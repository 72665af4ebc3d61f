"""Planted faults, one at a time: each is answered with what, where and remedy, in three lines or fewer."""

from collections.abc import Callable

import pytest

from tests.shows.faults import of_a_call, of_the_house
from tests.shows.faults.world import Asked, World, asked

FAULTS: dict[Callable[[World], Asked], tuple[str, ...]] = of_the_house.FAULTS | of_a_call.FAULTS
MAX_LINES = 3


def filled(words: tuple[str, ...], world: World) -> list[str]:
    pid = world.tmp / "pid"
    names = {
        "directory": str(world.tmp / "voice"),
        "tmp": str(world.tmp),
        "pid": pid.read_text() if pid.exists() else "",
    }
    return [word.format_map(names) for word in words]


def test_there_are_thirty_and_more() -> None:
    assert len(FAULTS) >= 30


SAID_OF_BACKENDS = {
    "down": ("Connection refused", "start what listens there"),
    "refusing": ("403", "routes.refusing.url"),
    "deaf": ("deaf",),
    "nonsense": ("nonsense",),
    "garbage": ("bad_text: JSON is malformed", "routes.garbage"),
    "closing": ("code 1011", "routes.closing"),
}


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.parametrize("name", SAID_OF_BACKENDS)
def test_the_operator_is_told_which_backend_and_why(name: str, world: World) -> None:
    assert world.calls(name).ask().code == 1
    status = asked("status", world.proxy.admin).ask()
    assert status.code == 3
    (line,) = [line for line in status.out.splitlines() if f"backend.{name}:" in line]
    assert [word for word in SAID_OF_BACKENDS[name] if word not in line] == [], line


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_fault_is_answered_with_what_where_and_remedy(plant: Callable[[World], Asked], world: World) -> None:
    asking = plant(world)
    answer = asking.ask()
    assert answer.code not in {0, None}, answer
    assert 1 <= len(answer.lines) <= MAX_LINES, answer.err
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err
    said = "\n".join(answer.lines)
    assert [word for word in filled(FAULTS[plant], world) if word not in said] == [], said
    as_json = asking.ask("--json")
    assert as_json.code == answer.code
    assert as_json.json["ok"] is False
    assert "schema" in as_json.json
    text = as_json.out.replace('\\"', '"')
    assert [word for word in filled(FAULTS[plant], world) if word not in text] == [], text
