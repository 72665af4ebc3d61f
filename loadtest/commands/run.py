"""`python -m loadtest run`: one run against a proxy that runs, or one that is started for it."""
# ruff: noqa: PLC0415  what runs is imported when it runs, so that --help is quick

import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from loadtest.replay import Outcome, Progress
    from loadtest.replay.wanted import Wanted
    from loadtest.report import Threshold

_FAILED, _OVER_LIMIT, _SIGNAL = 1, 4, 128
_MAX_TICK_US = 100_000
_DECIDED = ("sessions", "seconds", "rate", "ramp", "tick", "audio")
"""What a scenario says by itself."""
_path = click.Path(path_type=Path)


@click.command("run")
@click.argument("scenario", required=False, metavar="[SCENARIO]")
@click.option("--url", "urls", multiple=True, help="Call this route of a proxy that runs; repeatable.")
@click.option("--config", type=_path, metavar="F", help="Serve this directory or file for the run, and call it.")
@click.option("--route", "routes", multiple=True, help="With --config: the routes to call.  [default: echo]")
@click.option("--raw", is_flag=True, help="With --config: through a `raw` route to an echo backend of our own.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="A key of SCENARIO, or with --config of the proxy's."
)
@click.option("--opaque", is_flag=True, help="With --url: WebSocket messages that no proxy reads, instead of calls.")
@click.option("--dir", "directory", type=_path, help="Find anchor and CA here.  [default: beside --config]")
@click.option("--anchor", type=_path, help="The anchor file that the server's operator gave you.")
@click.option("--ca", type=_path, help="PEM CA certificates for TLS; without it, the system's.")
@click.option("--token", type=_path, help="A file with the bearer token that every session shows.")
@click.option("--sessions", type=click.IntRange(1, 20_000), default=10, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="That count.")
@click.option(
    "--rate",
    type=click.FloatRange(1, 1000),
    default=50.0,
    show_default=True,
    help="Frames/s: of a call 100, 50, 25 or 16.67, of --opaque any.",
)
@click.option("--ramp", type=click.FloatRange(0.1), default=50.0, show_default=True, help="New sessions a second.")
@click.option("--audio", type=_path, metavar="DIR", help="Say these WAV files in turn.  [default: bundled speech]")
@click.option(
    "--tick",
    type=click.IntRange(0, _MAX_TICK_US),
    default=0,
    show_default=True,
    help="Gather arrivals to ticks of so many microseconds; 0: each frame at its own instant.",
)
@click.option(
    "--payload", type=click.IntRange(4, 60_000), help="Bytes of an opaque message.  [default: a sealed frame's]"
)
@click.option("--pin", is_flag=True, help="Proxy on one core, generator and backend on another.")
@click.option("--fail-if", metavar="EXPR", help="Exit with 4 if this is so, as in 'p99>20ms'.")
@click.option("--plot", type=_path, metavar="FILE.png", help="Draw the run.")
@click.option("--html", type=_path, metavar="FILE", help="Write one self-contained page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    scenario: str | None,
    fail_if: str | None,
    plot: Path | None,
    html: Path | None,
    *,
    as_json: bool,
    **words: object,
) -> None:
    """Replay audio in many calls at once, open loop, and say what becomes of each frame.

    SCENARIO is a TOML file, or the name of one that comes with this (python -m loadtest scenarios), and says what
    --sessions, --seconds, --rate, --ramp, --tick and --audio say otherwise.  --set groups.callers.calls=50 changes it.

    Every frame has an instant at which it is due, and latency is counted from there.  A run in which the generator
    itself was late is discarded, and says so.

    \b
    python -m loadtest run --config DIR --sessions 50 --seconds 10
    python -m loadtest run storm --config DIR --raw --html storm.html
    python -m loadtest run --url wss://localhost:8443/echo --dir DIR --fail-if 'p99>20ms'

    Exit 0: done; 1: no call came about, or none was left before the end, and what was measured is reported; 2: usage,
    or a SCENARIO that cannot be used; 4: --fail-if; 130: Ctrl-C, with a report of what there was.
    """  # noqa: D301  click wants the character
    import msgspec

    from loadtest.replay.wanted import Wanted
    from loadtest.report import ThresholdMalformed, parse_threshold

    wanted = msgspec.convert(words, Wanted)
    if scenario is not None:
        wanted = _of_scenario(scenario, wanted)
    if problem := wanted.usage_problem():
        raise click.UsageError(problem)
    try:
        threshold = None if fail_if is None else parse_threshold(fail_if)
    except ThresholdMalformed as error:
        raise click.UsageError(str(error)) from None
    outcome, told = _run(wanted)
    verdict = _verdict(outcome, told, threshold)
    if as_json:
        _print_json(outcome, verdict)
    else:
        _print(outcome)
    _draw(outcome, plot, html)
    if verdict is not None:
        _end(*verdict)


