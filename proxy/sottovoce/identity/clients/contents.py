"""What the files of `[clients]` say at one moment, read and checked as a whole."""

import bisect
import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from sottovoce.audit import AuditEvent, ClientAdded, ClientRevoked
from sottovoce.identity.clients.config import ClientsConfig
from sottovoce.identity.clients.file import ClientsFile, parse_clients
from sottovoce.identity.clients.grants import Grant
from sottovoce.identity.clients.jwt import JwtIssuer
from sottovoce.identity.errors import ClientsUnusable
from sottovoce.pki import ClientCas, ClientCaUnusable, RevocationListUnusable
from sottovoce.primitives import Entropy, one_line

MAX_FILE_BYTES = 64 * 1024 * 1024
_KEY_BYTES = 32
_NOUNS = {
    "file": "the clients file",
    "jwks_file": "the key set",
    "ca_file": "the file of CAs",
    "crl_file": "the file of revocation lists",
}

_Part = TypeVar("_Part")


class ClientsSources(msgspec.Struct, frozen=True, kw_only=True):
    """What the files held that the contents are made of: for another process, which is to have the same."""

    file: bytes | None = None
    jwks: bytes | None = None
    cas: bytes | None = None
    lists: bytes | None = None
    read_at: float = 0.0
    """When the CAs and their lists were read (Unix seconds): since then one may have run out."""
    require_credential: bool = False
    jwt_issuer: str = ""


class ClientsContents:
    """Who may call.  Never changed; made by `read_contents`.

    Digests of tokens are looked up under a key made for this object, so that the time a look-up takes tells nothing
    about them.
    """

    def __init__(
        self, file: ClientsFile, jwts: JwtIssuer | None, cas: ClientCas | None, *, sources: ClientsSources, key: bytes
    ) -> None:
        self.sources = sources
        grants = [(entry, entry.grant) for entry in file.client]
        self.file = file
        self._key = key
        self._ends = sorted(grant.identity.expires_at for _, grant in grants if grant.identity.expires_at is not None)
        self._tokens = {
            self._blinded(digest): (digest, grant)
            for entry, grant in grants
            if entry.token_sha256 is not None and (digest := bytes.fromhex(entry.token_sha256))
        }
        self._keys = {entry.key: grant for entry, grant in grants if entry.public_key is not None}
        self._grants = {grant.identity.credential: grant for _, grant in grants}
        self.jwts = jwts
        self.cas = cas
        self.withdrawn = frozenset(map(_as_compared, file.withdrawn))
        self.require_credential = sources.require_credential

    @property
    def tokens(self) -> int:
        """How many tokens are known."""
        return len(self._tokens)

    @property
    def keys(self) -> int:
        """How many clients' keys are known."""
        return len(self._keys)

    def token_grant(self, token: bytes) -> Grant | None:
        """Give what a bearer token of the file grants."""
        digest = hashlib.sha256(token).digest()
        known, grant = self._tokens.get(self._blinded(digest), (b"", None))
        return grant if grant is not None and hmac.compare_digest(known, digest) else None

    def key_grant(self, key: bytes) -> Grant | None:
        """Give what a client's public key grants, by its byte form with its algorithm."""
        return self._keys.get(key)

    def grant_of(self, credential: str) -> Grant | None:
        """Give what a token or key of the file grants, by its name."""
        return self._grants.get(credential)

    def ends_between(self, after: float, until: float) -> bool:
        """Whether an entry of the file comes to its end after the one moment and until the other (Unix seconds)."""
        place = bisect.bisect_right(self._ends, after)
        return place < len(self._ends) and self._ends[place] <= until

    def changes_since(self, before: "ClientsContents") -> tuple[AuditEvent, ...]:
        """Say for the audit log who was added to the file and who was taken out or withdrawn."""
        old, new = before.grants_by_name(), self.grants_by_name()
        added = [ClientAdded(name=name, credential=credential) for name, credential in sorted(new - old)]
        gone = [(name, credential) for name, credential in sorted(old - new)]
        gone += [(name, "") for name in sorted(self.withdrawn - before.withdrawn)]
        return (*added, *(ClientRevoked(name=name, credential=credential) for name, credential in gone))

    def grants_by_name(self) -> set[tuple[str, str]]:
        """Give each client of the file with its credential's name."""
        return {(grant.identity.name, credential) for credential, grant in self._grants.items()}

    def _blinded(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest, "sha256")


def _as_compared(withdrawn: str) -> str:
    """Give a certificate's serial number as we write it, where it stands as other tools do; anything else as it is."""
    prefix, _, serial = withdrawn.partition(":")
    if prefix != "certificate":
        return withdrawn
    return f"{prefix}:{serial.replace(':', '').lower().removeprefix('0x').lstrip('0')}"


