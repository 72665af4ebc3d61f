"""`python -m loadtest compare`: the same load through Sottovoce and its peers, in turns, with ratios."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loadtest.peers.comparing import Comparison, Turn
    from loadtest.peers.servers import Program

_KNOWN = ("haproxy", "nginx")
_MAX_TICK_US = 20_000
_FAILED, _INTERRUPTED = 1, 130


def peers_of(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Take names with commas between them apart."""
    if value is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if not names or set(names) - set(_KNOWN):
        text = f"{value!r}: name one or more of {', '.join(_KNOWN)}, with commas between them"
        raise click.BadParameter(text, param=parameter)
    return names


@click.command("compare")
@click.option("--against", required=True, callback=peers_of, metavar="PEERS", help="As in haproxy,nginx.")
@click.option("--sessions", type=click.IntRange(1, 5000), default=200, show_default=True, help="Calls at a time.")
@click.option("--seconds", type=click.FloatRange(1, 3600), default=5.0, show_default=True, help="Of each run.")
@click.option("--rounds", type=click.IntRange(1, 99), default=3, show_default=True, help="How often all take turns.")
@click.option(
    "--tick",
    "ticks",
    type=click.IntRange(0, _MAX_TICK_US),
    multiple=True,
    default=(0, 1000),
    show_default=True,
    help="Microseconds to which arrivals are gathered; 0: each frame at its own instant.  Repeatable.",
)
@click.option("--install", "may_install", is_flag=True, help="Fetch what is missing from Debian; starts no service.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(  # noqa: PLR0913  a command's options
    *,
    against: tuple[str, ...],
    sessions: int,
    seconds: float,
    rounds: int,
    ticks: tuple[int, ...],
    page: Path | None,
    may_install: bool,
    as_json: bool,
) -> None:
    """Compare Sottovoce with PEERS under the same load: processor time per forwarded frame, latency, memory.

    Servers have one core, generator and backend another; the first peer that is there is 1 in the ratios.  It takes
    about ROUNDS x ticks x contenders x (SECONDS + 5) seconds.  Exit status 1 when none of the PEERS could run.
    """
    import msgspec  # noqa: PLC0415  --help is quick

    from loadtest.peers.comparing import Wanted, compare  # noqa: PLC0415  likewise
    from loadtest.peers.servers import find_cores  # noqa: PLC0415  likewise
    from sottovoce.primitives import SottovoceError  # noqa: PLC0415  likewise

    if not math.isfinite(seconds):  # which no range forbids
        raise click.BadParameter("give a number that ends", param_hint="--seconds")
    programs, missing = find_programs(against, may_install=may_install)
    wanted = Wanted(
        programs=programs, sessions=sessions, seconds=seconds, rounds=rounds, ticks=tuple(dict.fromkeys(ticks))
    )
    try:
        comparison = compare(wanted, find_cores(), missing, _tell)
    except (SottovoceError, RuntimeError) as error:  # RuntimeError: the proxy did not start
        raise click.ClickException(str(error)) from None
    could_run = any(program.name not in comparison.missing for program in programs)
    if as_json:
        fields = msgspec.structs.asdict(comparison)
        ok = could_run and not comparison.is_partial
        click.echo(msgspec.json.encode({"schema": fields.pop("schema"), "ok": ok, **fields}).decode())
    else:
        _print(comparison)
    if page is not None:
        _write(comparison, page)
    if comparison.is_partial:
        sys.exit(_INTERRUPTED)
    sys.exit(0 if could_run else _FAILED)


def find_programs(names: tuple[str, ...], *, may_install: bool) -> "tuple[tuple[Program, ...], dict[str, str]]":
    """Find the peers, or fetch them; give what is missing, with its remedy."""
    from loadtest.peers.servers import InstallationFailed, find_program, install, remedy  # noqa: PLC0415  as above

    programs: list[Program] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            program = find_program(name) or (install(name) if may_install else None)
        except InstallationFailed as error:
            missing[name] = str(error)
            continue
        if program is None:
            missing[name] = remedy(name)
        else:
            programs.append(program)
    for text in missing.values():
        click.echo(text, err=True)
    return tuple(programs), missing


def _tell(turn: "Turn") -> None:
    if sys.stderr.isatty():
        click.echo(f"round {turn.round}: {turn.name}, tick {turn.tick_us} µs …", err=True)


def _print(comparison: "Comparison") -> None:
    from loadtest.peers.table import describe_comparison  # noqa: PLC0415  as above

    for line in describe_comparison(comparison):
        click.echo(line)


def _write(comparison: "Comparison", page: Path) -> None:
    from msgspec.structs import replace  # noqa: PLC0415  as above

    from loadtest.peers.statistics import middle  # noqa: PLC0415  as above
    from loadtest.peers.table import notes, summary  # noqa: PLC0415  as above
    from loadtest.report import Opening, write_html  # noqa: PLC0415  as above

    outcomes = [
        replace(outcome, name=f"{outcome.name}, {f'{outcome.tick_us} µs ticks' if outcome.tick_us else 'own instants'}")
        for outcome in middle(comparison.rows)
    ]
    names = dict.fromkeys(row.outcome.name for row in comparison.rows)
    title = f"The same load through {', '.join(names)}"
    opening = Opening(title=title, summary=summary(comparison), remarks=notes(comparison))
    try:
        write_html(outcomes, page, opening)
    except OSError as error:
        raise click.ClickException(f"--html {page}: {error.strerror}: name a file that you may write") from None
