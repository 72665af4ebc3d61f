"""`sottovoce serve`: the proxy."""

import shlex
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from sottovoce.cli.output import directory_argument, json_option, print_json, say_progress


@click.command("serve")
@directory_argument
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key for this run; repeatable.")
@json_option
def command(directory: Path, changes: tuple[str, ...], *, as_json: bool) -> None:
    """Run the proxy of DIR until it is told to stop (SIGTERM, SIGINT).

    When calls can come, the event `proxy.ready` names the addresses, and the ready file (process.ready_file) is there.
    With --json the addresses are printed as well.  How it does is told at admin.address: sottovoce status DIR.

    With process.workers it is a supervisor of so many processes.  SIGUSR2 replaces it and them by the program that is
    installed now, if that finds nothing wrong: no call notices.

    Told to stop, it lets nobody in and tells calls in progress to reconnect elsewhere (4460), in the course of
    process.drain_seconds; told again, it cuts them off.  SIGHUP has it read its configuration again; a change in the
    clients' files takes effect by itself.
    """
    from sottovoce.app.serving import Program, serve
    from sottovoce.app.workers.handover import become, outlive_orders
    from sottovoce.cli.running import run_until_told
    from sottovoce.settings import find_file, load

    def announce(addresses: Mapping[str, str], admin: str) -> None:
        if as_json:
            print_json("serve", {"ok": True, "addresses": addresses, "admin": admin})
        urls = ", ".join(f"wss://{address}" for address in addresses.values())
        say_progress(f"ready: {urls}; how it does: sottovoce status {shlex.quote(str(directory))}; Ctrl-C stops it")

    file = find_file(directory).absolute()
    configuration = load(file, changes)
    words = [word for change in changes for word in ("--set", change)]
    start = (sys.executable, *sys.orig_argv[1:])
    program = Program(start, (sys.executable, "-P", "-m", "sottovoce", "check", str(file), *words))
    outlive_orders()
    handover = run_until_told(serve, configuration, file, announce, partial(load, file, changes), program)
    if handover is not None:
        become(program.serve, handover)
