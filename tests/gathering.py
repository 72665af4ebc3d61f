"""What is told at the end of a test run, brought together from the processes that ran the tests (`parallel`)."""

from collections.abc import Callable
from typing import Any

import pytest

_gathered = pytest.StashKey[dict[str, Callable[[], list[Any]]]]()
_brought = pytest.StashKey[dict[str, list[Any]]]()


def gather(config: pytest.Config, name: str, told: Callable[[], list[Any]]) -> None:
    """Have what `told` gives at the end of the tests, lists and plain values, brought to where the summary is made."""
    config.stash.setdefault(_gathered, {})[name] = told


def all_of(config: pytest.Config, name: str) -> list[Any]:
    """Give what was gathered under a name, here and by other processes."""
    return [*config.stash[_gathered][name](), *config.stash.setdefault(_brought, {}).get(name, [])]


def pack(config: pytest.Config) -> dict[str, list[Any]]:
    """Give all that was gathered here."""
    return {name: told() for name, told in config.stash.setdefault(_gathered, {}).items()}


def bring(config: pytest.Config, packed: dict[str, list[Any]]) -> None:
    """Add what was gathered elsewhere."""
    brought = config.stash.setdefault(_brought, {})
    for name, told in packed.items():
        brought.setdefault(name, []).extend(told)
