"""`sottovoce hsm list`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import directory_argument, json_option, print_json, print_table, say

if TYPE_CHECKING:
    from sottovoce.app.hsm import TokenListed

_HEADINGS = ("NAME", "VENDOR", "TOKEN", "LEVEL", "WRAPS BY", "GCM NONCE", "SESSIONS", "LIBRARY")
_ONLY_READ = "?"


@click.command("list")
@directory_argument
@json_option
def list_command(directory: Path, *, as_json: bool) -> None:
    """Show the tokens that DIR's configuration names, and what is known of their vendors' libraries.

    Opens no token.  A value that ends in ? was only read in the vendor's documents; the others were run here.  LEVEL is
    what the configuration asserts: a token cannot prove it.  --json has more, and each value's source.
    """
    import msgspec

    from sottovoce.app.hsm import list_tokens

    found = list_tokens(directory)
    if as_json:
        print_json("hsm.list", {"ok": True, **msgspec.to_builtins(found)})
        return
    print_table([_HEADINGS, *(_row(each) for each in found.tokens)])
    if len(found.tokens) > 1:
        click.echo(f"a new key has to be proved on {found.quorum} of {len(found.tokens)}")
    for each in found.tokens:
        if each.trouble:
            say(f"{each.name}: {each.trouble}")
    for line in found.findings:
        say(f"note: hsm.{line}")


def _row(token: "TokenListed") -> tuple[str, ...]:
    claims = {each.what: each.value + ("" if each.was_run else _ONLY_READ) for each in token.claims}
    wraps = dict.fromkeys(claims.get(name, "not known") for name in ("aes-kw", "aes-kwp"))
    return (
        token.name,
        token.vendor or "not known",
        token.token,
        token.security_level or "none",
        ", ".join(wraps),
        claims.get("gcm nonce", "not known"),
        claims.get("sessions", "not known"),
        token.library or "missing",
    )
