"""`sottovoce hsm init`."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, json_option, print_json, say_progress

if TYPE_CHECKING:
    from sottovoce.app.hsm import TokenAdded


@click.command("init")
@click.argument("directory", type=any_path, metavar="DIR")
@click.argument("name")
@click.option("--join", is_flag=True, help="Have the configuration name it: every client has the new files.")
@json_option
def init_command(directory: Path, name: str, *, join: bool, as_json: bool) -> None:
    """Make one more token for DIR: a SoftHSM token NAME with keys of its own, published beside the others'.

    Any token's CA may issue the next TLS certificate, and its anchor takes over when another's cannot.  So clients have
    to know it before the proxy uses it:

    \b
      sottovoce hsm init DIR b            makes it; no proxy uses it yet
                                          now give anchor.json and ca.pem to every client
      sottovoce hsm init DIR b --join     DIR/sottovoce.toml names it (then restart the proxy)

    The proxy may run meanwhile.  A directory with one token has several from then on; that one is called main.  A
    command that was interrupted is finished by being run again.
    """  # noqa: D301  click leaves a paragraph with this mark as it is
    import msgspec

    from sottovoce.app.hsm import add_token
    from sottovoce.cli.running import run_until_told

    added = run_until_told(partial(add_token, directory, name, join=join, progress=say_progress))
    if as_json:
        print_json("hsm.init", {"ok": True, **msgspec.to_builtins(added)})
        return
    _print(added, f"sottovoce hsm init {shlex.quote(str(directory))} {name} --join", shlex.quote(str(directory)))


def _print(added: "TokenAdded", next_command: str, directory: str) -> None:
    made = "made" if added.made else "there already"
    if not added.joined:
        click.echo(f"token {added.name} is {made}, and its keys are published; no proxy uses it yet")
        click.echo(f"next: give {added.anchor_file} and {added.ca_file} to every client, and only then")
        click.echo(f"      {next_command}")
        return
    click.echo(f"token {added.name} is {made}, and the configuration names it: {', '.join(added.tokens)}")
    click.echo(f"a new key has to be proved on {added.quorum} of {len(added.tokens)} from then on")
    if added.proxy_pid is not None:
        click.echo("next: restart the proxy that runs; until then it serves without the token")
    elif added.made:
        click.echo(f"next: give {added.anchor_file} and {added.ca_file} to every client before the proxy starts")
    if added.has_keys:
        first = next(each for each in added.tokens if each != added.name)
        click.echo(f"the others hold keys: sottovoce hsm sync {directory} {first} {added.name}")
