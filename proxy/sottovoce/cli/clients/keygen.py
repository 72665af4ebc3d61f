"""`sottovoce clients keygen`."""

from pathlib import Path
from typing import cast

import click

from sottovoce.cli.clients.adding import write_secret
from sottovoce.cli.output import any_path, json_option, print_json, say

_ALGORITHMS = ("ed25519", "ecdsa_secp384r1_sha384", "mldsa44", "mldsa65", "mldsa87")


@click.command("keygen")
@click.option(
    "--out", type=any_path, required=True, metavar="FILE", help="Write the private key here (new, mode 0600)."
)
@click.option("--algorithm", type=click.Choice(_ALGORITHMS), default="ed25519", show_default=True)
@json_option
def keygen(out: Path, algorithm: str, *, as_json: bool) -> None:
    """Make a key for a client, on the client's machine: the private half never leaves it.

    Prints the public half as one line, which `sottovoce clients add` takes.

    \b
      sottovoce clients keygen --out kiosk-8.key > kiosk-8.pub
    """  # noqa: D301  click leaves a paragraph with this mark as it is
    from sottovoce.pki import ClientKeyAlgorithm, format_public_key, new_private_key

    private, public = new_private_key(cast("ClientKeyAlgorithm", algorithm))
    write_secret(out, private)
    line = format_public_key(public)
    if as_json:
        print_json("clients.keygen", {"ok": True, "public_key": line, "private_key_file": str(out)})
        return
    click.echo(line)
    say(f"{out} is the private key: it stays here.  Give the line to whoever runs the proxy, for:")
    say("    sottovoce clients add DIR NAME --key FILE")
