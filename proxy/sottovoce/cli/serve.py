"""`sottovoce serve`: the proxy."""

from pathlib import Path

import click
import trio

from sottovoce.app.serving import serve
from sottovoce.cli.output import directory_argument
from sottovoce.settings import find_file, load


@click.command("serve")
@directory_argument
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key for this run; repeatable.")
def command(directory: Path, changes: tuple[str, ...]) -> None:
    """Run the proxy of DIR until it is told to stop (SIGTERM, SIGINT).

    When calls can come, the event `proxy.ready` names the addresses, and the ready file (process.ready_file) is there.
    Calls in progress are told to reconnect elsewhere (4460) and have five seconds to leave.
    """
    file = find_file(directory)
    configuration = load(file, changes)
    trio.run(serve, configuration, file)
