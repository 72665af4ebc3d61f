"""`sottovoce hsm status`."""

import sys
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import json_option, print_json, table_lines
from sottovoce.cli.watching.place import NOT_HEALTHY, concern_lines, find_url, place_argument, watch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sottovoce.admin import Concern, HsmStatus, Status, TokenStatus

_HEADINGS = ("TOKEN", "STATE", "SINCE", "IN FLIGHT", "LATE", "RESTARTS", "WHY")
_WORST_FIRST = ("locked", "sealed", "down", "suspect", "up")


@click.command("status")
@place_argument
@click.option("--watch", "is_watched", is_flag=True, help="Show it again every second, until Ctrl-C.")
@json_option
def status_command(place: str, *, is_watched: bool, as_json: bool) -> int:
    """Say how the tokens do that the proxy of DIR uses, or the one whose admin address is URL; the worst first.

    A token is a suspect while a call is late; LATE counts how many ever were.  Exit 0: all are well; 3: one is not;
    1: nobody answers.
    """
    import msgspec

    from sottovoce.admin import ask_status

    url = find_url(place)
    status = ask_status(url)
    if as_json:
        fields = msgspec.structs.asdict(status.hsm) | {"concerns": _concerns(status)}
        print_json("hsm.status", {"ok": not _exit_code(status), **fields})
    elif is_watched and sys.stdout.isatty():
        status = watch(url, status, _picture)
    else:
        for line in _lines(status):
            click.echo(line)
    return _exit_code(status)


def _exit_code(status: "Status") -> int:
    is_well = all(each.severity == "notice" for each in _concerns(status))
    return 0 if is_well and all(_word(each) == "up" for each in status.hsm.tokens) else NOT_HEALTHY


def _picture(status: "Status") -> "RenderableType":
    from rich.text import Text

    return Text("\n".join(_lines(status)))


def _lines(status: "Status") -> list[str]:
    tokens = sorted(status.hsm.tokens, key=lambda each: _WORST_FIRST.index(_word(each)))
    table = table_lines([_HEADINGS, *map(_row, tokens)])
    return [_summary(status.hsm), *table, *concern_lines(_concerns(status))]


def _summary(hsm: "HsmStatus") -> str:
    up, count = sum(each.state == "up" for each in hsm.tokens), len(hsm.tokens)
    quorum = f"{up} of {count} up, a new key takes {hsm.quorum}"
    hedges = f"sent twice: {hsm.hedges_won} won, {hsm.hedges_lost} lost"
    return f"hsm {hsm.state} · {quorum} · {hsm.waiting} waiting · {hsm.roots_signed} roots signed · {hedges}"


def _row(token: "TokenStatus") -> tuple[str, ...]:
    from sottovoce.admin import duration
    from sottovoce.primitives import one_line

    return (
        one_line(token.name),
        _word(token),
        duration(token.seconds),
        str(token.in_flight),
        str(token.suspicions),
        str(token.replacements),
        one_line(token.reason),
    )


def _word(token: "TokenStatus") -> str:
    return "suspect" if token.is_suspect and token.state == "up" else token.state


def _concerns(status: "Status") -> "list[Concern]":
    return [each for each in status.concerns if each.cause == "hsm" or each.cause.startswith("hsm.")]
