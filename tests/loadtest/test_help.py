"""`python -m loadtest --help` is kept, as that of `sottovoce` is; `tests/cli/test_help_is_quick.py` times it."""

from pathlib import Path

from loadtest.commands.tree import help_text

ROOT = Path(__file__).parents[2]


def test_the_pages_that_are_kept_are_what_click_makes_of_help() -> None:
    assert (ROOT / "loadtest/help.txt").read_text(encoding="utf-8") == help_text(), "run: make reference"
