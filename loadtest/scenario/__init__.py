"""Scenarios: what a run does, read from a TOML file, with every value checked and every fault named with its remedy."""

from loadtest.scenario.reading import SHIPPED, ScenarioInvalid, find_scenario, read_scenario, shipped_scenarios
from loadtest.scenario.shape import GroupSection, OutageSection, Scenario

__all__ = [
    "SHIPPED",
    "GroupSection",
    "OutageSection",
    "Scenario",
    "ScenarioInvalid",
    "find_scenario",
    "read_scenario",
    "shipped_scenarios",
]
