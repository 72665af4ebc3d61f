"""The tree of commands of `python -m loadtest`, and how each ends."""

import json

import click

from loadtest import PROGRAM
from sottovoce.cli.lazy.groups import LazyGroup, pages_of

_COMMANDS = {
    "run": ("loadtest.commands.run", "Replay audio against a proxy and say what becomes of each frame."),
    "scenarios": ("loadtest.commands.scenarios", "List the scenarios that come with this."),
    "compare": ("loadtest.peers.command", "The same load through Sottovoce and other proxies, in turns."),
    "knee": ("loadtest.knee.command", "Find the most calls that one core holds."),
    "diff": ("loadtest.difference.command", "Hold two results against each other."),
    "bench": ("loadtest.bench.command", "Measure what is promised about speed."),
}
_FAILED, _USAGE = 1, 2
_WANTS_JSON = "loadtest.json"


class _Group(LazyGroup):
    """Says what keeps a command from its work."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember what was asked for, as whoever misspells a word wants his answer in that form, too."""
        ctx.meta[_WANTS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what keeps it from its work is a line or more, and with --json an object that says so, too."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            _print_failure(ctx, error.format_message())
            raise
        except (click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            from loadtest.scenario import ScenarioInvalid  # noqa: PLC0415  --help is quick
            from sottovoce.primitives.errors import SottovoceError  # noqa: PLC0415  likewise

            if not isinstance(error, SottovoceError):
                raise
            _print_failure(ctx, str(error))
            for line in str(error).splitlines():
                click.echo(f"loadtest: {line}", err=True)
            ctx.exit(_USAGE if isinstance(error, ScenarioInvalid) else _FAILED)


def _print_failure(ctx: click.Context, text: str) -> None:
    if ctx.meta[_WANTS_JSON]:
        schema = f"loadtest.{ctx.invoked_subcommand or 'usage'}/1"
        click.echo(json.dumps({"schema": schema, "ok": False, "error": text}))


@click.group(cls=_Group, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Put load on Sottovoce and measure it."""


def help_text() -> str:
    """Give what `--help` says of each command, as it is kept in help.txt."""
    return pages_of(main, PROGRAM)