def _of_scenario(word: str, wanted: "Wanted") -> "Wanted":
    """Give the same with what a scenario decides.  Raises ScenarioInvalid."""
    from msgspec.structs import replace

    from loadtest.scenario import find_scenario, read_scenario
    from loadtest.scenario.reading import is_of_scenario

    ctx = click.get_current_context()
    if given := [name for name in _DECIDED if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]:
        raise click.UsageError(f"--{given[0]} is for the scenario to say: give --set KEY=VALUE, or no SCENARIO")
    own = [change for change in wanted.changes if is_of_scenario(change)]
    others = tuple(change for change in wanted.changes if change not in own)
    return replace(wanted, scenario=read_scenario(find_scenario(word), own), changes=others)


def _verdict(outcome: "Outcome", told: list[int], threshold: "Threshold | None") -> tuple[int, str] | None:
    """Give the exit status of what did not go well, and the line that says so; None if all did."""
    if told:
        return _SIGNAL + told[0], f"stopped by hand after {outcome.seconds:.1f} s: what was measured is above"
    if outcome.is_partial:
        return _FAILED, _what_went_wrong(outcome)
    missed = None if threshold is None else threshold.missed_by(outcome)
    return None if missed is None else (_OVER_LIMIT, missed)


def _run(wanted: "Wanted") -> "tuple[Outcome, list[int]]":
    """Give the outcome, and the signals that came meanwhile."""
    from loadtest.replay.run import run_load
    from loadtest.replay.wanted import prepare

    with _noted_signals() as told, ExitStack() as stack:
        plan = prepare(wanted, stack, _say)
        outcome = run_load(plan, _show if sys.stderr.isatty() else None, lambda: bool(told))
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)
        return outcome, told


@contextmanager
def _noted_signals() -> Generator[list[int]]:
    """Have Ctrl-C and SIGTERM end the run and not the report of it; a second one ends the program."""
    told: list[int] = []

    def note(number: int, _: object) -> None:
        if told:
            raise KeyboardInterrupt
        told.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_json(outcome: "Outcome", verdict: tuple[int, str] | None) -> None:
    import msgspec

    fields = msgspec.structs.asdict(outcome)
    said = {"schema": fields.pop("schema"), "ok": verdict is None, "error": None if verdict is None else verdict[1]}
    click.echo(msgspec.json.encode({**said, **fields}).decode())


def _print(outcome: "Outcome") -> None:
    from loadtest.report import describe

    for line in describe(outcome):
        click.echo(line)


def _draw(outcome: "Outcome", plot: Path | None, html: Path | None) -> None:
    from loadtest.report import write_html, write_png

    try:
        if plot is not None:
            write_png(outcome, plot)
        if html is not None:
            write_html([outcome], html)
    except OSError as error:
        _end(_FAILED, f"{error.filename or plot or html}: {error.strerror}: name a file that you may write")


def _what_went_wrong(outcome: "Outcome") -> str:
    """Say in one line why a run that nobody stopped is not whole."""
    reasons = [reason for route in outcome.routes for reason in route.reasons]
    why = max(reasons, key=lambda reason: sum(route.reasons.get(reason, 0) for route in outcome.routes), default="")
    failed, ended = outcome.handshakes.failed, sum(route.calls_ended for route in outcome.routes)
    if not outcome.handshakes.done:
        return (
            f"no call came about, {failed} were tried: {why}; one alone says more: sottovoce call URL --tone --dir DIR"
        )
    return f"no call was left {outcome.seconds:.1f} s into the run, the other side ended {ended}: {why}"


def _show(progress: "Progress") -> None:
    click.echo(
        f"\r\x1b[K{progress.phase}, {progress.seconds:.0f} s: {progress.sessions_up} calls up"
        f"{f', {progress.sessions_failed} failed' if progress.sessions_failed else ''}; "
        f"{progress.carried}/{progress.offered} frames; last second p99 {progress.latency_p99_ms:.1f} ms, "
        f"generator late {progress.lateness_p99_ms:.1f} ms",
        err=True,
        nl=False,
    )


def _say(line: str) -> None:
    click.echo(line, err=True)


def _end(status: int, line: str) -> NoReturn:
    click.echo(f"loadtest: {line}", err=True)
    sys.exit(status)
