"""`sottovoce hsm key`: the keys in tokens."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, json_option, print_json, print_table, say

if TYPE_CHECKING:
    from sottovoce.app.hsm import KeyOnToken, KeySeen

_HEADINGS = ("KEY", "KIND", "STATE", "ON TOKENS", "MADE")
_NOT_WELL = 3
_directory = click.argument("directory", type=any_path, metavar="DIR")


@click.group("key")
def key_group() -> None:
    """Look at the keys in the tokens of a directory, and destroy one.

    Each token has five keys of its own, which serve calls.  What it holds beside them has a label that begins with
    key/, which may be left out here.  Each command opens the tokens, with one login each; a proxy may run meanwhile.
    """


@key_group.command("list")
@_directory
@json_option
def list_command(directory: Path, *, as_json: bool) -> int:
    """Show the keys of DIR's tokens: what the inventory has, and whether the tokens have it.

    Exit 0: each key is where it should be, as far as tokens open; 3: it is not, or a token does not open.
    """
    import msgspec

    from sottovoce.app.hsm import list_keys
    from sottovoce.cli.running import run_until_told

    found = run_until_told(list_keys, directory)
    is_well = not found.closed and all(each.is_well for each in found.keys)
    if as_json:
        print_json("hsm.key.list", {"ok": is_well, **msgspec.to_builtins(found)})
    else:
        print_table([_HEADINGS, *map(_row, found.keys)])
        for name, reason in found.closed.items():
            say(f"token {name} could not be asked: {reason}")
    return 0 if is_well else _NOT_WELL


@key_group.command("show")
@_directory
@click.argument("label", metavar="KEY")
@json_option
def show_command(directory: Path, label: str, *, as_json: bool) -> int:
    """Show one key: what it is for, where it is, its public halves; it has to prove itself on each token.

    Exit 0: it is where it should be; 3: it is not.
    """
    import msgspec

    from sottovoce.app.hsm import show_key
    from sottovoce.cli.running import run_until_told

    key = run_until_told(show_key, directory, label)
    if as_json:
        print_json("hsm.key.show", {"ok": key.is_well, **msgspec.to_builtins(key)})
    else:
        _print(key)
    return 0 if key.is_well else _NOT_WELL


@key_group.command("destroy")
@_directory
@click.argument("label", metavar="KEY")
@click.option("--yes", is_flag=True, help="Do not ask for the name again: this cannot be undone.")
@json_option
def destroy_command(directory: Path, label: str, *, yes: bool, as_json: bool) -> int:
    """Destroy a key on every token, for good.  None of the tokens' own.

    Asks for the name again.  Where a token does not open, the key is not used from then on, and destroyed there by the
    same command later.  Refused while a proxy runs.  Exit 3: some token may still have it.
    """
    import msgspec

    from sottovoce.app.hsm import destroy_key, refuse_own
    from sottovoce.cli.running import run_until_told

    name = refuse_own(label)
    if not yes:
        _ask_again(name)
    ended = run_until_told(partial(destroy_key, directory, label))
    if as_json:
        print_json("hsm.key.destroy", {"ok": not ended.left, **msgspec.to_builtins(ended)})
    else:
        click.echo(f"{ended.label} is destroyed on {', '.join(ended.gone) or 'no token yet'}")
        for token, reason in ended.left.items():
            say(f"token {token} may still have it ({reason}): run this again when it opens")
    return _NOT_WELL if ended.left else 0


def _ask_again(name: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("a key is destroyed for good: say --yes, or type its name again at a terminal")
    if click.prompt(f"type {name} again to destroy it", default="", show_default=False, err=True) != name:
        raise click.UsageError("that was another name: nothing is destroyed")


def _row(key: "KeySeen") -> tuple[str, ...]:
    made = "" if key.made_at is None else time.strftime("%Y-%m-%d", time.gmtime(key.made_at))
    return key.label, key.kind, key.state, ", ".join(map(_where, key.tokens)), made


def _where(each: "KeyOnToken") -> str:
    words = {"there": each.token, "none": f"not {each.token}", "closed": f"{each.token} closed"}
    return words.get(each.state, f"{each.token} {each.state.upper()}")


def _print(key: "KeySeen") -> None:
    click.echo(f"{key.label}: {key.kind}, {key.use}; {key.state}")
    shared = "the same on all tokens" if key.is_shared else "each token has its own"
    leaves = "may leave its token, wrapped" if key.is_extractable else "does not leave its token"
    click.echo(f"{shared}; {leaves}")
    for each in key.tokens:
        reason = f": {each.reason}" if each.reason else ""
        click.echo(f"token {each.token}: {each.state}{reason}")
        if each.public:
            click.echo(each.public, nl=False)
