"""`sottovoce`: the tree of commands, and how each ends.

Exit codes: 0 done, 1 refused or failed, 2 usage, 128 + N ended by signal N (130: Ctrl-C).  Results go to standard
output, everything else to standard error.  A command imports what it runs when it runs, so that `--help` is quick.
"""

import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn, TextIO, cast

import click

from sottovoce.cli.lazy.groups import LazyGroup, pages_of

_COMMANDS = {
    "init": ("sottovoce.cli.init", "Make a directory with a token, keys, certificates and a configuration."),
    "serve": ("sottovoce.cli.serve", "Run the proxy."),
    "status": ("sottovoce.cli.watching.status", "Say how a running proxy does, the worst first."),
    "top": ("sottovoce.cli.watching.top", "Watch a running proxy: routes, calls, backends."),
    "check": ("sottovoce.cli.check", "Explain a configuration, without starting anything."),
    "call": ("sottovoce.cli.call", "Call a route: send a WAV file or a tone, keep what comes back."),
    "demo": ("sottovoce.cli.demo", "Run the whole thing once, in a temporary directory, and show it."),
    "example": (
        "sottovoce.cli.examples.example",
        "Print a sample to copy from: backends and clients, each as it runs.",
    ),
    "clients": ("sottovoce.cli.clients", "Say who may call: add, list and revoke clients."),
    "anchor": ("sottovoce.cli.keeping.anchor", "Replace what clients know the proxy by, with overlap."),
    "hsm": ("sottovoce.cli.hsm", "Look after the tokens (HSMs) and the keys in them."),
    "audit": ("sottovoce.cli.keeping.audit", "Verify or show the audit log."),
    "doctor": ("sottovoce.cli.looking.doctor", "Find what is wrong with a machine, a directory or a proxy."),
    "explain": ("sottovoce.cli.looking.explain", "Say what a code, a fault or an event means, and what to do."),
    "inspect": ("sottovoce.cli.looking.inspect", "Say what a file, a directory or a server is."),
}
_INTERRUPTED = 130
_JSON = "--json"


class _Group(LazyGroup):
    def invoke(self, ctx: click.Context) -> object:
        """Run a command; where it was to print JSON and fails, print that it did."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            from sottovoce.cli.output import print_failure

            print_failure(ctx, error)
            raise


@click.group(
    cls=_Group,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: sottovoce demo, or: sottovoce init DIR, then sottovoce serve DIR.",
)
@click.version_option(package_name="sottovoce", prog_name="sottovoce")
def commands() -> None:
    """A voice proxy: audio sealed from the client to here, plaintext at the backend, vouched for by an HSM."""


def help_text() -> str:
    """Give what `--help` says of each command, as it is kept in help.txt."""
    return pages_of(commands, "sottovoce")


def run_and_exit(arguments: Sequence[str]) -> NoReturn:
    """Run a command and exit."""
    if isinstance(stdout := cast("TextIO", sys.stdout), TextIOWrapper):
        stdout.reconfigure(errors="replace")  # a terminal that has no × shows another sign, and the command goes on
    code = run(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would come while the interpreter takes itself apart
    try:
        stdout.flush()
    except (OSError, ValueError) as error:
        # What cannot be written stays in the buffer, and the interpreter's own attempt would decide the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = code or _say(error)
    sys.exit(code)


def _say(error: BaseException) -> int:
    from sottovoce.cli.failures import say_what_failed

    say_what_failed(error)
    return 1


def run(arguments: Sequence[str]) -> int:
    """Run a command and give its exit code.  Whatever goes wrong is one line on standard error."""
    try:
        code = commands.main(arguments, prog_name="sottovoce", standalone_mode=False)
    except click.ClickException as error:
        if _JSON in arguments:
            from sottovoce.cli.output import print_misuse

            print_misuse(error)
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BaseException as error:
        from sottovoce.cli.failures import is_interruption

        if isinstance(error, SystemExit | GeneratorExit):
            raise
        if is_interruption(error):
            return _INTERRUPTED
        return _say(error)
    return code if isinstance(code, int) else 0
