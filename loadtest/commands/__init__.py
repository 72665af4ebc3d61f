"""Commands of `python -m loadtest`; the package imports nothing, so that `--help` is quick."""
