"""`sottovoce clients add`."""

import datetime as dt
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.clients.place import Place, directory_argument, dry_run_option, place_of, tell_audit_log
from sottovoce.cli.output import any_path, json_option, print_json, say

if TYPE_CHECKING:
    from sottovoce.identity import ClientEntry

_TOKEN_BYTES = 32
_HTTPS_PORT = 443


def _read_date(_: click.Context, __: click.Parameter, value: str | None) -> dt.date | None:
    """Read a date, or a date with time and zone."""
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!a} is no date: write one like 2027-01-31, or 2027-01-31T18:00:00Z") from None
    if moment.tzinfo is None:
        raise click.BadParameter(f"{value!a} has no time zone: write it with Z at its end")
    return moment.astimezone(dt.UTC).replace(microsecond=0)


@click.command("add")
@directory_argument
@click.argument("name")
@click.option("--token", "with_token", is_flag=True, help="Make a token, and show it once.")
@click.option(
    "--key", type=any_path, metavar="FILE", help="Take the client's public key from FILE (- is standard input)."
)
@click.option("--audience", "audience", multiple=True, metavar="HOST", help="A host that the client calls; repeatable.")
@click.option(
    "--route", "routes", multiple=True, metavar="ROUTE", help="A route that it may call; repeatable.  All without."
)
@click.option(
    "--expires", callback=_read_date, metavar="DATE", help="From the start of that day (UTC) on it is refused."
)
@click.option(
    "--out", type=any_path, metavar="FILE", help="Write the token to FILE (new, mode 0600), and do not show it."
)
@dry_run_option
@json_option
def add(  # noqa: PLR0913, PLR0917  click gives each by name
    directory: Path,
    name: str,
    key: Path | None,
    audience: tuple[str, ...],
    routes: tuple[str, ...],
    expires: dt.date | None,
    out: Path | None,
    *,
    with_token: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let NAME call: with a new token (--token), or with its own key (--key).

    NAME stands in logs, and goes to backends.  HOST is as clients write it in the URL, with the port unless that is
    443; without --audience, the names and ports of DIR's configuration.

    \b
      sottovoce clients add voice kiosk-7 --token --out kiosk-7.token
      sottovoce clients add voice kiosk-8 --key kiosk-8.pub --route support --expires 2027-01-31
    """  # noqa: D301  click leaves a paragraph with this mark as it is
    if with_token is (key is not None):
        raise click.UsageError("give one of --token (a token is made) and --key FILE (the client has a key)")
    if out is not None and not with_token:
        raise click.UsageError("--out goes with --token: a public key is no secret")
    from sottovoce.audit import ClientAdded
    from sottovoce.identity import ClientEntry, add_client
    from sottovoce.transport import SystemEntropy

    place = place_of(directory)
    token = SystemEntropy().random(_TOKEN_BYTES).hex() if with_token else ""
    entry = ClientEntry(
        name=name,
        token_sha256=hashlib.sha256(token.encode()).hexdigest() if with_token else None,
        public_key=None if key is None else _public_key(key),
        audience=audience or _own_authorities(place),
        routes=routes or None,
        expires=expires,
        added=dt.datetime.now(dt.UTC).date(),
    )
    for route in set(routes) - place.configuration.routes.keys():
        say(f"note: there is no route {route!a} in the configuration yet")
    add_client(place.file, entry, dry_run=True)  # before a token is shown or written
    if not dry_run:
        _make(place, entry, token, out)
        tell_audit_log(place, [ClientAdded(name=name, credential=entry.credential)])
    shown = "" if out is not None or dry_run else token
    if as_json:
        secret = {"token": shown} if shown else {"token_file": str(out)} if out is not None else {}
        print_json("clients.add", {**_fields(place, entry), "dry_run": dry_run, **secret})
    else:
        _print(place, entry, shown, dry_run=dry_run)


def _make(place: Place, entry: "ClientEntry", token: str, out: Path | None) -> None:
    from sottovoce.identity import add_client

    if out is not None:
        write_secret(out, f"{token}\n".encode())
    try:
        add_client(place.file, entry)
    except BaseException:
        if out is not None:
            out.unlink(missing_ok=True)
        raise


def _fields(place: Place, entry: "ClientEntry") -> dict[str, object]:
    return {
        "ok": True,
        "name": entry.name,
        "credential": entry.credential,
        "audience": entry.audience,
        "routes": entry.routes,
        "expires": None if entry.expires is None else str(entry.expires),
        "file": str(place.file),
        "is_configured": place.is_configured,
    }


def _print(place: Place, entry: "ClientEntry", token: str, *, dry_run: bool) -> None:
    where = ", ".join(entry.audience or ())
    routes = ", ".join(entry.routes) if entry.routes else "every route"
    until = f", until {entry.expires}" if entry.expires is not None else ""
    line = f"{entry.name} may call {routes} at {where}{until}, with {entry.credential}"
    if token:  # alone on standard output, fit for a file
        say(line)
        say("its token, which nothing shows again:")
        click.echo(token)
    else:
        click.echo(f"{'would be written: ' if dry_run else ''}{line}")
    if not dry_run:
        place.say_when()


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read.  Raises ClientRefused."""
    from sottovoce.identity import ClientRefused

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        raise ClientRefused(f"{path} is there already: give another name, or move it away") from None
    except OSError as error:
        raise ClientRefused(f"{path} cannot be written ({error.strerror}): give another place") from None


def _public_key(path: Path) -> str:
    from sottovoce.identity import ClientRefused
    from sottovoce.pki import ClientKeyUnusable, format_public_key, read_public_key_file

    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return format_public_key(read_public_key_file(data))
    except OSError as error:
        raise ClientRefused(f"the key {path} cannot be read ({error.strerror}): check --key") from None
    except ClientKeyUnusable as error:
        raise ClientRefused(f"the key {path}: {error}") from None


def _own_authorities(place: Place) -> tuple[str, ...]:
    """Give the hosts as clients of this directory's listeners write them."""
    from sottovoce.edge import parse_address
    from sottovoce.identity import ClientRefused

    listeners = place.configuration.all_listeners().values()
    ports = [port for each in listeners if (port := parse_address(each.address).port)]
    names = [f"[{name}]" if ":" in name else name for name in place.configuration.identity.names if "*" not in name]
    found = [name if port == _HTTPS_PORT else f"{name}:{port}" for port in dict.fromkeys(ports) for name in names]
    if not found:
        raise ClientRefused("the configuration tells no host that clients call: give it with --audience HOST")
    return tuple(found)
