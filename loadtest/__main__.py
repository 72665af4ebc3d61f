"""`python -m loadtest`: `bench` measures what is promised about speed and prints it, limit beside figure.

`compare` is in `peers.command`.
"""

import importlib
import json
import pkgutil
import sys

import click
import msgspec

from loadtest import bench
from loadtest.bench.figure import Figure
from loadtest.peers.command import command as compare_command

OVER_LIMIT = 4
"""The exit status for a threshold that was missed (architecture, decision 15)."""


@click.group()
def main() -> None:
    """Put load on Sottovoce and measure it."""


main.add_command(compare_command)


@main.command("bench")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def run_bench(names: tuple[str, ...], *, as_json: bool) -> None:
    """Measure NAMES (default: everything).  Exit status 4 when a figure is over its limit."""
    known = measures()
    unknown = set(names) - set(known)
    if unknown:
        raise click.UsageError(f"nothing is called {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    figures: list[Figure] = []
    for name in names or known:
        if sys.stderr.isatty():
            click.echo(f"measuring {name} …", err=True)
        measured = importlib.import_module(f"{bench.__name__}.{name}").measure()
        figures += measured
        if not as_json:
            for figure in measured:
                click.echo(describe(figure))
    if as_json:
        click.echo(json.dumps({"schema": 1, "figures": [as_object(figure) for figure in figures]}))
    sys.exit(OVER_LIMIT if any(figure.is_over for figure in figures) else 0)


def measures() -> list[str]:
    """Give the modules of `bench` that measure something."""
    names = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    return [name for name in names if hasattr(importlib.import_module(f"{bench.__name__}.{name}"), "measure")]


def describe(figure: Figure) -> str:
    """Give a figure's line of the table."""
    limit = "" if figure.limit is None else f"≤ {figure.limit:g} {figure.unit}"
    verdict = "" if figure.limit is None else ("OVER" if figure.is_over else "ok")
    return f"{figure.name:<40} {figure.measured:>8.2f} {figure.unit:<4} {limit:<10} {verdict:<5} {figure.detail}"


def as_object(figure: Figure) -> dict[str, object]:
    """Give a figure for `--json`."""
    known: dict[str, object] = msgspec.structs.asdict(figure)
    return {**known, "ok": not figure.is_over}


if __name__ == "__main__":
    main()
