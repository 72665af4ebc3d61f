"""`sottovoce hsm sync`."""

from pathlib import Path

import click

from sottovoce.cli.output import any_path, json_option, print_json, print_table

_HEADINGS = ("KEY", "", "HOW, OR WHY NOT")
_NOT_WHOLE = 3


@click.command("sync")
@click.argument("directory", type=any_path, metavar="DIR")
@click.argument("source")
@click.argument("target")
@json_option
def sync_command(directory: Path, source: str, target: str, *, as_json: bool) -> int:
    """Give the token TARGET the keys that SOURCE has, and say what became of each.

    Where each token has a key of its own under a label, TARGET makes one.  A key that several share is wrapped in
    SOURCE and unwrapped in TARGET, if it was made to leave and both share a wrapping key.  The tokens' own five keys
    never move.  Refused while a proxy runs.  Exit 3: TARGET lacks a key that SOURCE has.
    """
    import msgspec

    from sottovoce.app.hsm import sync_tokens
    from sottovoce.cli.running import run_until_told

    done = run_until_told(sync_tokens, directory, source, target)
    if as_json:
        print_json("hsm.sync", {"ok": done.is_whole, **msgspec.to_builtins(done)})
    else:
        print_table([_HEADINGS, *((each.label, each.outcome, each.reason) for each in done.keys)])
    return 0 if done.is_whole else _NOT_WHOLE
