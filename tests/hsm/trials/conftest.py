"""The tokens of `tests/hsm/operations`."""

from tests.hsm.operations.conftest import events, made, opened  # noqa: F401  pytest finds fixtures by their name here
