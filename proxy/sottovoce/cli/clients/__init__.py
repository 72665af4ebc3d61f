"""`sottovoce clients`: who may call, and how they prove it."""

import click

from sottovoce.cli.clients.adding import add
from sottovoce.cli.clients.keygen import keygen
from sottovoce.cli.clients.listing import list_clients
from sottovoce.cli.clients.revoking import revoke

__all__ = ["command"]


@click.group("clients")
def command() -> None:
    """Say who may call: add, list and revoke clients of a directory.

    A client proves itself with a token (256 bits of chance, of which the proxy keeps a digest only) or with a key of
    its own (the proxy has the public half).  Clients with a JWT or a certificate stand in no file of ours: who issues
    those is said in the configuration.  docs/credentials.md tells of all four.

    A running proxy notices each change by itself, within a second.
    """


for each in (add, list_clients, revoke, keygen):
    command.add_command(each)
