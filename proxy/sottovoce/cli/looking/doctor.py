"""`sottovoce doctor`: what is wrong with this machine and directory, or with a proxy seen from its clients' side."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, json_option, print_json, say

if TYPE_CHECKING:
    from sottovoce.app.doctor import Report

_NOT_HEALTHY = 3
_MARK = "://"


@click.command("doctor")
@click.argument("place", required=False, envvar="SOTTOVOCE_DIR", metavar="[DIR|URL]")
@click.option("--dir", "directory", type=any_path, help="For a URL: find anchor and CA in this directory.")
@click.option("--anchor", type=any_path, help="For a URL: the anchor file that the server's operator gave you.")
@click.option("--ca", type=any_path, help="For a URL: PEM CA certificates for TLS; without it, the system's.")
@click.option("--token", "--token-file", "token", type=any_path, help="For a URL: a file with the bearer token.")
@click.option("--key", type=any_path, help="For a URL: a PEM file with this client's private key.")
@json_option
def command(  # noqa: PLR0913, PLR0917  a command's options
    place: str | None,
    directory: Path | None,
    anchor: Path | None,
    ca: Path | None,
    token: Path | None,
    key: Path | None,
    *,
    as_json: bool,
) -> int:
    """Look at this machine and DIR, or at a proxy from the side of its clients: what is ok, what is not, the remedy.

    The worst stands first, one line a cause.  Nothing is changed, no running call is touched.  Exit 0: all is well,
    warnings aside; 3: something fails; 1: it could not be looked at.

    \b
      sottovoce doctor voice
      sottovoce doctor wss://localhost:8443/echo --dir voice
    """  # noqa: D301  \b is click's: keep these lines as they are
    from sottovoce.app.doctor import examine_directory, examine_machine
    from sottovoce.cli.running import run_until_told

    if place is not None and _MARK in place:
        from sottovoce.app.doctor.remote import Trusted, examine_remote, remote_of

        remote = remote_of(place, Trusted(directory=directory, anchor=anchor, ca=ca, token=token, key=key))
        report = run_until_told(examine_remote, remote)
    else:
        from sottovoce.settings import FILE_NAME, find_file

        if any(each is not None for each in (directory, anchor, ca, token, key)):
            raise click.UsageError("--dir, --anchor, --ca, --token and --key are for a URL: wss://HOST:PORT/ROUTE")
        if place is None and not Path(FILE_NAME).exists():
            say("no directory is given: the machine alone is looked at")
            report = run_until_told(examine_machine)
        else:
            report = run_until_told(partial(examine_directory, find_file(Path(place or "."))))
    _show(report, as_json=as_json)
    return _NOT_HEALTHY if report.failed else 0


def _show(report: "Report", *, as_json: bool) -> None:
    if as_json:
        counts = {"failed": report.failed, "warned": report.warned}
        print_json("doctor", {"ok": not report.failed, **counts, "findings": report.findings})
        return
    width = max((len(each.name) for each in report.findings), default=0)
    for each in report.findings:
        click.echo(f"{each.state:<5}  {each.name:<{width}}  {each.what}")
        if each.remedy:
            click.echo(f"{'':<5}  {'':<{width}}  -> {each.remedy}")
    click.echo(_summary(report))


def _summary(report: "Report") -> str:
    warnings = f"{report.warned} warning{'s' * (report.warned != 1)}"
    return f"{report.failed} failed, {warnings}" if report.failed else f"all is well, {warnings}"
