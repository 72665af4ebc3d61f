"""`sottovoce clients list`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.clients.place import Place, directory_argument, place_of
from sottovoce.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from sottovoce.identity import ClientEntry, ClientsFile

_HEADINGS = ("NAME", "CREDENTIAL", "HOSTS", "ROUTES", "ADDED", "EXPIRES", "STATE")


@click.command("list")
@directory_argument
@json_option
def list_clients(directory: Path, *, as_json: bool) -> None:
    """Show the clients of DIR: name, credential (never the token itself), hosts, routes, dates."""
    from sottovoce.identity import read_clients_file

    place = place_of(directory)
    found = read_clients_file(place.file)
    if as_json:
        print_json("clients.list", _fields(place, found))
        return
    if found.client:
        print_table([_HEADINGS, *(_row(entry, found) for entry in found.client)])
    else:
        click.echo("no client is written")
    if found.withdrawn:
        click.echo(f"withdrawn: {', '.join(found.withdrawn)}")
    clients = place.configuration.clients
    for path, what in ((clients.jwks_file, "a JWT of an issuer in"), (clients.ca_file, "a certificate of a CA in")):
        if path:
            click.echo(f"and whoever has {what} {path}")
    if not clients.require_credential:
        click.echo("and whoever shows no credential: clients.require_credential is false")
    if not place.is_configured:
        place.say_when()


def _fields(place: Place, found: "ClientsFile") -> dict[str, object]:
    clients = [
        {
            "name": entry.name,
            "credential": entry.credential,
            "audience": entry.audience,
            "routes": entry.routes,
            "added": _date(entry.added),
            "expires": _date(entry.expires),
            "state": _state(entry, found),
        }
        for entry in found.client
    ]
    return {
        "ok": True,
        "file": str(place.file),
        "is_configured": place.is_configured,
        "require_credential": place.configuration.clients.require_credential,
        "clients": clients,
        "withdrawn": found.withdrawn,
    }


def _row(entry: "ClientEntry", found: "ClientsFile") -> tuple[str, ...]:
    return (
        entry.name,
        entry.credential,
        ",".join(entry.audience or ("all",)),
        ",".join(entry.routes or ("all",)),
        _date(entry.added) or "-",
        _date(entry.expires) or "never",
        _state(entry, found),
    )


def _state(entry: "ClientEntry", found: "ClientsFile") -> str:
    if entry.name in found.withdrawn or entry.credential in found.withdrawn:
        return "withdrawn"
    return "expired" if entry.expires_at is not None and time.time() >= entry.expires_at else "ok"


def _date(value: object) -> str | None:
    return None if value is None else str(value)
