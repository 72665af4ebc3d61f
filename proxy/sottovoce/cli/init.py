"""`sottovoce init`: a directory that can be served."""

import shlex
from functools import partial
from pathlib import Path

import click

from sottovoce.cli.output import any_path, json_option, print_json, say_progress

_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
_MAX_PORT = 65_535


@click.command("init")
@click.argument("directory", type=any_path, metavar="DIR")
@click.option("--profile", type=click.Choice(["development", "production"]), default="development", show_default=True)
@click.option("--port", type=click.IntRange(0, _MAX_PORT), default=8443, show_default=True, help="Where to listen.")
@click.option("--admin-port", type=click.IntRange(0, _MAX_PORT), default=9443, show_default=True, help="For status.")
@click.option("--host", "hosts", multiple=True, help="A further DNS name or IP address to vouch for; repeatable.")
@json_option
def command(  # noqa: PLR0913  its options
    directory: Path, profile: str, port: int, admin_port: int, hosts: tuple[str, ...], *, as_json: bool
) -> None:
    """Make DIR: a SoftHSM token of its own with fresh keys, certificates, an anchor for clients, a configuration.

    DIR must not exist, or be empty.  Either all of it is made or nothing.  The profile `production` listens on all
    addresses, requires post-quantum key agreement, and takes no call without a credential.

    A second directory on one machine needs ports of its own: --port and --admin-port.
    """
    from sottovoce.app.initialise import initialise
    from sottovoce.cli.running import run_until_told
    from sottovoce.settings import profile_text

    names = tuple(dict.fromkeys((*_DEFAULT_NAMES, *hosts)))
    run_until_told(
        partial(
            initialise,
            directory,
            profile=profile,
            hosts=names,
            configuration=profile_text(profile, port, names, admin_port=admin_port),
            progress=say_progress,
        )
    )
    if as_json:
        _print_json(directory)
    else:
        _print_next_steps(directory, profile)


def _print_json(directory: Path) -> None:
    paths = {
        "directory": directory,
        "configuration": directory / "sottovoce.toml",
        "anchor": directory / "certs/anchor.json",
        "ca": directory / "certs/ca.pem",
    }
    print_json("init", {"ok": True, **{name: str(path) for name, path in paths.items()}})


def _print_next_steps(directory: Path, profile: str) -> None:
    where = "this machine" if profile == "development" else "the world"
    click.echo(f"{directory}/ is ready, for {where} ({profile})")
    click.echo(f"  token   SoftHSM, its own: five keys inside; the PIN is in {directory}/secrets/pin")
    click.echo(f"  anchor  {directory}/certs/anchor.json: give it to clients, it is how they know this proxy")
    click.echo(f"  routes  echo (built in); add others in {directory}/sottovoce.toml")
    place = shlex.quote(str(directory))
    if profile == "production":
        click.echo(f"first: sottovoce clients add {place} NAME --token --audience HOST, once for each caller")
    click.echo(f"next:  sottovoce serve {place}")
