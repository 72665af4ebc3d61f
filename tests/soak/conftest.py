"""Directories as `init` makes them, with real tokens in SoftHSM."""

from tests.app.directories import directory, made_directory, made_of_three, opened, three, token_events

__all__ = ["directory", "made_directory", "made_of_three", "opened", "three", "token_events"]
