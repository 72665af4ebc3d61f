"""`sottovoce check`: everything that is wrong with a configuration, and the remedy of each."""

from pathlib import Path

import click

from sottovoce.cli.output import directory_argument, json_option, print_json, say


@click.command("check")
@directory_argument
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Check with this key changed; repeatable.")
@json_option
def command(directory: Path, changes: tuple[str, ...], *, as_json: bool) -> int:
    """Explain the configuration of DIR (or a file): exit 0 if it can be served, 1 if not.

    Reads the files that it names, opens no connection and no token.  Of several tokens one that is well is enough to be
    served; what is wrong with the others is said.
    """
    from sottovoce.app.checking import CheckReport, check
    from sottovoce.settings import ConfigurationInvalid

    try:
        report = check(directory, changes)
    except ConfigurationInvalid as error:
        report = CheckReport(error.problems, ())
    is_well = not report.problems
    if as_json:
        told = {"problems": report.problems, "notes": report.notes, "of_tokens": report.of_tokens}
        print_json("check", {"ok": is_well, **told})
        return 0 if is_well else 1
    for note in report.notes:
        say(f"note: {note}")
    for problem in (*report.of_tokens, *report.problems):
        say(f"{problem.path}: {problem.reason}\n    {problem.remedy}")
    count = len(report.problems)
    without = ", without the tokens above" if report.of_tokens else ""
    click.echo(f"the configuration can be served{without}" if is_well else f"{count} problem{'s' * (count > 1)}")
    return 0 if is_well else 1
