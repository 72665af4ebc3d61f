"""`sottovoce hsm test`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import directory_argument, json_option, print_json, print_table, say_progress

if TYPE_CHECKING:
    from sottovoce.app.hsm import TokenTested, Trial

_HEADINGS = ("WHAT", "CLAIMED", "FOUND", "")
_NOT_WELL = 3
node_option = click.option("--node", default="", metavar="NAME", help="Only this token, where there are several.")


@click.command("test")
@directory_argument
@node_option
@json_option
def test_command(directory: Path, node: str, *, as_json: bool) -> int:
    """Open the tokens of DIR and find out what they do: each mechanism is used once, and its result checked.

    Beside it stands what the vendor's row claims (docs/hsm-vendors.md; ? marks what was only read).  Keys that are made
    for it end with the session: nothing is written to the token.  It logs in once, with the configured PIN, and may be
    run while the proxy serves.  Exit 0: the proxy can use every token; 3: it cannot, or one does not open.
    """
    import msgspec

    from sottovoce.app.hsm import try_tokens
    from sottovoce.cli.running import run_until_told

    found = run_until_told(partial(try_tokens, directory, node, progress=say_progress))
    is_well = all(each.is_well for each in found)
    if as_json:
        tokens = [{**msgspec.to_builtins(each), "is_well": each.is_well} for each in found]
        print_json("hsm.test", {"ok": is_well, "tokens": tokens})
    else:
        for each in found:
            _print(each)
    return 0 if is_well else _NOT_WELL


def _print(token: "TokenTested") -> None:
    if token.health is None:
        click.echo(f"token {token.name} does not open: {token.trouble}")
        return
    health = token.health
    click.echo(f"token {token.name}: {health.label}, serial {health.serial}, {health.model} by {health.library}")
    print_table([_HEADINGS, *(_row(each) for each in token.trials)])
    if token.untried:
        click.echo(f"claimed and not tried: {', '.join(token.untried)}")
    lacking = [each.what for each in token.trials if not each.is_well]
    differing = [each.what for each in token.trials if each.differs]
    if differing:
        click.echo(f"another than claimed: {', '.join(differing)}")
    click.echo(f"it cannot be used, for want of {', '.join(lacking)}" if lacking else "it can be used")


def _row(trial: "Trial") -> tuple[str, ...]:
    claim = trial.claim and trial.claim + ("" if trial.claim_was_run else "?")
    found = f"{trial.value} {trial.outcome}" if trial.value else str(trial.outcome)
    return trial.what, claim or "-", found, trial.reason
