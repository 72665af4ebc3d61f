"""`sottovoce hsm`: the tokens of a directory, and the keys in them."""

import click

from sottovoce.cli.hsm.bench import bench_command
from sottovoce.cli.hsm.init import init_command
from sottovoce.cli.hsm.key import key_group
from sottovoce.cli.hsm.listing import list_command
from sottovoce.cli.hsm.ordering import failover_command, seal_command, unseal_command
from sottovoce.cli.hsm.status import status_command
from sottovoce.cli.hsm.syncing import sync_command
from sottovoce.cli.hsm.testing import test_command

__all__ = ["command"]


@click.group("hsm")
def command() -> None:
    """Look after the tokens (HSMs) of a directory, and after the keys in them.

    Several tokens answer as one: calls go on while any of them is up.  Which there are, DIR/sottovoce.toml says under
    [hsm]; docs/hsm-vendors.md tells what is known of each vendor's.
    """


for each in (
    list_command,
    status_command,
    test_command,
    init_command,
    sync_command,
    key_group,
    failover_command,
    seal_command,
    unseal_command,
    bench_command,
):
    command.add_command(each)
