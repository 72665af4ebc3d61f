"""`python -m loadtest knee`: the most calls that one core holds."""

import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtest.peers.command import find_programs, peers_of

if TYPE_CHECKING:
    from loadtest.knee.stepping import Knees, Sought

_FAILED, _INTERRUPTED = 1, 130
_MAX_CALLS = 20_000
_path = click.Path(path_type=Path)


@click.command("knee")
@click.option("--url", help="Search this route of a proxy that runs; without it, one that is started for each step.")
@click.option("--dir", "directory", type=_path, help="With --url: find anchor and CA here.")
@click.option("--against", callback=peers_of, metavar="PEERS", help="And these, as in haproxy,nginx.")
@click.option(
    "--limit", "limit_ms", type=click.FloatRange(0.1, 10_000), default=20.0, show_default=True, help="Of p99, ms."
)
@click.option(
    "--first", type=click.IntRange(1, _MAX_CALLS), default=100, show_default=True, help="Calls of the first step."
)
@click.option("--most", type=click.IntRange(1, _MAX_CALLS), default=2000, show_default=True, help="Calls, never more.")
@click.option("--seconds", type=click.FloatRange(0.5, 3600), default=4.0, show_default=True, help="Of each step.")
@click.option("--within", "percent", type=click.FloatRange(0.5, 50), default=5.0, show_default=True, help="Percent.")
@click.option("--tick", "tick_us", type=click.IntRange(0, 20_000), default=0, show_default=True, help="As of run.")
@click.option("--firm", "is_firm", is_flag=True, help="Servers go before others, too: on a machine that is not quiet.")
@click.option("--html", "page", type=_path, metavar="FILE", help="Write a page, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(  # noqa: PLR0913  a command's options
    url: str | None,
    directory: Path | None,
    against: tuple[str, ...],
    percent: float,
    page: Path | None,
    *,
    is_firm: bool,
    as_json: bool,
    **words: float,
) -> None:
    """Find the most calls that one core holds with p99 under a limit, and nothing lost.

    Steps go up by a half until one misses the limit, then in halves of what is between.  Servers have one core,
    generator and backend another.  A step at which the generator was late is no verdict, says so, and is tried again.
    Exit status 1 when not even the first step was held.
    """
    import msgspec  # noqa: PLC0415  --help is quick

    from loadtest.knee.stepping import Sought  # noqa: PLC0415  likewise
    from loadtest.knee.table import describe_knees  # noqa: PLC0415  likewise
    from sottovoce.primitives import SottovoceError  # noqa: PLC0415  likewise

    if (url is None) is not (directory is None) or (url is not None and against):
        raise click.UsageError("--url goes with --dir, and not with --against: peers are started for the search")
    sought = msgspec.convert({**words, "precision": percent / 100}, Sought)
    try:
        knees = _search(sought, url, directory, against, is_firm=is_firm, as_json=as_json)
    except (SottovoceError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        fields = msgspec.structs.asdict(knees)
        ok = not knees.is_partial and any(knee.held for knee in knees.knees)
        click.echo(msgspec.json.encode({"schema": fields.pop("schema"), "ok": ok, **fields}).decode())
    else:
        for line in describe_knees(knees):
            click.echo(line)
    if page is not None:
        _write(knees, page)
    if knees.is_partial:
        sys.exit(_INTERRUPTED)
    sys.exit(0 if any(knee.held for knee in knees.knees) else _FAILED)


def _search(  # noqa: PLR0913  a command's options
    sought: "Sought",
    url: str | None,
    directory: Path | None,
    against: tuple[str, ...],
    *,
    is_firm: bool,
    as_json: bool,
) -> "Knees":
    from loadtest.knee.stepping import Step, find_knees  # noqa: PLC0415  as above
    from loadtest.knee.table import HEADS, step_cells, step_line  # noqa: PLC0415  likewise
    from loadtest.peers.contenders import MUX, SOTTOVOCE, contenders  # noqa: PLC0415  likewise
    from loadtest.peers.servers import Running, find_cores  # noqa: PLC0415  likewise

    def tell(step: Step) -> None:
        if not as_json:
            click.echo(step_line(step_cells(step)))

    if not as_json:
        click.echo(step_line(list(HEADS)))
    if url is not None and directory is not None:
        from loadtest.replay.wanted import Wanted, target_of, watched_behind  # noqa: PLC0415  likewise

        wanted = Wanted(urls=(url,), directory=directory)
        running = Running(target_of(wanted), watched_behind(wanted))
        return find_knees(sought, {url: lambda: nullcontext(running)}, None, tell)
    programs, missing = find_programs(against, may_install=False)
    with ExitStack() as stack:
        cores = find_cores(is_firm=is_firm)
        taking_part = stack.enter_context(contenders((SOTTOVOCE, MUX), programs, sought.most, cores))
        runs = {name: contender.run for name, contender in taking_part.items()}
        return find_knees(sought, runs, cores, tell, missing)


def _write(knees: "Knees", page: Path) -> None:
    from loadtest.knee.table import HEADS, describe_knees, step_cells  # noqa: PLC0415  as above
    from loadtest.report import Opening, write_html  # noqa: PLC0415  likewise

    summary = [list(HEADS), *(step_cells(step) for step in knees.steps)]
    opening = Opening(title="The most calls that one core holds", summary=summary, remarks=describe_knees(knees))
    try:
        write_html([step.outcome for step in knees.steps if step.calls in _ends(knees, step.name)], page, opening)
    except OSError as error:
        raise click.ClickException(f"--html {page}: {error.strerror}: name a file that you may write") from None


def _ends(knees: "Knees", name: str) -> set[int | None]:
    """Give the most calls that were held and the least that were not: the runs to draw."""
    return {number for knee in knees.knees if knee.name == name for number in (knee.held, knee.missed)}
