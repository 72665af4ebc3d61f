"""A group of commands of which only the one that is run is imported, and what `--help` says of all of them."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import click

from sottovoce.cli.lazy.pages import pages_text

_PAGE_COLUMNS = 78
"""Of a terminal of 80, as click has it."""


class LazyGroup(click.Group):
    """Knows its commands by name and one line."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:  # noqa: ANN401  click's
        """Take for each command its module, which has it as `command`, and its line, in the order of the list."""
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Give the commands in the order in which one meets them."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  likewise
        """Import one command's module."""
        if cmd_name not in self._lazy:
            return None
        command: click.Command = importlib.import_module(self._lazy[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  likewise
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])


def pages_of(group: click.Group, program: str) -> str:
    """Give what `--help` says of each command of a group, as `print_page` wants it kept."""
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
