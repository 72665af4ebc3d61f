"""One shared record and several real processes: `processes` is the program that they are."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.identity.tickets import processes

Told = dict[str, Any]


@pytest.fixture(scope="module")
def told() -> Told:
    done = subprocess.run([sys.executable, processes.__file__], capture_output=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.protocol("P6.48", "P11.27")
def test_eight_processes_accept_each_of_two_hundred_tickets_once(told: Told) -> None:
    race = told["race"]
    assert sorted(race["accepted"]) == sorted(race["tickets"])
    taken = race["taken"] + race["tickets"]
    assert len(taken) == len(set(taken)) == race["sealed"] == 9 * processes.TICKETS
    assert race["spent"] == processes.TICKETS


def test_killed_at_each_step_no_ticket_is_accepted_again_nor_a_number_taken_twice(told: Told) -> None:
    steps = told["killed"]
    assert any(not each["was_marked"] for each in steps)
    assert any(each["was_marked"] and not each["accepted"] for each in steps)
    assert any(each["accepted"] for each in steps)
    for each in steps:
        assert each["was_marked"] or not each["accepted"]
        assert each["again"] == [not each["was_marked"], False]
        assert each["neighbour"]
        assert len(each["taken"]) == len(set(each["taken"]))


def test_a_process_that_stands_still_holds_up_nobody_and_its_ticket_is_accepted_once_at_most(told: Told) -> None:
    steps = told["stopped"]
    assert any(each["there"] for each in steps)
    assert any(each["here"] for each in steps)
    for each in steps:
        assert each["here"] + each["there"] + each["later"] <= 1
        assert each["neighbour"]


@pytest.mark.protocol("P6.46")
def test_whoever_erases_a_record_and_is_killed_at_any_step_leaves_no_used_ticket_unused(told: Told) -> None:
    steps = told["erased"]
    assert steps[0]["goes_on"]
    assert not steps[-1]["goes_on"]
    for each in steps:
        assert all(each["first"])
        assert not any(each["again"])
