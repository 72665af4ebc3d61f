"""The tree of commands of `python -m loadtest`, and how each ends."""

import importlib
import json

import click

from loadtest import PROGRAM

_COMMANDS = {
    "run": ("loadtest.commands.run", "Replay audio against a proxy and say what becomes of each frame."),
    "compare": ("loadtest.peers.command", "The same load through Sottovoce and other proxies, in turns."),
    "bench": ("loadtest.bench.command", "Measure what is promised about speed."),
}
_WANTS_JSON = "loadtest.json"


class _LazyGroup(click.Group):
    """Knows its commands by name and one line; imports the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Give the commands in the order in which one meets them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  likewise
        """Import one command's module."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  likewise
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember what was asked for, as whoever misspells a word wants his answer in that form, too."""
        ctx.meta[_WANTS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what keeps it from its work is one line, and with --json an object that says so, too."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            _print_failure(ctx, error.format_message())
            raise
        except (click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            from sottovoce.primitives.errors import SottovoceError  # noqa: PLC0415  --help is quick

            if not isinstance(error, SottovoceError):
                raise
            _print_failure(ctx, str(error))
            click.echo(f"loadtest: {error}", err=True)
            ctx.exit(1)


def _print_failure(ctx: click.Context, text: str) -> None:
    if ctx.meta[_WANTS_JSON]:
        schema = f"loadtest.{ctx.invoked_subcommand or 'usage'}/1"
        click.echo(json.dumps({"schema": schema, "ok": False, "error": text}))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Put load on Sottovoce and measure it."""


def help_text() -> str:
    """Give what `--help` says of each command, as it is kept in help.txt."""
    from sottovoce.cli.tree import pages_of  # noqa: PLC0415  a run has no use for it

    return pages_of(main, PROGRAM)
