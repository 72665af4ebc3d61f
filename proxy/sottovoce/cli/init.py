"""`sottovoce init`: a directory that can be served."""

from collections.abc import Callable
from pathlib import Path

import click
import trio

from sottovoce.app.initialise import initialise
from sottovoce.cli.output import json_option, print_json, say
from sottovoce.settings import development_text

_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
_MAX_PORT = 65_535


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--profile", type=click.Choice(["development"]), default="development", show_default=True)
@click.option("--port", type=click.IntRange(0, _MAX_PORT), default=8443, show_default=True, help="Where to listen.")
@click.option("--host", "hosts", multiple=True, help="A further DNS name or IP address to vouch for; repeatable.")
@json_option
def command(directory: Path, profile: str, port: int, hosts: tuple[str, ...], *, as_json: bool) -> None:
    """Make DIR: a SoftHSM token of its own with fresh keys, certificates, an anchor for clients, a configuration.

    DIR must not exist, or be empty.  Either all of it is made or nothing.
    """
    names = (*_DEFAULT_NAMES, *(host for host in hosts if host not in _DEFAULT_NAMES))
    trio.run(_initialise, directory, profile, port, names, _say_nothing if as_json else say)
    shown = str(directory)
    if as_json:
        print_json(
            "init",
            {
                "directory": shown,
                "configuration": str(directory / "sottovoce.toml"),
                "anchor": str(directory / "certs/anchor.json"),
                "ca": str(directory / "certs/ca.pem"),
            },
        )
        return
    click.echo(f"{shown}/ is ready, for this machine ({profile})")
    click.echo(f"  token   SoftHSM, its own: five keys inside; the PIN is in {shown}/secrets/pin")
    click.echo(f"  anchor  {shown}/certs/anchor.json: give it to clients, it is how they know this proxy")
    click.echo(f"  routes  echo (built in); add others in {shown}/sottovoce.toml")
    click.echo(f"next:  sottovoce serve {shown}")


async def _initialise(
    directory: Path, profile: str, port: int, names: tuple[str, ...], progress: Callable[[str], None]
) -> None:
    configuration = development_text(port, names)
    await initialise(directory, profile=profile, hosts=names, configuration=configuration, progress=progress)


def _say_nothing(line: str) -> None:
    """Keep standard error quiet for a program."""
