"""What commands share: the working directory's argument, `--json`, and words for people."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import msgspec

_BAR_CELLS = 30

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


def progress_bar() -> Callable[[int, int, int], None] | None:
    """Give what shows a call's progress on standard error; None where nobody watches."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return None

    def show(sent: int, returned: int, frames: int) -> None:
        bar = "█" * (_BAR_CELLS * sent // frames)
        end = "\r" if sent < frames else "\r\x1b[K"
        click.echo(f"  {bar:<{_BAR_CELLS}}  {sent}/{frames} sent, {returned} back{end}", err=True, nl=False)

    return show
