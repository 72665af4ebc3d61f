"""`sottovoce`: the tree of commands, and how each ends.

Exit codes: 0 done, 1 refused or failed, 2 usage.  Results go to standard output, everything else to standard error.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib import metadata

import click

from sottovoce.primitives.errors import SottovoceError

_COMMANDS = {
    "init": "Make a directory with a token, keys, certificates and a configuration.",
    "serve": "Run the proxy.",
    "check": "Explain a configuration, without starting anything.",
    "call": "Call a route: send a WAV file or a tone, keep what comes back.",
    "demo": "Run the whole thing once, in a temporary directory, and show it.",
    "audit": "Verify or show the audit log.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name and one line; imports the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Give the commands in the order in which one meets them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  likewise
        """Import one command's module."""
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = importlib.import_module(f"sottovoce.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{cmd_name} needs the package {error.name}: pip install 'sottovoce[server]'"
            ) from None
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  likewise
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: sottovoce demo, or: sottovoce init DIR, then sottovoce serve DIR.",
)
@click.version_option(metadata.version("sottovoce"), prog_name="sottovoce")
def commands() -> None:
    """A voice proxy: audio sealed from the client to here, plaintext at the backend, vouched for by an HSM."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit.  An error of ours is one line and exit code 1."""
    try:
        commands.main(arguments, prog_name="sottovoce")
    except SottovoceError as error:
        for line in str(error).splitlines():
            click.echo(f"sottovoce: {line}", err=True)
        sys.exit(1)
