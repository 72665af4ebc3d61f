"""`sottovoce init`: a directory that can be served."""

import shlex
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sottovoce.cli.output import any_path, json_option, print_json, say_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sottovoce.settings import GivenRoute

_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
_MAX_PORT = 65_535
_MAX_TOKENS = 16
_FIRST_TOKEN = "first.token"  # noqa: S105  a file's name


@click.command("init")
@click.argument("directory", type=any_path, metavar="DIR")
@click.option("--profile", type=click.Choice(["development", "production"]), default="development", show_default=True)
@click.option("--port", type=click.IntRange(0, _MAX_PORT), default=8443, show_default=True, help="Where to listen.")
@click.option("--admin-port", type=click.IntRange(0, _MAX_PORT), default=9443, show_default=True, help="For status.")
@click.option("--host", "hosts", multiple=True, help="A further DNS name or IP address to vouch for; repeatable.")
@click.option(
    "--tokens", type=click.IntRange(1, _MAX_TOKENS), default=1, show_default=True, help="How many tokens to make."
)
@click.option("--route", "words", multiple=True, metavar="NAME=URL", help="A backend; repeatable, see above.")
@json_option
def command(  # noqa: PLR0913, PLR0917  its options
    directory: Path,
    profile: str,
    port: int,
    admin_port: int,
    hosts: tuple[str, ...],
    tokens: int,
    words: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Make DIR: a SoftHSM token of its own with fresh keys, certificates, an anchor for clients, a configuration.

    DIR must not exist, or be empty.  Either all of it is made or nothing.  The profile `production` listens on all
    addresses, requires post-quantum key agreement, and takes no call without a credential.

    With --tokens 3 there are three tokens, each with keys of its own and a process of its own: calls go on while any of
    them is up.  Three of SoftHSM on one machine show how that is; they fail together when the machine does.

    A second directory on one machine needs ports of its own: --port and --admin-port.

    Calls to the route `echo` come back.  --route bot=ws://127.0.0.1:9000 adds one to a backend over `raw`
    (docs/backend-raw.md), --route ivr=twilio+ws://127.0.0.1:9001/media one over the adapter named before the plus.
    With --route bot=mux+tcp://127.0.0.1:9000, or mux+unix:/run/bot.sock, all calls share one connection
    (docs/backend-mux.md).
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
            tokens=tokens,
            configuration=profile_text(profile, port, names, admin_port=admin_port) + routes_text(routes),
            progress=say_progress,
        )
    )
    steps = _next_steps(shlex.quote(str(directory)), profile, port, routes)
    if as_json:
        _print_json(directory, tokens, routes, steps)
    else:
        _print(directory, profile, tokens, routes, steps)


def _print_json(directory: Path, tokens: int, routes: "Sequence[GivenRoute]", steps: "_Steps") -> None:
    paths = {
        "directory": directory,
        "configuration": directory / "sottovoce.toml",
        "anchor": directory / "certs/anchor.json",
        "ca": directory / "certs/ca.pem",
    }
    names = ["echo", *(each.name for each in routes)]
    fields = {name: str(path) for name, path in paths.items()}
    commands = [*steps.to_serve, *steps.while_it_runs]
    print_json("init", {"ok": True, **fields, "tokens": tokens, "routes": names, "next": commands})


def _print(directory: Path, profile: str, tokens: int, routes: "Sequence[GivenRoute]", steps: "_Steps") -> None:
    where = "this machine" if profile == "development" else "the world"
    click.echo(f"{directory}/ is ready, for {where} ({profile})")
    if tokens == 1:
        click.echo(f"  token   SoftHSM, its own: five keys inside; the PIN is in {directory}/secrets/pin")
    else:
        click.echo(f"  tokens  {tokens} of SoftHSM, its own: five keys inside each; PINs in {directory}/secrets")
    click.echo(f"  anchor  {directory}/certs/anchor.json: give it to clients, it is how they know this proxy")
    named = "".join(f", {each.name} ({each.adapter}, {each.url})" for each in routes)
    click.echo(f"  routes  echo (built in){named}; add others in {directory}/sottovoce.toml")
    for label, line in zip_longest(["next:"], steps.to_serve, fillvalue=""):
        click.echo(f"{label:<5}  {line}")
    if steps.while_it_runs:
        click.echo("then, from another terminal, while it runs:")
    for line in steps.while_it_runs:
        click.echo(f"       {line}")


class _Steps(NamedTuple):
    to_serve: tuple[str, ...]
    while_it_runs: tuple[str, ...]


def _next_steps(place: str, profile: str, port: int, routes: "Sequence[GivenRoute]") -> _Steps:
    """Give the commands that lead from here to a call, each as it is to be typed."""
    serve = f"sottovoce serve {place}"
    if not port:
        return _Steps((serve,), ())  # which says the port that it was given
    samples = {"raw": "raw-asyncio", "twilio": "twilio", "mux": "mux"}
    bots = [
        f"sottovoce example {samples[each.adapter]} >bot.py && python bot.py {each.port}"
        for each in routes[:1]
        if each.adapter in samples and each.port
    ]
    url = f"wss://localhost:{port}/{routes[0].name if routes else 'echo'}"
    if profile == "development":
        return _Steps((serve,), (*bots, f"sottovoce call {url} --tone --dir {place}"))
    whom = f"--dir {place} --token {_FIRST_TOKEN}"
    return _Steps(
        (f"sottovoce clients add {place} first --token --out {_FIRST_TOKEN}", f"sottovoce check {place}", serve),
        (*bots, f"sottovoce call {url} --tone {whom}", f"sottovoce status {place}", f"sottovoce doctor {url} {whom}"),
    )
