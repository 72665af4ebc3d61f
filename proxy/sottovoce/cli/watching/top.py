"""`sottovoce top`: a running proxy, watched."""

import sys
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import json_option, print_json
from sottovoce.cli.watching.place import concern_lines, exit_code, find_url, place_argument, summary, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from sottovoce.admin import RouteStatus, Status


@click.command("top")
@place_argument
@click.option("--once", is_flag=True, help="Show it once and end.")
@json_option
def command(place: str, *, once: bool, as_json: bool) -> int:
    """Watch the proxy of DIR, or the one whose admin address is URL: routes, calls, backends; once a second.

    Ctrl-C ends it.  Where standard output is no terminal, and with --json, it shows things once.  Exit codes are those
    of `sottovoce status`.
    """
    import msgspec

    from sottovoce.admin import ask_status

    url = find_url(place)
    status = ask_status(url)
    if as_json:
        print_json("top", {"ok": exit_code(status) == 0, **_without_schema(msgspec.structs.asdict(status))})
    elif once or not sys.stdout.isatty():
        from rich.console import Console

        Console().print(_picture(status))
    else:
        status = watch(url, status, _picture)
    return exit_code(status)


def _without_schema(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "schema"}


def _picture(status: "Status") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("route", "calls", "peak", "total", "backend", "since"):
        table.add_column(name, justify="right" if name in {"calls", "peak", "total"} else "left")
    for route in status.routes:
        table.add_row(*map(Text, _row(route)))
    lines = [summary(status), "", *concern_lines(status.concerns)]
    if status.concerns:
        lines.append("")
    return Group(*map(Text, lines), table, *_workers(status), Text(f"\n{_below(status)}"))


def _workers(status: "Status") -> "Iterator[RenderableType]":
    """Give a table of the workers, where there are any."""
    if status.workers is None:
        return
    from rich.table import Table
    from rich.text import Text

    from sottovoce.admin import duration

    table = Table(box=None, pad_edge=False)
    for name in ("worker", "pid", "state", "since", "calls"):
        table.add_column(name, justify="left" if name in {"state", "since"} else "right")
    for each in status.workers.each:
        number = "" if each.worker is None else str(each.worker)
        table.add_row(*map(Text, (number, str(each.pid), each.state, duration(each.seconds), str(each.calls))))
    yield Text("")
    yield table


def _row(route: "RouteStatus") -> tuple[str, ...]:
    from sottovoce.admin import duration
    from sottovoce.primitives import one_line

    calls = route.calls
    return (
        one_line(route.name),
        str(calls.now),
        str(calls.peak),
        str(calls.total),
        route.backend,
        duration(route.seconds),
    )


def _below(status: "Status") -> str:
    from sottovoce.admin import duration
    from sottovoce.primitives import one_line

    groups = one_line(", ".join(f"{name} {count}" for name, count in status.handshakes.groups.items()) or "none")
    audit = f"audit log {status.audit.records} records"
    return f"up {duration(status.uptime_seconds)} · {status.hsm.roots_signed} roots signed · {audit} · groups: {groups}"
