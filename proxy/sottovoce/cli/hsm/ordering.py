"""`sottovoce hsm failover`, `seal` and `unseal`: what a running proxy is told to do."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, directory_argument, json_option, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sottovoce.app.control import Done
    from sottovoce.primitives import Secret

_NOT_YET = 3
_MAX_SHARE_CHARACTERS = 1000
_SPLIT = re.compile(r"([0-9]{1,3})/([0-9]{1,3})").fullmatch


@click.command("failover")
@click.argument("directory", type=any_path, metavar="DIR")
@click.argument("node", metavar="TOKEN")
@click.option("--back", is_flag=True, help="Take it into use again: a locked one, too, once its PIN is right.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for both logs and for status.")
@json_option
def failover_command(directory: Path, node: str, *, back: bool, reason: str, as_json: bool) -> None:
    """Take TOKEN out of use, before somebody pulls its plug: other tokens take over, its calls too.

    It stays out of use until it is taken back with --back, or the proxy starts anew.  Refused for the last one that is
    up.  Takes a running proxy, and is for its own user or root.
    """
    from sottovoce.app.control import Order, order

    if back:
        done = order(directory, Order("release", node))
    else:
        why = f"an operator has taken it out of use{f' ({reason})' if reason else ''}"
        done = order(directory, Order("hold", node, why))
    if as_json:
        print_json("hsm.failover", {"ok": True, "token": node, "up": done.up})
        return
    said = "is being started" if back else "is out of use"
    click.echo(f"token {node} {said}; up: {', '.join(done.up) or 'none'}")


@click.command("seal")
@directory_argument
@click.option(
    "--reason", default="", metavar="TEXT", help="Seal the proxy that runs, for this, which goes on both logs."
)
@click.option("--split", default="", metavar="K/M", help="Make a seal: of M shares, K open it.")
@json_option
def seal_command(directory: Path, *, reason: str, split: str, as_json: bool) -> None:
    """Seal the tokens of the proxy that runs over DIR: it forgets their PINs, and nobody can use them.

    New calls get HTTP 503; running ones end with their epoch, or at once (hsm.seal.running_calls).  It takes K of the M
    holders of shares to undo it: sottovoce hsm unseal.

    With --split 3/5 a seal is made first, while no proxy runs: five shares are shown, once, and three of them have to
    be typed again; then the PINs are in no file any more, and each start of the proxy waits for three people.
    """
    from sottovoce.app.control import Order, order

    if bool(reason) is bool(split):
        raise click.UsageError("give one of --reason TEXT (seal the proxy that runs) and --split K/M (make a seal)")
    if split:
        _make_seal(directory, split, as_json=as_json)
    else:
        _tell("hsm.seal", order(directory, Order("seal", reason=reason)), as_json=as_json)


def _make_seal(directory: Path, split: str, *, as_json: bool) -> None:
    from sottovoce.app.hsm import make_seal
    from sottovoce.primitives import Secret

    found = _SPLIT(split)
    if found is None:
        raise click.UsageError(f"{split!a} is no split: write one like 3/5")
    if as_json:
        raise click.UsageError("shares are shown to people, one to each: make the seal without --json")
    wanted, count = int(found[1]), int(found[2])

    def show(shares: "Sequence[Secret]") -> None:
        for number, share in enumerate(shares, start=1):
            click.echo(f"share {number} of {count}:\n{share.copy_for_sealing().decode()}\n")
        click.echo("nothing shows them again: give each to another person", err=True)

    def ask_back(have: int, wanted: int) -> "Secret":
        say(f"to see that they were written down: {wanted - have} of them, please")
        return Secret("share", _read_share())

    file = make_seal(directory, wanted, count, show=show, ask_back=ask_back, complain=say)
    click.echo(f"the PINs are sealed in {file}, and in no other file; back it up")
    click.echo(f"next: start the proxy, then {wanted} people: sottovoce hsm unseal {shlex.quote(str(directory))}")


@click.command("unseal")
@directory_argument
@json_option
def unseal_command(directory: Path, *, as_json: bool) -> int:
    """Give one share of the seal to the proxy that runs over DIR; with the last that it takes, it is unsealed.

    The share is read from the terminal, which does not show it, or else from standard input.  It is on no command line
    and in no file.  Exit 0: unsealed; 3: the share is right, and more have to come.
    """
    from sottovoce.app.control import Order, order
    from sottovoce.primitives import Secret

    order(directory, Order("look"))  # before anybody types 33 words for nobody
    with Secret("share", _read_share()) as share:
        done = order(directory, Order("unseal"), share)
    is_open = done.seal is not None and done.seal.state == "unsealed"
    _tell("hsm.unseal", done, as_json=as_json, is_well=is_open)
    return 0 if is_open else _NOT_YET


def _read_share() -> bytes:
    if sys.stdin.isatty():
        text = click.prompt("share", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(_MAX_SHARE_CHARACTERS)
        if not text:
            raise click.UsageError("standard input has ended before a share came")
    return " ".join(text.split()).encode()


def _tell(schema: str, done: "Done", *, as_json: bool, is_well: bool = True) -> None:
    import msgspec

    if as_json:
        print_json(schema, {"ok": is_well, "up": done.up, "seal": msgspec.to_builtins(done.seal)})
        return
    if (seal := done.seal) is None:
        return
    match seal.state:
        case "unsealing":
            click.echo(
                f"{seal.have} of the {seal.wanted} shares that it takes are there: {seal.wanted - seal.have} more"
            )
        case "sealed":
            click.echo(f"sealed ({seal.reason}): {seal.wanted} of {seal.count} shares unseal it")
        case "unsealed":
            click.echo("unsealed: tokens are being started")
