"""`sottovoce audit`: the audit log, verified or shown."""

from pathlib import Path

import click

from sottovoce.cli.output import directory_argument, json_option, print_json


@click.group("audit")
def command() -> None:
    """Verify or show the audit log of a directory."""


@command.command("verify")
@directory_argument
@json_option
def verify(directory: Path, *, as_json: bool) -> None:
    """Check each record of the log and the chain through them: exit 0 if it is whole, 1 if not.

    The head that is printed stands for the whole log: note it elsewhere, and nobody can cut the log unseen.
    """
    from sottovoce.audit import verify_audit

    report = verify_audit(_file(directory))
    if as_json:
        print_json(
            "audit.verify",
            {
                "ok": True,
                "records": report.records,
                "head": report.head,
                "first_time": report.first_time,
                "last_time": report.last_time,
                "torn_bytes": report.torn_bytes,
            },
        )
        return
    if report.records:
        click.echo(f"{report.records} records, from {report.first_time} to {report.last_time}: the chain is whole")
        click.echo(f"head {report.head}")
    else:
        click.echo("the log holds no record")
    if report.torn_bytes:
        click.echo(f"the last {report.torn_bytes} bytes are a line that is not finished")


@command.command("tail")
@directory_argument
@click.option("-n", "--records", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@json_option
def tail(directory: Path, records: int, *, as_json: bool) -> None:
    """Show the last records, the oldest first."""
    from sottovoce.audit import format_event_line, read_tail

    found = read_tail(_file(directory), records)
    if as_json:
        print_json("audit.tail", {"ok": True, "records": found})
        return
    for record in found:
        click.echo(format_event_line(record))


def _file(directory: Path) -> str:
    from sottovoce.settings import find_file, load

    return load(find_file(directory)).audit.file
