"""`python -m loadtest diff`: two results held against each other, with an exit status for a machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loadtest.difference.figures import Result
    from loadtest.difference.judging import Difference

_NO_VERDICT, _OVER_LIMIT = 3, 4
_path = click.Path(path_type=Path)


@click.command("diff")
@click.argument("before", type=_path)
@click.argument("after", type=_path)
@click.option(
    "--worse",
    "percent",
    type=click.FloatRange(0, 1000),
    default=10.0,
    show_default=True,
    help="Percent that are allowed.",
)
@click.option("--html", "page", type=_path, metavar="FILE", help="Write a page, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(before: Path, after: Path, percent: float, page: Path | None, *, as_json: bool) -> None:
    """Hold the result AFTER against BEFORE, both as run, compare or knee --json printed them.

    Only the same load can be judged.  Of run it is: calls, frames a second, seconds, ticks, and of a scenario its
    `about` and how many groups it has; of compare: calls and seconds; of knee: limit and seconds.

    Exit 0: nothing is worse by more than is allowed; 2: usage, or two of different commands; 3: no verdict, as the
    loads differ, one of the two is no sound result, or AFTER lacks a figure; 4: a figure is worse; 1: a file is no
    result.
    """
    import msgspec  # noqa: PLC0415  --help is quick

    from loadtest.difference.figures import read_result  # noqa: PLC0415  likewise
    from loadtest.difference.judging import HEADS, compare_results  # noqa: PLC0415  likewise
    from loadtest.report.table import aligned  # noqa: PLC0415  likewise

    first, second = read_result(before), read_result(after)
    if first.schema != second.schema:
        raise click.UsageError(f"{before} is of {first.schema}, {after} of {second.schema}: give two of a kind")
    found = compare_results(first, second, percent)
    if as_json:
        fields = msgspec.structs.asdict(found)
        said = {"schema": "loadtest.diff/1", "ok": found.failed is None, "error": fields.pop("failed")}
        click.echo(msgspec.json.encode({**said, **fields}).decode())
    else:
        for line in (*aligned([HEADS, *(line.cells() for line in found.lines)]), *found.remarks):
            click.echo(line)
    if page is not None:
        _write(found, first, second, page)
    if found.failed is not None:
        click.echo(f"loadtest: {found.failed}", err=True)
        sys.exit(_OVER_LIMIT if found.is_judged else _NO_VERDICT)


def _write(found: "Difference", before: "Result", after: "Result", page: Path) -> None:
    from msgspec.structs import replace  # noqa: PLC0415  as above

    from loadtest.difference.judging import HEADS  # noqa: PLC0415  likewise
    from loadtest.report import Opening, write_html  # noqa: PLC0415  likewise

    outcomes = [
        replace(outcome, name=f"{word}: {outcome.name}")
        for word, result in (("before", before), ("after", after))
        for outcome in result.outcomes
    ]
    remarks = [*found.remarks, found.failed or "nothing is worse by more than is allowed"]
    summary = [HEADS, *(line.cells() for line in found.lines)]
    try:
        write_html(outcomes, page, Opening(title="Before and after", summary=summary, remarks=remarks))
    except OSError as error:
        raise click.ClickException(f"--html {page}: {error.strerror}: name a file that you may write") from None
