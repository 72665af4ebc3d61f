"""Directories as `init` makes them, with a real token in SoftHSM."""

from tests.app.directories import directory, made_directory, opened, token_events

__all__ = ["directory", "made_directory", "opened", "token_events"]
