"""`sottovoce init`: a directory that can be served."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, json_option, print_json, say_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sottovoce.settings import GivenRoute

_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
_MAX_PORT = 65_535


@click.command("init")
@click.argument("directory", type=any_path, metavar="DIR")
@click.option("--profile", type=click.Choice(["development", "production"]), default="development", show_default=True)
@click.option("--port", type=click.IntRange(0, _MAX_PORT), default=8443, show_default=True, help="Where to listen.")
@click.option("--admin-port", type=click.IntRange(0, _MAX_PORT), default=9443, show_default=True, help="For status.")
@click.option("--host", "hosts", multiple=True, help="A further DNS name or IP address to vouch for; repeatable.")
@click.option("--route", "words", multiple=True, metavar="NAME=URL", help="A backend; repeatable, see above.")
@json_option
def command(  # noqa: PLR0913, PLR0917  its options
    directory: Path,
    profile: str,
    port: int,
    admin_port: int,
    hosts: tuple[str, ...],
    words: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Make DIR: a SoftHSM token of its own with fresh keys, certificates, an anchor for clients, a configuration.

    DIR must not exist, or be empty.  Either all of it is made or nothing.  The profile `production` listens on all
    addresses, requires post-quantum key agreement, and takes no call without a credential.

    A second directory on one machine needs ports of its own: --port and --admin-port.

    Calls to the route `echo` come back.  --route bot=ws://127.0.0.1:9000 adds one to a backend over `raw`
    (docs/backend-raw.md), --route ivr=twilio+ws://127.0.0.1:9001/media one over the adapter named before the plus.
    """
    from sottovoce.app.initialise import initialise
    from sottovoce.cli.running import run_until_told
    from sottovoce.settings import given_routes, profile_text, routes_text

    routes = given_routes(words)
    names = tuple(dict.fromkeys((*_DEFAULT_NAMES, *hosts)))
    run_until_told(
        partial(
            initialise,
            directory,
            profile=profile,
            hosts=names,
            configuration=profile_text(profile, port, names, admin_port=admin_port) + routes_text(routes),
            progress=say_progress,
        )
    )
    if as_json:
        _print_json(directory, routes)
    else:
        _print_next_steps(directory, profile, port, routes)


def _print_json(directory: Path, routes: "Sequence[GivenRoute]") -> None:
    paths = {
        "directory": directory,
        "configuration": directory / "sottovoce.toml",
        "anchor": directory / "certs/anchor.json",
        "ca": directory / "certs/ca.pem",
    }
    names = ["echo", *(each.name for each in routes)]
    print_json("init", {"ok": True, **{name: str(path) for name, path in paths.items()}, "routes": names})


def _print_next_steps(directory: Path, profile: str, port: int, routes: "Sequence[GivenRoute]") -> None:
    where = "this machine" if profile == "development" else "the world"
    click.echo(f"{directory}/ is ready, for {where} ({profile})")
    click.echo(f"  token   SoftHSM, its own: five keys inside; the PIN is in {directory}/secrets/pin")
    click.echo(f"  anchor  {directory}/certs/anchor.json: give it to clients, it is how they know this proxy")
    named = "".join(f", {each.name} ({each.adapter}, {each.url})" for each in routes)
    click.echo(f"  routes  echo (built in){named}; add others in {directory}/sottovoce.toml")
    place = shlex.quote(str(directory))
    if profile == "production":
        click.echo(f"first: sottovoce clients add {place} NAME --token --audience HOST, once for each caller")
    elif routes:
        _print_the_way_to_a_call(place, port, routes[0])
    click.echo(f"next:  sottovoce serve {place}")


def _print_the_way_to_a_call(place: str, port: int, route: "GivenRoute") -> None:
    """Say what comes after `serve`, where a backend is still to be written."""
    sample = "twilio" if route.adapter == "twilio" else "raw-asyncio"
    click.echo(f"after that, a backend at {route.url}, and a call to it:")
    click.echo(f"       sottovoce example {sample} >bot.py && python bot.py {route.port}")
    click.echo(f"       sottovoce call wss://localhost:{port}/{route.name} --tone --dir {place}")
