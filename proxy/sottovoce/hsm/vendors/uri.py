"""PKCS#11 URIs (RFC 7512): read, written, and held against a token.  Pure.

Read as strictly as the standard's grammar: what does not fit it is refused, never guessed.  `pin-value` is refused
although the standard has it: a URI stands in files, logs and command lines, where no PIN may be.  A refusal names the
attribute and never its value, for somebody may have put a PIN there under a wrong name.
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from sottovoce.hsm.vendors.errors import UriInvalid

_SCHEME: Final = "pkcs11"
_FREE: Final = ":[]@!$'()*+,="
_FREE_IN_PATH: Final = _FREE + "&"
_FREE_IN_QUERY: Final = _FREE + "/?|"
_MAX_SLOT_ID: Final = 2**64 - 1
_MAX_VERSION: Final = 255
_MAX_NAME_SHOWN: Final = 32
_is_name = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_is_number = re.compile(r"[0-9]{1,20}").fullmatch
_version_of = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?").fullmatch


def _of_these(free: str) -> re.Pattern[str]:
    return re.compile(f"(?:[A-Za-z0-9._~{re.escape(free)}-]|%[0-9A-Fa-f]{{2}})*")


_fits_path = _of_these(_FREE_IN_PATH).fullmatch
_fits_query = _of_these(_FREE_IN_QUERY).fullmatch


class ObjectType(StrEnum):
    """What `type` may say that an object is."""

    PUBLIC = "public"
    PRIVATE = "private"
    CERT = "cert"
    SECRET_KEY = "secret-key"  # noqa: S105  a name
    DATA = "data"


class Pkcs11Uri(msgspec.Struct, frozen=True, kw_only=True):
    """What a URI says.  None: it says nothing of that."""

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    library_manufacturer: str | None = None
    library_description: str | None = None
    library_version: tuple[int, int] | None = None
    slot_manufacturer: str | None = None
    slot_description: str | None = None
    slot_id: int | None = None
    object: str | None = None
    type: ObjectType | None = None
    id: bytes | None = None
    module_name: str | None = None
    module_path: str | None = None
    pin_source: str | None = None
    other_path: tuple[tuple[str, str], ...] = ()
    """Attributes of the path that the standard does not have, by name; each name once."""
    other_query: tuple[tuple[str, str], ...] = ()
    """Attributes of the query that it does not have; a name may be there several times."""


class TokenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a library says of a token, of its slot and of itself, without the blanks at the ends."""

    label: str
    manufacturer: str
    serial: str
    model: str
    slot_id: int
    slot_description: str = ""
    slot_manufacturer: str = ""
    library_manufacturer: str = ""
    library_description: str = ""
    library_version: tuple[int, int] = (0, 0)


_PATH_TEXTS: Final = (
    "token",
    "manufacturer",
    "serial",
    "model",
    "library-manufacturer",
    "library-description",
    "slot-manufacturer",
    "slot-description",
    "object",
)
_QUERY_TEXTS: Final = ("pin-source", "module-name", "module-path")
_FACTS: Final = {
    "token": "label",
    "manufacturer": "manufacturer",
    "serial": "serial",
    "model": "model",
    "slot_id": "slot_id",
    "slot_description": "slot_description",
    "slot_manufacturer": "slot_manufacturer",
    "library_manufacturer": "library_manufacturer",
    "library_description": "library_description",
    "library_version": "library_version",
}
"""Which field of a URI speaks of which fact."""


