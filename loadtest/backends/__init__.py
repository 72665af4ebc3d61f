"""Example backends, each a program of its own: `python -m loadtest.backends.NAME --help`."""
