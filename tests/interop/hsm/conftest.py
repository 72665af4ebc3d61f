"""Tokens as the tests of the operations make them."""

from tests.hsm.operations.conftest import events, made, opened

__all__ = ["events", "made", "opened"]