def parse_uri(text: str) -> Pkcs11Uri:
    """Read a URI.  Raises UriInvalid."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != _SCHEME:
        raise UriInvalid("is no PKCS#11 URI; write pkcs11:token=LABEL")
    path, _, query = rest.partition("?")
    fields: dict[str, object] = {}
    others: list[tuple[str, str]] = []
    for name, raw in _attributes(path, ";", _fits_path):
        value = _path_value(name, raw)
        if value is None:
            others.append((name, _text(name, raw)))
        _set_once(fields, name, value)
    more: list[tuple[str, str]] = []
    for name, raw in _attributes(query, "&", _fits_query):
        if name == "pin-value":
            raise UriInvalid("pin-value would show the PIN to whoever reads the URI; write pin-source=file:PATH")
        if name in _QUERY_TEXTS:
            _set_once(fields, name, _text(name, raw))
        else:
            more.append((name, _text(name, raw)))
    known = {name.replace("-", "_"): value for name, value in fields.items() if value is not None}
    return msgspec.convert({**known, "other_path": tuple(others), "other_query": tuple(more)}, Pkcs11Uri)


def uri_text(uri: Pkcs11Uri) -> str:
    """Write a URI, always in the same order.  Raises UriInvalid when a text in it is no Unicode."""
    path = [*_written(uri, _PATH_TEXTS, _FREE_IN_PATH)]
    if uri.library_version is not None:
        path.append("library-version={}.{}".format(*uri.library_version))
    if uri.slot_id is not None:
        path.append(f"slot-id={uri.slot_id}")
    if uri.type is not None:
        path.append(f"type={uri.type}")
    if uri.id is not None:  # RFC 7512 §2.3: all of it percent-encoded, for it is binary
        path.append("id=" + "".join(f"%{byte:02X}" for byte in uri.id))
    path += [f"{name}={_quoted(value, _FREE_IN_PATH)}" for name, value in uri.other_path]
    query = [*_written(uri, _QUERY_TEXTS, _FREE_IN_QUERY)]
    query += [f"{name}={_quoted(value, _FREE_IN_QUERY)}" for name, value in uri.other_query]
    return f"{_SCHEME}:{';'.join(path)}" + (f"?{'&'.join(query)}" if query else "")


def selects(uri: Pkcs11Uri, token: TokenFacts) -> bool:
    """Tell whether a URI means this token: whatever it says of a token, slot or library is so.

    An attribute that nobody here knows selects nothing: what it demands cannot be looked at.
    """
    said = ((getattr(uri, field), fact) for field, fact in _FACTS.items())
    return not uri.other_path and all(value is None or value == getattr(token, fact) for value, fact in said)


def parse_token_uri(text: str) -> Pkcs11Uri:
    """Read a URI that names a token, as a configuration may have it.  Raises UriInvalid."""
    uri = parse_uri(text)
    if not uri.token:
        raise UriInvalid("names no token; add token=LABEL")
    if uri.object is not None or uri.type is not None or uri.id is not None:
        raise UriInvalid("names an object in a token; remove object, type and id")
    if unknown := [name for name, _ in (*uri.other_path, *uri.other_query)]:
        raise UriInvalid(f"has {_shown(unknown[0])}, which nobody here knows; remove it")
    if uri.module_name is not None:
        raise UriInvalid("has module-name, which each system looks up elsewhere; write module-path=PATH")
    return uri


def _attributes(component: str, between: str, fits: Callable[[str], object]) -> Iterator[tuple[str, str]]:
    """Give the names and raw values of a component."""
    for part in component.split(between) if component else ():
        name, equals, value = part.partition("=")
        if not equals or not _is_name(name):
            raise UriInvalid(f"is no row of NAME=VALUE; write them with {between} between two, and nothing else")
        if not fits(value):
            raise UriInvalid(f"{_shown(name)} has a character that is not allowed; write it as % and two hex digits")
        yield name, value


def _path_value(name: str, raw: str) -> object:
    """Give the value of a known attribute of the path, None for any other."""
    match name:
        case "library-version":
            found = _version_of(raw)
            version = (int(found[1]), int(found[2] or 0)) if found else (_MAX_VERSION + 1, 0)
            if max(version) > _MAX_VERSION:
                raise UriInvalid("library-version is none; write it like 2.40")
            return version
        case "slot-id":
            if not _is_number(raw) or int(raw) > _MAX_SLOT_ID:
                raise UriInvalid("slot-id is no number of a slot; write digits")
            return int(raw)
        case "type":
            if raw not in set(ObjectType):
                raise UriInvalid(f"type is none; write one of {', '.join(ObjectType)}")
            return ObjectType(raw)
        case "id":
            return unquote_to_bytes(raw)
        case _:
            return _text(name, raw) if name in _PATH_TEXTS else None


def _set_once(fields: dict[str, object], name: str, value: object) -> None:
    if name in fields:
        raise UriInvalid(f"{_shown(name)} is there twice; remove one")
    fields[name] = value


def _text(name: str, raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise UriInvalid(f"{_shown(name)} is no text in UTF-8; write it so") from None


def _written(uri: Pkcs11Uri, names: tuple[str, ...], free: str) -> Iterator[str]:
    for name in names:
        value = getattr(uri, name.replace("-", "_"))
        if value is not None:
            yield f"{name}={_quoted(value, free)}"


def _quoted(value: str, free: str) -> str:
    try:
        return quote_from_bytes(value.encode(), safe=free)
    except UnicodeEncodeError:
        raise UriInvalid("a text in it is no Unicode; write it anew") from None


def _shown(name: str) -> str:
    return name if len(name) <= _MAX_NAME_SHOWN else f"{name[:_MAX_NAME_SHOWN]}..."
