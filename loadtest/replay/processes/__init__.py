"""Processes around a run: those that it looks at, those that it starts, and where each may run."""
