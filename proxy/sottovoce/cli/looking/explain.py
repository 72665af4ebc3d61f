"""`sottovoce explain`: what a code means, its usual causes, and what to do."""

from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import json_option, print_json

if TYPE_CHECKING:
    from sottovoce.app.explaining import Entry

_MAX_SHOWN = 64


@click.command("explain")
@click.argument("code", required=False, metavar="[CODE]")
@json_option
def command(code: str | None, *, as_json: bool) -> int:
    """Explain CODE: what it means, its usual causes, what to do.  Without CODE: list all there are.

    CODE is the number or the name of a call's end, a backend's fault, an HTTP status, a TLS alert, an exit code, a
    reason for which a connection is refused, or the name of a log event.

    \b
      sottovoce explain 4450
      sottovoce explain token.lost
    """  # noqa: D301  \b is click's: keep these lines as they are
    from sottovoce.app.explaining import TABLE, find, nearest
    from sottovoce.primitives import one_line

    entries = TABLE if code is None else find(code)
    if not entries:
        shown, near = one_line(code or "", max_characters=_MAX_SHOWN), nearest(code or "")
        error = f"there is no {shown}; " + (
            f"did you mean {', '.join(near)}?" if near else "sottovoce explain lists all"
        )
        if as_json:
            print_json("explain", {"ok": False, "error": error, "nearest": near, "entries": ()})
        click.echo(f"sottovoce: {error}", err=True)
        return 1
    if as_json:
        print_json("explain", {"ok": True, "entries": entries})
    elif code is None:
        _list(entries)
    else:
        for number, entry in enumerate(entries):
            _show(entry, after_another=bool(number))
    return 0


def _list(entries: "tuple[Entry, ...]") -> None:
    kind = None
    width = max(len(entry.title) for entry in entries)
    for entry in entries:
        if entry.kind is not kind:
            kind = entry.kind
            click.echo(f"{kind}")
        click.echo(f"  {entry.title:<{width}}  {entry.meaning}")


def _show(entry: "Entry", *, after_another: bool) -> None:
    if after_another:
        click.echo()
    click.echo(f"{entry.title} ({entry.kind})")
    click.echo(f"  {entry.meaning}")
    for title, lines in (("usual causes", entry.causes), ("what to do", entry.remedies)):
        click.echo(f"  {title}")
        for line in lines:
            click.echo(f"    - {line}")
