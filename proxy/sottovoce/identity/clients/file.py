"""The clients file: digests of tokens, public keys, and who is withdrawn.  Pure.

    withdrawn = ["kiosk-3"]                      # names (of JWTs and certificates too), or credentials as `list` shows

    [[client]]
    name = "kiosk-7"                             # becomes the identity of its calls
    token_sha256 = "…"                           # of a token with 256 bits of chance, 64 hexadecimal digits; or:
    # public_key = "ed25519:…"                   # as `sottovoce clients keygen` prints it
    audience = ["voice.example.com"]             # hosts, with the port where clients send one; a key may do without
    routes = ["support"]                         # optional; all routes without it
    expires = 2027-01-31                         # optional; from the start of that day (UTC) on it is refused
    added = 2026-11-25                           # optional, for people

Whoever reads the file learns no token.  `withdrawn` is written above the first [[client]], as TOML has it.
"""

import datetime as dt
import hashlib
import tomllib
from collections.abc import Iterable
from typing import Annotated

import msgspec

from sottovoce.identity.clients.grants import Grant, as_audience, as_routes, is_name, is_place
from sottovoce.identity.errors import ClientsUnusable
from sottovoce.pki import ClientKeyUnusable, parse_public_key
from sottovoce.primitives import one_line
from sottovoce.session import Identity
from sottovoce.wire import CredentialKind

KEY = "file"
"""The field of `[clients]` that names it."""
_ID_DIGITS = 12
_EACH = "each entry is a [[client]] with name, audience, and token_sha256 or public_key"
_SHOWN = 80
"""Characters of what somebody wrote that an error repeats."""

_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
_Places = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class ClientEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One client as it stands in the file."""

    name: str
    token_sha256: _Digest | None = None
    public_key: str | None = None
    audience: _Places | None = None
    routes: _Places | None = None
    expires: object = None
    """A TOML date or date with time; msgspec takes no union of the two."""
    added: object = None

    @property
    def credential(self) -> str:
        """The name of its credential: `token:…` or `key:…`, and of either the beginning of a digest."""
        if self.token_sha256 is not None:
            return f"token:{self.token_sha256[:_ID_DIGITS]}"
        return f"key:{hashlib.sha256(self.key).hexdigest()[:_ID_DIGITS]}"

    @property
    def key(self) -> bytes:
        """The public key in the protocol's byte form, with its algorithm; empty where there is a token instead."""
        return parse_public_key(self.public_key).encoded if self.public_key is not None else b""

    @property
    def expires_at(self) -> float | None:
        """Unix seconds; None for never."""
        match self.expires:
            case dt.datetime() as moment:
                return moment.timestamp()
            case dt.date() as day:
                return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()
            case _:
                return None

    @property
    def grant(self) -> Grant:
        """What it gives."""
        kind = CredentialKind.BEARER_TOKEN if self.token_sha256 is not None else CredentialKind.SIGNING_KEY
        return Grant(
            Identity(self.name, self.expires_at, kind, self.credential),
            None if self.audience is None else as_audience(self.audience),
            as_routes(self.routes),
        )


class ClientsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    client: tuple[ClientEntry, ...] = ()
    withdrawn: tuple[str, ...] = ()


def parse_clients(text: str) -> ClientsFile:
    """Read the file's text.  Raises ClientsUnusable, whose text names the entry and the remedy."""
    try:
        found = msgspec.convert(tomllib.loads(text), ClientsFile)
    except msgspec.ValidationError as error:
        raise ClientsUnusable(KEY, _where(str(error))) from None
    except tomllib.TOMLDecodeError as error:
        raise ClientsUnusable(
            KEY, f"it is no TOML ({one_line(str(error))}): write each client as a [[client]]"
        ) from None
    except (RecursionError, ValueError):
        text = "it is nested too deep, or has a number of thousands of digits: write each client as a [[client]]"
        raise ClientsUnusable(KEY, text) from None
    for number, name in enumerate(found.withdrawn):
        if not is_name(name):
            raise ClientsUnusable(
                KEY, f"withdrawn[{number}] is {_shown(name)}: write a client's name as it stands in logs"
            )
    _check(found.client)
    return found


def _check(entries: Iterable[ClientEntry]) -> None:
    seen: dict[str, str] = {}
    for number, entry in enumerate(entries):
        where = f"client[{number}]"
        _check_entry(entry, where)
        proof = entry.credential  # by this name it is revoked, so the name has to be one alone's
        if proof in seen:
            field = "token_sha256" if entry.token_sha256 else "public_key"
            text = (
                f"{where}.{field} ({entry.name}) is that of {seen[proof]} too: write another, each client has its own"
            )
            raise ClientsUnusable(KEY, text)
        seen[proof] = f"{where} ({entry.name})"


def _check_entry(entry: ClientEntry, where: str) -> None:
    if not is_name(entry.name):
        text = f"{where}.name is {_shown(entry.name)}: write 1 to 128 printable characters, without spaces around them"
        raise ClientsUnusable(KEY, text)
    where = f"{where} ({entry.name})"
    if (entry.token_sha256 is None) is (entry.public_key is None):
        raise ClientsUnusable(KEY, f"{where} has both or none of token_sha256 and public_key: write one of the two")
    if entry.token_sha256 is not None and entry.audience is None:
        text = f'{where} has no audience, so any server could pass its token on: write audience = ["voice.example.com"]'
        raise ClientsUnusable(KEY, text)
    try:
        _ = entry.key
    except ClientKeyUnusable as error:
        text = f"{where}.public_key: {error}; write what sottovoce clients keygen printed"
        raise ClientsUnusable(KEY, text) from None
    for name in (*(entry.audience or ()), *(entry.routes or ())):
        if not is_place(name):
            text = f"{where}: {_shown(name)} is no host or route: write them bare, like voice.example.com:8443"
            raise ClientsUnusable(KEY, text)
    _check_date(entry.expires, f"{where}.expires")
    _check_date(entry.added, f"{where}.added")


def _check_date(value: object, where: str) -> None:
    match value:
        case dt.datetime() as moment if moment.tzinfo is None:
            text = f"{where} has no time zone: write it with Z, like {moment.isoformat()}Z"
            raise ClientsUnusable(KEY, text)
        case None | dt.date():  # a datetime is a date
            pass
        case _:
            raise ClientsUnusable(KEY, f"{where} is {_shown(value)}: write a bare date, like 2027-01-31")


def _shown(value: object) -> str:
    """Quote what somebody wrote, as far as a line has room for it."""
    return ascii(value)[:_SHOWN]


def _where(text: str) -> str:
    """Turn the library's text with its `$.client[0].name` into a line: the place, what is wrong, the remedy."""
    reason, separator, place = text.partition(" - at `$.")
    if not separator:
        return f"{one_line(text)}: write nothing else in it, {_EACH}"
    where, what = one_line(place.rstrip("`")), one_line(reason)
    return f"{where}: {what}: write it right, {_EACH}; a digest is 64 lower-case hexadecimal digits"
