"""The commands there are, found by walking the tree."""

from collections.abc import Iterator

import click


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Give each command that is run, by its path."""
    for name, each in all_commands(command, path):
        if not isinstance(each, click.Group):
            yield name, each


def all_commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Give each command, groups too, by its path; the whole is ''."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from all_commands(below, (*path, name))
