"""The configuration as text: what `init` writes, and the generated `config/reference.toml` and `config/schema.json`.

The reference takes each key's explanation from the docstring below the field that it configures, so the two cannot
drift apart; a test compares the files with what is generated here.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import cast

import msgspec

from sottovoce.edge import ListenerConfig
from sottovoce.hsm import NodeConfig
from sottovoce.hsm.seal import SealConfig
from sottovoce.relay import AudioSocketOptions, MuxOptions, RawOptions, RealtimeOptions, RouteConfig, TwilioOptions
from sottovoce.settings.configuration import Configuration
from sottovoce.settings.explain import choices_of
from sottovoce.settings.ranges import example_of, limits, listed_choices

ADMIN_PORT = 9443
_WIDTH = 116
_NAMED: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("listeners.public", ListenerConfig),
    ("hsm.nodes.a", NodeConfig),
    ("routes.support", RouteConfig),
    ("routes.support.raw", RawOptions),
    ("routes.support.twilio", TwilioOptions),
    ("routes.support.audiosocket", AudioSocketOptions),
    ("routes.support.realtime", RealtimeOptions),
    ("routes.support.mux", MuxOptions),
)
"""Sections that a configuration may have any number of, under names of the operator's choice."""
_OPTIONAL: tuple[tuple[str, type[msgspec.Struct]], ...] = (("hsm.seal", SealConfig),)
"""Sections that mean something by being there."""
_OPENING = """\
# Every key of sottovoce.toml with its default and its bounds.  Relative paths count from the file's directory.
# Generated from the code by `make reference`: do not edit.
"""
_ROUTES = """\
# A configuration without any route has this one.
[routes.echo]
adapter = "echo"
"""
_NAMED_OPENING = "# Below: sections that may be there several times, each under a name of your choice.\n"
_OPTIONAL_OPENING = """\
# Below: a section that says something by being there: the tokens' PINs are sealed, and the proxy starts without them
# until enough people unseal it.
"""
_SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "sottovoce.toml"}


def profile_text(profile: str, port: int, names: tuple[str, ...], *, admin_port: int = ADMIN_PORT) -> str:
    """Give the file that `sottovoce init` writes for a profile."""
    text = _production_text if profile == "production" else development_text
    return text(port, names, admin_port=admin_port)


def _production_text(port: int, names: tuple[str, ...], *, admin_port: int) -> str:
    """Give the file for the profile `production`."""
    return f"""\
# A proxy for the world.  Every key with its meaning: config/reference.toml; what is wrong: sottovoce check.

[process]
profile = "production"        # refuses callers without a name, classical key agreement, and calls bound to no TLS
workers = 0                   # one for each processor; it can be upgraded without a gap (docs/operations.md)

[listener]
address = "0.0.0.0:{port}"
pq = "require"

[admin]
address = "127.0.0.1:{admin_port}"    # metrics and health: sottovoce status

[identity]
names = [{_listed(names)}]

[clients]
file = "clients.toml"         # who may call: sottovoce clients add (docs/credentials.md)
require_credential = true

[voice]
epoch_seconds = 300
messages_per_key = 1000

[routes.echo]                 # comes back as it went: put your own route in its place
adapter = "echo"

# [routes.bot]
# adapter = "raw"             # docs/backend-raw.md
# url = "wss://bot.example.com/"
# identities = ["kiosk-*"]
"""


def development_text(port: int, names: tuple[str, ...], *, admin_port: int = ADMIN_PORT) -> str:
    """Give the file for the profile `development`."""
    return f"""\
# A proxy for this machine alone.  Every key with its meaning: config/reference.toml; what is wrong: sottovoce check.

[listener]
address = "127.0.0.1:{port}"
pq = "prefer"                 # "require" refuses clients without post-quantum key agreement

[admin]
address = "127.0.0.1:{admin_port}"    # metrics and health: sottovoce status

[identity]
names = [{_listed(names)}]

[clients]
file = "clients.toml"         # who may call: sottovoce clients add (docs/credentials.md)
require_credential = false    # true refuses whoever is not in it

[voice]
epoch_seconds = 300
messages_per_key = 1000

[routes.echo]
adapter = "echo"

# [routes.bot]
# adapter = "raw"             # docs/backend-raw.md
# url = "ws://127.0.0.1:9000/"
"""


def tokens_text(nodes: Mapping[str, NodeConfig]) -> str:
    """Give the tables of several tokens, for the end of such a file: what is not as it would be without them."""
    usual = NodeConfig()
    tables: list[str] = []
    for name, node in nodes.items():
        lines = [
            f"{field} = {_toml(value)}"
            for field in NodeConfig.__struct_fields__
            if (value := getattr(node, field)) != getattr(usual, field)
        ]
        tables.append("\n".join([f"\n[hsm.nodes.{name}]", *lines, ""]))
    return "".join(tables)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(_toml(name) for name in names)


def reference_text() -> str:
    """Give every section and key with its meaning, bounds and default; read as a configuration it changes nothing."""
    sections = [
        "\n".join(_section(field.name, field.type))
        for field in msgspec.structs.fields(Configuration)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
    ]
    return "\n".join(
        [
            _OPENING,
            *(f"{text}\n" for text in sections),
            _ROUTES,
            _OPTIONAL_OPENING,
            *_commented(_OPTIONAL),
            _NAMED_OPENING,
            *_commented(_NAMED),
        ]
    )


def _commented(sections: Iterable[tuple[str, type[msgspec.Struct]]]) -> Iterator[str]:
    for name, kind in sections:
        yield "\n".join(f"# {line}" for line in _section(name, kind)) + "\n"


def schema_text() -> str:
    """Give the configuration's JSON Schema, for editors."""
    schema = _SCHEMA | msgspec.json.schema(Configuration)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _section(name: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    docs = dict(_field_docs(kind))
    yield f"[{name}]"
    for field in cast("msgspec.inspect.StructType", msgspec.inspect.type_info(kind)).fields:
        if _is_section(field.type):
            continue
        meaning = docs.get(field.name, "")
        words = " ".join(filter(None, (meaning, limits(field.type), _choices(field.type, meaning))))
        yield from (f"# {line}" for line in textwrap.wrap(words, _WIDTH))
        if field.default_factory is dict:
            yield f"{field.name} = {{}}"
        elif field.default is msgspec.NODEFAULT:
            yield f"{field.name} = {example_of(field.type)}"
        else:
            example = f"# {field.name} = {example_of(field.type)}"
            yield example if field.default is None else f"{field.name} = {_toml(field.default)}"


def _is_section(kind: msgspec.inspect.Type) -> bool:
    """Whether a field is a section of its own, be it that it may be left out."""
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return any(isinstance(each, msgspec.inspect.StructType) for each in kinds)


def _choices(kind: msgspec.inspect.Type, meaning: str) -> str:
    """Say what may be chosen, unless the key's meaning says it."""
    match kind:
        case msgspec.inspect.EnumType() | msgspec.inspect.LiteralType():
            names = choices_of(kind)
        case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.LiteralType() as item):
            names = choices_of(item)
        case msgspec.inspect.Metadata():
            names = listed_choices(kind)
        case _:
            return ""
    return "" if all(f"`{name}`" in meaning for name in names) else f"Known: {', '.join(names)}."


def _field_docs(kind: type) -> Iterator[tuple[str, str]]:
    """Give each field with the docstring that stands below it, those of the structs it is made from first."""
    for base in kind.__bases__:
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            yield from _field_docs(base)
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
            return json.dumps(str(value), ensure_ascii=False)
