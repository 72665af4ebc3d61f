"""`sottovoce check`: everything that is wrong with a configuration, and the remedy of each."""

import sys
from pathlib import Path

import click

from sottovoce.cli.output import directory_argument, json_option, print_json, say
from sottovoce.settings import ConfigurationInvalid, Problem


@click.command("check")
@directory_argument
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Check with this key changed; repeatable.")
@json_option
def command(directory: Path, changes: tuple[str, ...], *, as_json: bool) -> None:
    """Explain the configuration of DIR (or a file): exit 0 if it can be served, 1 if not.

    Reads the files that it names, opens no connection and no token.
    """
    from sottovoce.app.checking import check  # noqa: PLC0415  loads TLS, which --help must not

    try:
        report = check(directory, changes)
        problems: tuple[Problem, ...] = report.problems
        notes = report.notes
    except ConfigurationInvalid as error:
        problems, notes = error.problems, ()
    if as_json:
        print_json("check", {"ok": not problems, "problems": problems, "notes": notes})
    else:
        for note in notes:
            say(f"note: {note}")
        for problem in problems:
            say(f"{problem.path}: {problem.reason}\n    {problem.remedy}")
        count = len(problems)
        click.echo("the configuration can be served" if not count else f"{count} problem{'s' * (count > 1)}")
    sys.exit(1 if problems else 0)
