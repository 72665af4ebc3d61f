"""Client tokens (protocol §4, kind 1), as a file of digests: whoever reads the file learns no token.

    [[token]]
    name = "kiosk-7"                                # becomes the identity of its calls
    sha256 = "…"                                    # of the token, 64 hexadecimal digits
    audience = ["voice.example.com"]                # hosts, with the port where clients send one
    routes = ["support"]                            # optional; all routes without it
    expires = 2027-01-31                            # optional; from the start of that day (UTC) on it is refused

A token should have 128 bits of chance: its digest could be guessed back otherwise.  Digests are looked up under a key
made for this process, so that the time a look-up takes tells nothing about them.
"""

import datetime as dt
import hashlib
import hmac
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Self

import msgspec

from sottovoce.identity.errors import TokenFileInvalid
from sottovoce.primitives import Entropy
from sottovoce.session import Identity, ShownCredential
from sottovoce.wire import Code, CredentialKind

_PATH = b"/v1/voice/"
_KEY_BYTES = 32
_NOBODY = Identity("")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: _Name
    sha256: _Digest
    audience: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1)]
    routes: tuple[_Name, ...] | None = None
    expires: object = None
    """A TOML date or date with time; msgspec takes no union of the two."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: tuple[_Entry, ...] = ()


class _Grant(msgspec.Struct, frozen=True):
    """What one token gives; audience and routes are compared as bytes."""

    digest: bytes
    audience: frozenset[bytes]
    routes: frozenset[bytes] | None
    identity: Identity


class TokenFile:
    """Judges credentials of kinds 0 and 1.  A session.CredentialCheck."""

    def __init__(
        self, grants: Iterable[_Grant], *, require_credential: bool, wall: Callable[[], float], entropy: Entropy
    ) -> None:
        """Made by `read`, or by `without_tokens`."""
        self._key = entropy.random(_KEY_BYTES)
        self._grants = {self._blinded(grant.digest): grant for grant in grants}
        self._require_credential = require_credential
        self._wall = wall

    @classmethod
    def read(cls, path: Path, *, require_credential: bool, wall: Callable[[], float], entropy: Entropy) -> Self:
        """Read a file of tokens.  Raises TokenFileInvalid, which names the entry and the remedy."""
        try:
            grants = _parse(path.read_text())
        except OSError as error:
            text = f"the token file {path} cannot be read ({error.strerror}): check identity.tokens_file"
        except (TokenFileInvalid, tomllib.TOMLDecodeError) as error:
            text = f"the token file {path}: {error}"
        except UnicodeDecodeError:
            text = f"the token file {path} is not UTF-8 text: write it as TOML"
        else:
            return cls(grants, require_credential=require_credential, wall=wall, entropy=entropy)
        raise TokenFileInvalid(text)

    @classmethod
    def without_tokens(cls, *, wall: Callable[[], float], entropy: Entropy) -> Self:
        """Let every client in, without a name: what `development` does."""
        return cls((), require_credential=False, wall=wall, entropy=entropy)

    @property
    def kinds(self) -> tuple[int, ...]:
        """The kinds of credential that may be offered, for ServerParams."""
        kinds = () if self._require_credential else (CredentialKind.NONE,)
        return (*kinds, CredentialKind.BEARER_TOKEN) if self._grants or self._require_credential else kinds

    def __len__(self) -> int:
        return len(self._grants)

    def check(self, shown: ShownCredential) -> Identity | Code:
        """Give the identity, or the code to end with: policy for a good token on a route that is not its own."""
        kind, value, authority, path = shown.kind, shown.value, shown.authority, shown.path
        if kind == CredentialKind.NONE:
            return Code.AUTH_FAILED if self._require_credential else _NOBODY
        if kind != CredentialKind.BEARER_TOKEN:
            return Code.AUTH_FAILED
        digest = hashlib.sha256(value).digest()
        grant = self._grants.get(self._blinded(digest))
        if grant is None or not hmac.compare_digest(grant.digest, digest) or authority.lower() not in grant.audience:
            return Code.AUTH_FAILED
        expires = grant.identity.expires_at
        if expires is not None and self._wall() >= expires:
            return Code.AUTH_FAILED
        if grant.routes is not None and _route(path) not in grant.routes:
            return Code.POLICY
        return grant.identity

    def judge(self, shown: ShownCredential) -> Identity | Code:
        """Nothing is put off."""
        return self.check(shown)

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        """Whether it has not expired."""
        del authority, path
        return identity.expires_at is None or self._wall() < identity.expires_at

    def _blinded(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest, "sha256")


def _route(path: bytes) -> bytes:
    return path.partition(b"?")[0].removeprefix(_PATH) if path.startswith(_PATH) else b""


def _parse(text: str) -> list[_Grant]:
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).token
    except msgspec.ValidationError as error:
        raise TokenFileInvalid(_where(str(error))) from None
    seen: set[str] = set()
    grants: list[_Grant] = []
    for number, entry in enumerate(entries):
        if entry.sha256 in seen:
            text = f"token[{number}].sha256 ({entry.name}) is there twice: give each client a token of its own"
            raise TokenFileInvalid(text)
        seen.add(entry.sha256)
        grants.append(_grant(entry, f"token[{number}]"))
    return grants


def _grant(entry: _Entry, where: str) -> _Grant:
    for name in (*entry.audience, *(entry.routes or ())):
        if not name.isascii() or any(char.isspace() or char in "/?#" for char in name):
            text = f"{where} ({entry.name}): {name!r} is no host or route: write them bare, like voice.example.com:8443"
            raise TokenFileInvalid(text)
    return _Grant(
        digest=bytes.fromhex(entry.sha256),
        audience=frozenset(name.lower().encode() for name in entry.audience),
        routes=None if entry.routes is None else frozenset(name.encode() for name in entry.routes),
        identity=Identity(entry.name, _seconds(entry, where)),
    )


def _seconds(entry: _Entry, where: str) -> float | None:
    match entry.expires:
        case None:
            return None
        case dt.datetime() as moment if moment.tzinfo is None:
            text = f"{where}.expires ({entry.name}) has no time zone: write it with Z, like {moment.isoformat()}Z"
            raise TokenFileInvalid(text)
        case dt.datetime() as moment:
            return moment.timestamp()
        case dt.date() as day:
            return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()
        case other:
            text = f"{where}.expires ({entry.name}) is {other!r}: write a bare date, like expires = 2027-01-31"
            raise TokenFileInvalid(text)


def _where(text: str) -> str:
    """Turn the library's text with its `$.token[0].sha256` into a line: the place, what is wrong, the remedy."""
    reason, separator, place = text.partition(" - at `$.")
    if not separator:
        return f"{text}: each entry is a [[token]] with name, sha256, audience and, if wanted, routes and expires"
    return f"{place.rstrip('`')}: {reason}; sha256 is 64 lower-case hexadecimal digits, audience a list of hosts"
