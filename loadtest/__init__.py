"""Load and measurements from outside: run with `python -m loadtest`.  Not shipped."""

PROGRAM = "python -m loadtest"
