"""`python -m loadtest bench`: measures what is promised about speed and prints it, limit beside figure."""

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import click
import msgspec

from loadtest import bench
from loadtest.bench.figure import Figure
from sottovoce.primitives import SottovoceError

OVER_LIMIT = 4
"""The exit status for a threshold that was missed (architecture, decision 15)."""


@click.command("bench")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the run of 100 calls, of `load`, into this PNG.")
def command(names: tuple[str, ...], plot: Path | None, *, as_json: bool) -> None:
    """Measure NAMES (default: everything).  Exit status 4 when a figure is over its limit."""
    known = measures()
    unknown = set(names) - set(known)
    if unknown:
        raise click.UsageError(f"nothing is called {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    figures: list[Figure] = []
    for name in names or known:
        if sys.stderr.isatty():
            click.echo(f"measuring {name} …", err=True)
        figures += (measured := _measure(name, plot))
        if not as_json:
            for figure in measured:
                click.echo(describe(figure))
    if as_json:
        is_well = not any(figure.is_over for figure in figures)
        found = [as_object(figure) for figure in figures]
        click.echo(json.dumps({"schema": "loadtest.bench/1", "ok": is_well, "figures": found}))
    sys.exit(OVER_LIMIT if any(figure.is_over for figure in figures) else 0)


def measures() -> list[str]:
    """Give the modules of `bench` that measure something."""
    names = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    return [name for name in names if hasattr(importlib.import_module(f"{bench.__name__}.{name}"), "measure")]


def _measure(name: str, plot: Path | None) -> list[Figure]:
    module = importlib.import_module(f"{bench.__name__}.{name}")
    try:
        figures: list[Figure] = module.measure(plot) if plot is not None and name == "load" else module.measure()
    except SottovoceError as error:
        raise click.ClickException(str(error)) from None
    return figures


def describe(figure: Figure) -> str:
    """Give a figure's line of the table."""
    limit = "" if figure.limit is None else f"≤ {figure.limit:g} {figure.unit}"
    verdict = "" if figure.limit is None else ("OVER" if figure.is_over else "ok")
    measured = "missing" if figure.measured is None else f"{figure.measured:.2f}"
    return f"{figure.name:<40} {measured:>8} {figure.unit:<4} {limit:<10} {verdict:<5} {figure.detail}"


def as_object(figure: Figure) -> dict[str, object]:
    """Give a figure for `--json`."""
    known: dict[str, object] = msgspec.structs.asdict(figure)
    return {**known, "ok": not figure.is_over}
