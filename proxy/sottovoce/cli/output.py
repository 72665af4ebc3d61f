"""What commands share: the working directory's argument, `--json`, and words for people."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

_BAR_CELLS = 30
_WANTED = "sottovoce.json"
"""Where click's context remembers that JSON is wanted, and of which schema."""

any_path = click.Path(path_type=Path, readable=False)
"""A path as it was written.  Whoever opens it says what is wrong with it: that is no fault of usage."""
directory_argument = click.argument("directory", type=any_path, envvar="SOTTOVOCE_DIR", default=".", metavar="[DIR]")
"""A directory made by `sottovoce init`; the current one, or $SOTTOVOCE_DIR, unless it is given."""


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001  click's signature
    if value:
        ctx.meta[_WANTED] = ".".join(ctx.command_path.split()[1:])
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_remember, help="Print one JSON object and nothing else."
)


def print_json(schema: str, fields: Mapping[str, object]) -> None:
    """Print a result for a program; `schema` names its shape and version."""
    import msgspec

    click.echo(msgspec.json.encode({"schema": f"sottovoce.{schema}.1", **fields}).decode())


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows for a person, the first of them headings."""
    for line in table_lines(rows):
        click.echo(line)


def table_lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Give rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def print_failure(ctx: click.Context, error: Exception) -> None:
    """Print for a program that the command failed, if JSON was asked for; people are told on standard error."""
    from sottovoce.cli.failures import leaves, lines_of

    if _WANTED in ctx.meta:
        code = next((code for each in leaves(error) if isinstance(code := getattr(each, "code", None), int)), None)
        print_json(ctx.meta[_WANTED], {"ok": False, "error": "; ".join(lines_of(error)), "code": code})


def print_misuse(error: click.ClickException) -> None:
    """Print for a program that the words of the command itself were wrong."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = [] if context is None else context.command_path.split()[1:]
    print_json(".".join(path) or "usage", {"ok": False, "error": error.format_message(), "code": None})


def say(line: str) -> None:
    """Tell a person something on standard error."""
    click.echo(line, err=True)


def say_progress(line: str) -> None:
    """Tell a person who watches what goes on; nobody else is told."""
    if _is_watched():
        say(line)


def progress_bar() -> Callable[[int, int, int], None] | None:
    """Give what shows a call's progress on standard error; None where nobody watches."""
    if not _is_watched() or os.environ.get("TERM") == "dumb":
        return None

    def show(sent: int, returned: int, frames: int) -> None:
        bar = "█" * (_BAR_CELLS * sent // frames)
        end = "\r" if sent < frames else "\r\x1b[K"
        click.echo(f"  {bar:<{_BAR_CELLS}}  {sent}/{frames} sent, {returned} back{end}", err=True, nl=False)

    return show


def _is_watched() -> bool:
    return sys.stderr.isatty()