def read_contents(config: ClientsConfig, wall: Callable[[], float], entropy: Entropy) -> ClientsContents:
    """Read all files that the configuration names; slow with many clients, and fit for a thread.

    Raises ClientsUnusable, one line that names file, entry and remedy.
    """
    file, jwts, cas = _read_file(config), _read_jwts(config), _read_cas(config, wall())
    return _contents(config, entropy, file, jwts, cas)


def reread_contents(
    config: ClientsConfig, wall: Callable[[], float], entropy: Entropy, before: ClientsContents
) -> tuple[ClientsContents, tuple[ClientsUnusable, ...]]:
    """Read the files again; what cannot be used stays as it was `before`, by the same configuration, and is told.

    Each by itself: a list that has run out must not keep a token from being revoked.
    """
    problems: list[ClientsUnusable] = []

    def part(read: Callable[[], _Part], kept: _Part) -> _Part:
        try:
            return read()
        except ClientsUnusable as error:
            problems.append(error)
            return kept

    known = before.sources
    file = part(partial(_read_file, config), _File(before.file, known.file))
    jwts = part(partial(_read_jwts, config), _Jwts(before.jwts, known.jwks))
    cas = part(partial(_read_cas, config, wall()), _Cas(before.cas, known.cas, known.lists, known.read_at))
    return _contents(config, entropy, file, jwts, cas), tuple(problems)


def contents_of(sources: ClientsSources, entropy: Entropy) -> ClientsContents:
    """Make the contents that another process has read; slow with many clients, and fit for a thread."""
    file = ClientsFile() if sources.file is None else parse_clients(_text(sources.file))
    jwts = None if sources.jwks is None else JwtIssuer.parse(sources.jwks, sources.jwt_issuer)
    cas = None if sources.cas is None else ClientCas.read(sources.cas, sources.lists, sources.read_at)
    return ClientsContents(file, jwts, cas, sources=sources, key=entropy.random(_KEY_BYTES))


class _File(NamedTuple):
    parsed: ClientsFile
    data: bytes | None


class _Jwts(NamedTuple):
    parsed: JwtIssuer | None
    data: bytes | None


class _Cas(NamedTuple):
    parsed: ClientCas | None
    data: bytes | None
    lists: bytes | None
    read_at: float


def _contents(config: ClientsConfig, entropy: Entropy, file: _File, jwts: _Jwts, cas: _Cas) -> ClientsContents:
    sources = ClientsSources(
        file=file.data,
        jwks=jwts.data,
        cas=cas.data,
        lists=cas.lists,
        read_at=cas.read_at,
        require_credential=config.require_credential,
        jwt_issuer=config.jwt_issuer,
    )
    return ClientsContents(file.parsed, jwts.parsed, cas.parsed, sources=sources, key=entropy.random(_KEY_BYTES))


def _read_file(config: ClientsConfig) -> _File:
    if not config.file:
        return _File(ClientsFile(), None)
    data = _bytes("file", config.file)
    try:
        return _File(parse_clients(_text(data)), data)
    except ClientsUnusable as error:
        raise _named("file", config.file, error) from None


def _read_jwts(config: ClientsConfig) -> _Jwts:
    if not config.jwks_file:
        return _Jwts(None, None)
    data = _bytes("jwks_file", config.jwks_file)
    try:
        return _Jwts(JwtIssuer.parse(data, config.jwt_issuer), data)
    except ClientsUnusable as error:
        raise _named("jwks_file", config.jwks_file, error) from None


def _read_cas(config: ClientsConfig, now: float) -> _Cas:
    if not config.ca_file:
        return _Cas(None, None, None, 0.0)
    cas = _bytes("ca_file", config.ca_file)
    lists = _bytes("crl_file", config.crl_file) if config.crl_file else None
    try:
        return _Cas(ClientCas.read(cas, lists, now), cas, lists, now)
    except ClientCaUnusable as error:
        raise _named("ca_file", config.ca_file, error) from None
    except RevocationListUnusable as error:
        raise _named("crl_file", config.crl_file, error) from None


def _bytes(key: str, path: str) -> bytes:
    what = f"{_NOUNS[key]} {path}"
    try:
        with open(path, "rb", opener=_opened) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ClientsUnusable(key, f"{what} is no file: check clients.{key}")
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ClientsUnusable(key, f"{what} cannot be read ({error.strerror}): check clients.{key}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ClientsUnusable(key, f"{what} has more than {MAX_FILE_BYTES} bytes: check clients.{key}")
    return data


def _opened(path: str, flags: int) -> int:
    """Open without waiting: a pipe in a file's place holds nobody up."""
    return os.open(path, flags | os.O_NONBLOCK)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ClientsUnusable("file", "it is not UTF-8 text: write it as TOML") from None


def _named(key: str, path: str, error: Exception) -> ClientsUnusable:
    return ClientsUnusable(key, f"{_NOUNS[key]} {path}: {one_line(str(error), max_characters=1_000)}")
