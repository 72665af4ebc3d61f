"""What commands share: the working directory's argument, `--json`, and words for people."""

import sys
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

directory_argument = click.argument(
    "directory", type=click.Path(path_type=Path), envvar="SOTTOVOCE_DIR", default=".", metavar="[DIR]"
)
"""A directory made by `sottovoce init`; the current one, or $SOTTOVOCE_DIR, unless it is given."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def print_json(schema: str, fields: Mapping[str, object]) -> None:
    """Print a result for a program; `schema` names its shape and version."""
    click.echo(msgspec.json.encode({"schema": f"sottovoce.{schema}.1", **fields}).decode())


def say(line: str) -> None:
    """Tell a person something on standard error."""
    click.echo(line, err=True)


def shows_progress() -> bool:
    """Whether somebody watches: both streams are terminals."""
    return sys.stderr.isatty() and sys.stdout.isatty()
