"""`sottovoce`: the tree of commands, and how each ends.

Exit codes: 0 done, 1 refused or failed, 2 usage, 128 + N ended by signal N (130: Ctrl-C).  Results go to standard
output, everything else to standard error.  A command imports what it runs when it runs, so that `--help` is quick.
"""

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import NoReturn, TextIO, cast

import click

_COMMANDS = {
    "init": "Make a directory with a token, keys, certificates and a configuration.",
    "serve": "Run the proxy.",
    "status": "Say how a running proxy does, the worst first.",
    "top": "Watch a running proxy: routes, calls, backends.",
    "check": "Explain a configuration, without starting anything.",
    "call": "Call a route: send a WAV file or a tone, keep what comes back.",
    "demo": "Run the whole thing once, in a temporary directory, and show it.",
    "example": "Print a sample to copy from: backends and clients, each as it runs.",
    "clients": "Say who may call: add, list and revoke clients.",
    "anchor": "Replace what clients know the proxy by, with overlap.",
    "hsm": "Look after the tokens (HSMs) and the keys in them.",
    "audit": "Verify or show the audit log.",
    "doctor": "Find what is wrong with a machine, a directory or a proxy.",
    "explain": "Say what a code, a fault or an event means, and what to do.",
    "inspect": "Say what a file, a directory or a server is.",
}
_FOLDERS = {
    "anchor": "keeping.",
    "audit": "keeping.",
    "doctor": "looking.",
    "example": "examples.",
    "explain": "looking.",
    "inspect": "looking.",
    "status": "watching.",
    "top": "watching.",
}
"""Where the modules of commands lie that are not in this package itself."""
_INTERRUPTED = 130
_JSON = "--json"
_PAGE_COLUMNS = 78
"""Of a terminal of 80, as click has it."""


class _LazyGroup(click.Group):
    """Knows its commands by name and one line; imports the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Give the commands in the order in which one meets them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  likewise
        """Import one command's module."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(
            f"sottovoce.cli.{_FOLDERS.get(cmd_name, '')}{cmd_name}"
        ).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  likewise
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

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
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: sottovoce demo, or: sottovoce init DIR, then sottovoce serve DIR.",
)
@click.version_option(package_name="sottovoce", prog_name="sottovoce")
def commands() -> None:
    """A voice proxy: audio sealed from the client to here, plaintext at the backend, vouched for by an HSM."""


def help_text() -> str:
    """Give what `--help` says of each command, as it is kept in help.txt."""
    return pages_of(commands, "sottovoce")


def pages_of(group: click.Group, program: str) -> str:
    """Give what `--help` says of each command of a group, as `pages` keeps it."""
    from sottovoce.cli.pages import pages_text

    root = click.Context(group, info_name=program, terminal_width=_PAGE_COLUMNS, **group.context_settings)
    return pages_text(program, list(_pages(root)))


def _pages(context: click.Context, name: str = "") -> Iterator[tuple[str, str]]:
    command = context.command
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None:
                inner = click.Context(below, info_name=word, parent=context)
                yield from _pages(inner, f"{name} {word}".lstrip())


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
