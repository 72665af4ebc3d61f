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
_OURS = ("raw", "mux", "workers")
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


def _ours(_: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Give the contenders' names; the first is always there."""
    words = {word.strip() for word in value.split(",") if word.strip()}
    if unknown := words - set(_OURS):
        raise click.BadParameter(f"{min(unknown)!r}: name some of {', '.join(_OURS)}", param=parameter)
    from loadtest.peers.contenders import OURS  # noqa: PLC0415  --help is quick

    return tuple(name for word, name in zip(_OURS, OURS, strict=True) if word in {*words, _OURS[0]})


@click.command("compare")
@click.option("--against", required=True, callback=peers_of, metavar="PEERS", help="As in haproxy,nginx.")
@click.option(
    "--ours",
    callback=_ours,
    default=",".join(_OURS),
    show_default=True,
    help="Which of Sottovoce take part; `raw` always.",
)
@click.option("--sessions", type=click.IntRange(1, 5000), default=400, show_default=True, help="Calls at a time.")
@click.option("--seconds", type=click.FloatRange(0.5, 3600), default=5.0, show_default=True, help="Of each run.")
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
@click.option("--connections/--no-connections", default=True, help="Handshakes and idle calls, too.  [default: yes]")
@click.option("--firm", "is_firm", is_flag=True, help="Servers go before others, too: on a machine that is not quiet.")
@click.option("--install", "may_install", is_flag=True, help="Fetch what is missing from Debian; starts no service.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(  # noqa: PLR0913  a command's options
    *,
    against: tuple[str, ...],
    ours: tuple[str, ...],
    connections: bool,
    is_firm: bool,
    sessions: int,
    seconds: float,
    rounds: int,
    ticks: tuple[int, ...],
    page: Path | None,
    may_install: bool,
    as_json: bool,
) -> None:
    """Compare Sottovoce with PEERS under the same load: processor time per forwarded frame, latency, memory.

    Sottovoce takes part with a connection for each call (raw), with one for all (mux), and with two workers, which
    share the one core that servers have; generator and backend have another.  The first peer that is there is 1 in the
    ratios.  It takes about ROUNDS x (ticks + 1) x contenders x (SECONDS + 7) seconds.  Exit status 1 when none of the
    PEERS could run.
    """
    import msgspec  # noqa: PLC0415  --help is quick

    from loadtest.peers.comparing import Wanted, compare  # noqa: PLC0415  likewise
    from loadtest.peers.servers import find_cores  # noqa: PLC0415  likewise
    from sottovoce.primitives import SottovoceError  # noqa: PLC0415  likewise

    if not math.isfinite(seconds):  # which no range forbids
        raise click.BadParameter("give a number that ends", param_hint="--seconds")
    programs, missing = find_programs(against, may_install=may_install)
    wanted = Wanted(
        programs=programs,
        ours=ours,
        sessions=sessions,
        seconds=seconds,
        rounds=rounds,
        ticks=tuple(dict.fromkeys(ticks)),
        counts_connections=connections,
    )
    try:
        comparison = compare(wanted, find_cores(is_firm=is_firm), missing, _tell)
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
        what = "connections" if turn.tick_us is None else f"tick {turn.tick_us} µs"
        click.echo(f"round {turn.round}: {turn.name}, {what} …", err=True)


def _print(comparison: "Comparison") -> None:
    from loadtest.peers.table import describe_comparison  # noqa: PLC0415  as above

    for line in describe_comparison(comparison):
        click.echo(line)


def _write(comparison: "Comparison", page: Path) -> None:
    from msgspec.structs import replace  # noqa: PLC0415  as above

    from loadtest.peers.statistics import middle  # noqa: PLC0415  as above
    from loadtest.peers.table import connections, notes, summary  # noqa: PLC0415  as above
    from loadtest.report import Opening, write_html  # noqa: PLC0415  as above

    outcomes = [
        replace(outcome, name=f"{outcome.name}, {f'{outcome.tick_us} µs ticks' if outcome.tick_us else 'own instants'}")
        for outcome in middle(comparison.rows)
    ]
    names = dict.fromkeys(row.outcome.name for row in comparison.rows)
    title = f"The same load through {', '.join(names)}"
    tables = [connections(comparison)] if comparison.connections else []
    opening = Opening(title=title, summary=summary(comparison), tables=tables, remarks=notes(comparison))
    try:
        write_html(outcomes, page, opening)
    except OSError as error:
        raise click.ClickException(f"--html {page}: {error.strerror}: name a file that you may write") from None
