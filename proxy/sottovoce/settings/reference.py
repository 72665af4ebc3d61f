"""The configuration as text: what `init` writes, and the generated `config/reference.toml` and `config/schema.json`.

The reference takes each key's explanation from the docstring below the field that it configures, so the two cannot
drift apart; a test compares the files with what is generated here.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import msgspec

from sottovoce.edge import ListenerConfig
from sottovoce.relay import RawOptions, RouteConfig
from sottovoce.settings.configuration import Configuration

_WIDTH = 118
_TABLES: dict[str, type[msgspec.Struct]] = {
    "listeners.public": ListenerConfig,
    "routes.support": RouteConfig,
    "routes.support.raw": RawOptions,
}
"""Sections that a configuration may have any number of, under names of the operator's choice."""


def development_text(port: int, names: tuple[str, ...]) -> str:
    """Give the file that `sottovoce init` writes for the development profile."""
    listed = ", ".join(_toml(name) for name in names)
    return f"""\
# A proxy for this machine alone.  Every key with its meaning: config/reference.toml; what is wrong: sottovoce check.

[listener]
address = "127.0.0.1:{port}"
pq = "prefer"                 # "require" refuses clients without post-quantum key agreement

[admin]
address = "127.0.0.1:9443"    # not served yet

[identity]
names = [{listed}]

[voice]
epoch_seconds = 300
messages_per_key = 1000

[routes.echo]
adapter = "echo"

# [routes.bot]
# adapter = "raw"             # docs/backend-raw.md
# url = "ws://127.0.0.1:9000/"
"""


def reference_text() -> str:
    """Give every section and key with its meaning and default."""
    parts = ["# Every key with its default.  Generated from the code: `make reference`; do not edit.\n"]
    sections = {field.name: field.type for field in msgspec.structs.fields(Configuration)} | _TABLES
    parts += [_section(name, kind) for name, kind in sections.items() if issubclass(kind, msgspec.Struct)]
    return "\n".join(parts)


def schema_text() -> str:
    """Give the configuration's JSON Schema."""
    schema = msgspec.json.schema(Configuration)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _section(name: str, kind: type[msgspec.Struct]) -> str:
    lines = [f"[{name}]"]
    docs = dict(_field_docs(kind))
    for field in msgspec.structs.fields(kind):
        if name == "routes.support" and field.name == "raw":
            continue
        lines += [f"# {line}" for line in textwrap.wrap(docs.get(field.name, ""), _WIDTH)]
        has_default = field.default is not msgspec.NODEFAULT and field.default is not None
        lines.append(f"{field.name} = {_toml(field.default)}" if has_default else f"# {field.name} = …")
    return "\n".join(lines) + "\n"


def _field_docs(kind: type) -> Iterator[tuple[str, str]]:
    """Give each field with the docstring that stands below it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for field, after in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(after.value.value).split())


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case tuple():
            return f"[{', '.join(_toml(each) for each in cast('tuple[object, ...]', value))}]"
        case _:
            return f'"{value}"'
