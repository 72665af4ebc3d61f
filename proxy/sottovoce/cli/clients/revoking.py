"""`sottovoce clients revoke`."""

from pathlib import Path

import click

from sottovoce.cli.clients.place import directory_argument, dry_run_option, place_of, tell_audit_log
from sottovoce.cli.output import json_option, print_json


@click.command("revoke")
@directory_argument
@click.argument("name", required=False, default="")
@click.option("--credential", default="", metavar="ID", help="Only this credential, as `list` shows it: token:…, key:…")
@click.option(
    "--withdraw", is_flag=True, help="Refuse the name for good, whatever shows it: a JWT or a certificate too."
)
@dry_run_option
@json_option
def revoke(  # noqa: PLR0913  what a person may say, by name
    directory: Path, name: str, credential: str, *, withdraw: bool, dry_run: bool, as_json: bool
) -> None:
    """Take all credentials of NAME out of the file, or one credential; its calls end within a second.

    Clients with a JWT or a certificate are in no file of ours: --withdraw notes that their name (or jwt:ID,
    certificate:SERIAL with --credential) may not call.

    \b
      sottovoce clients revoke voice kiosk-7
      sottovoce clients revoke voice --credential token:1f0c2a9b44de
      sottovoce clients revoke voice kiosk-9.example.com --withdraw
    """  # noqa: D301  click leaves a paragraph with this mark as it is
    if bool(name) is bool(credential):
        raise click.UsageError("give one of NAME and --credential ID")
    from sottovoce.audit import ClientRevoked
    from sottovoce.identity import revoke_clients

    place = place_of(directory)
    gone = revoke_clients(place.file, name=name, credential=credential, withdraw=withdraw, dry_run=dry_run)
    if not dry_run:
        events = [ClientRevoked(name=entry.name, credential=entry.credential) for entry in gone]
        if withdraw:
            events.append(ClientRevoked(name=name, credential=credential))
        tell_audit_log(place, [*events])
    if as_json:
        revoked = [{"name": entry.name, "credential": entry.credential} for entry in gone]
        fields = {"ok": True, "revoked": revoked, "withdrawn": (name or credential) if withdraw else None}
        print_json("clients.revoke", {**fields, "file": str(place.file), "dry_run": dry_run})
        return
    would = "would be " if dry_run else ""
    for entry in gone:
        click.echo(f"{would}revoked: {entry.name}, {entry.credential}")
    if withdraw:
        click.echo(f"{would}withdrawn: {name or credential}")
    if not dry_run:
        place.say_when()
