"""`sottovoce inspect`: what a file, a directory or a server is."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, json_option, print_json, say

if TYPE_CHECKING:
    from sottovoce.app.inspecting import Inspection

_FAULTY = 3
_MARK = "://"


@click.command("inspect")
@click.argument("thing", metavar="FILE|URL")
@click.option("--dir", "directory", type=any_path, help="For a URL: find anchor and CA in this directory.")
@click.option("--anchor", type=any_path, help="For a URL: the anchor file that the server's operator gave you.")
@click.option("--ca", type=any_path, help="For a URL: PEM CA certificates for TLS; without it, the system's.")
@json_option
def command(thing: str, directory: Path | None, anchor: Path | None, ca: Path | None, *, as_json: bool) -> int:
    """Say what FILE is, or what the server at URL speaks and shows.

    Knows certificates, requests and keys (a private one is named, never shown), anchor files, voice certificates,
    sealed seeds, audit logs, configurations, files of clients, WAV recordings, directories of init and of SoftHSM.
    Exit 0: it is known and well; 3: known, and something is wrong with it; 1: not known, or not to be read.

    \b
      sottovoce inspect voice/certs/anchor.json
      sottovoce inspect wss://localhost:8443 --dir voice
    """  # noqa: D301  \b is click's: keep these lines as they are
    if _MARK in thing:
        from sottovoce.app.doctor.remote import Trusted
        from sottovoce.app.inspecting import inspect_url, place_of
        from sottovoce.cli.running import run_until_told

        found = run_until_told(inspect_url, place_of(thing, Trusted(directory=directory, anchor=anchor, ca=ca)))
    else:
        from sottovoce.app.inspecting import inspect_path

        if any(each is not None for each in (directory, anchor, ca)):
            raise click.UsageError("--dir, --anchor and --ca are for a URL: wss://HOST:PORT")
        found = inspect_path(Path(thing))
    _show(found, as_json=as_json)
    return _FAULTY if found.faults else 0


def _show(found: "Inspection", *, as_json: bool) -> None:
    if as_json:
        import msgspec

        print_json("inspect", {"ok": not found.faults, **msgspec.structs.asdict(found)})
        return
    click.echo(f"{found.kind}: {found.what}")
    width = max((len(each.name) for each in found.facts), default=0)
    for each in found.facts:
        click.echo(f"  {each.name:<{width}}  {each.value}")
    for line in found.faults:
        say(f"sottovoce: {line}")
