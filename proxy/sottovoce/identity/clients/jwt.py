"""JSON Web Tokens (RFC 7519) as bearer tokens: an issuer of the operator's choice says who a client is.

What is trusted is a local JSON Web Key Set, and nothing that a token says of its own key: `jwk`, `jku`, `x5c` and `x5u`
in its header are never looked at, `crit` is refused whatever it lists.  The algorithm follows from the key, Ed25519 or
ES256, and the header has to agree; so neither `none` nor a MAC under a public key can come up (RFC 8725 §3.1).

Claims: `sub` is the client's name, `aud` must hold the authority that is called, `exp` is demanded; `nbf`, `iat` and
`iss` are heeded; `routes`, a list, is ours and narrows where the client may call.  The signature is verified by
joserfc; claims that are read before that only serve to refuse early.
"""

import base64
import hashlib
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

if TYPE_CHECKING:
    from joserfc._rfc7515.model import JWSAlgModel  # joserfc.jws has it, and does not export it

from sottovoce.identity.clients.grants import Grant, as_audience, as_routes, is_name, is_place
from sottovoce.identity.errors import ClientsUnusable
from sottovoce.primitives import PublicKey, SignatureAlgorithm
from sottovoce.session import Identity
from sottovoce.wire import CredentialKind

MAX_TOKEN_BYTES = 8192
MAX_KEYS = 64
MAX_TRIALS = 4
"""How many keys are tried for a token that names none."""
CLOCK_TOLERANCE_SECONDS = 60
"""By how much `nbf` and `iat` may lie ahead: the issuer's clock is another.  `exp` has none."""
KEY = "jwks_file"
"""The field of `[clients]` that names the key set."""
_ALGORITHMS = {("OKP", "Ed25519"): ("Ed25519", "EdDSA"), ("EC", "P-256"): ("ES256",)}
_ID_DIGITS = 12
_MAX_ID = 124
"""With `jwt:` before it, as long as a name in `withdrawn` may be."""
_SEGMENTS = 3

_Part = TypeVar("_Part")


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    crit: object = msgspec.UNSET


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    """Whole numbers too; one that no double can hold is refused with the token."""
    nbf: float | None = None
    iat: float | None = None
    iss: str | None = None
    jti: str | None = None
    routes: tuple[str, ...] | None = None


class _KeyFields(msgspec.Struct, frozen=True):
    """What of a JSON Web Key decides whether it is one for us; all other members are joserfc's to read."""

    kty: str
    crv: str = ""
    kid: str = ""
    use: str = "sig"
    alg: str | None = None
    x: str = ""
    y: str = ""
    d: object = None
    k: object = None


class _KeySet(msgspec.Struct, frozen=True):
    keys: tuple[_KeyFields, ...]


class _Key(msgspec.Struct, frozen=True):
    kid: str
    key: OKPKey | ECKey
    algorithms: tuple[str, ...]
    key_id: str


class _Registry(jws.JWSRegistry):
    """Gives the algorithm that the caller asked for.  joserfc's own warns of the name EdDSA at each use."""

    max_header_length = 4096

    def get_alg(self, name: str) -> "JWSAlgModel":
        if name not in (self.allowed or ()):
            raise JoseError("an algorithm that does not go with the key")
        return self.algorithms[name]


class JwtIssuer:
    """A key set and, if it is to be checked, the issuer's name.  Never changed: a new file makes a new one."""

    def __init__(self, keys: tuple[_Key, ...], issuer: str) -> None:
        """Made by `parse`."""
        self._keys = keys
        self._issuer = issuer

    @classmethod
    def parse(cls, data: bytes, issuer: str) -> Self:
        """Read a JSON Web Key Set (RFC 7517 §5).  Raises ClientsUnusable; keys that are not for us are passed over."""
        try:
            fields = msgspec.json.decode(data, type=_KeySet).keys
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = f'it is no JSON Web Key Set ({error}): write it as {{"keys": [...]}}'
            raise ClientsUnusable(KEY, text) from None
        if len(fields) > MAX_KEYS:
            raise ClientsUnusable(KEY, f"it has {len(fields)} keys: write at most {MAX_KEYS}")
        keys = tuple(key for number, each in enumerate(fields) if (key := _read_key(each, f"keys[{number}]")))
        if not keys:
            raise ClientsUnusable(KEY, "it has no key for Ed25519 or ES256: write one, others are not taken")
        kids = [key.kid for key in keys if key.kid]
        if len(set(kids)) != len(kids):
            raise ClientsUnusable(KEY, "two of its keys have the same kid: write each once")
        return cls(keys, issuer)

    def __len__(self) -> int:
        return len(self._keys)

    def may_be_good_untrusted(self, token: bytes, authority: bytes, now: float) -> bool:
        """Whether a look at its signature is worth the while: it is well formed, ours, meant for here, in its time."""
        header, claims = _read(token)
        if header is None or claims is None:
            return False
        grant = self._grant(claims, token, "")
        return bool(self._candidates(header)) and grant is not None and not self._is_refused(claims, authority, now)

    def judge_untrusted(self, token: bytes, authority: bytes, now: float) -> Grant | None:
        """Verify a token; give what it grants, or None.  Slow."""
        header, _ = _read(token)
        for key in self._candidates(header) if header is not None else ():
            payload = _verified(token, key)
            if payload is None:
                continue
            claims = _decoded(payload, _Claims)
            if claims is None or self._is_refused(claims, authority, now):
                return None
            return self._grant(claims, token, key.key_id)
        return None

    def still_vouches(self, jwt_id: str) -> bool:
        """Whether the key that a good token was signed with is still in the set, and its issuer the one we go by."""
        key_id, _, issuer_id = jwt_id.rpartition("@")[2].partition(".")
        is_ours = not self._issuer or issuer_id == _short_digest(self._issuer.encode())
        return is_ours and key_id in {key.key_id for key in self._keys}

    def _candidates(self, header: _Header) -> tuple[_Key, ...]:
        fitting = tuple(key for key in self._keys if header.alg in key.algorithms)
        if header.kid is not None:
            return tuple(key for key in fitting if key.kid == header.kid)
        return fitting if len(fitting) <= MAX_TRIALS else ()

    def _is_refused(self, claims: _Claims, authority: bytes, now: float) -> bool:
        audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
        return (
            now >= claims.exp
            or any(at is not None and at > now + CLOCK_TOLERANCE_SECONDS for at in (claims.nbf, claims.iat))
            or (bool(self._issuer) and claims.iss != self._issuer)
            or authority not in as_audience(audience)
        )

    def _grant(self, claims: _Claims, token: bytes, key_id: str) -> Grant | None:
        if not is_name(claims.sub) or not all(is_place(route) for route in claims.routes or ()):
            return None
        jti = claims.jti or ""
        short = len(jti) <= _MAX_ID and jti.isascii() and is_name(jti)
        # Of what is signed only: its bearer can turn one ECDSA signature into another that is as good.
        name = jti if short else _short_digest(token.rpartition(b".")[0])
        signer = key_id if claims.iss is None else f"{key_id}.{_short_digest(claims.iss.encode())}"
        identity = Identity(claims.sub, claims.exp, CredentialKind.BEARER_TOKEN, f"jwt:{name}@{signer}")
        return Grant(identity, None, as_routes(claims.routes))


def looks_like_jwt(token: bytes) -> bool:
    """Whether a bearer token has the form of one: three parts of base64url."""
    return len(token) <= MAX_TOKEN_BYTES and token.count(b".") == _SEGMENTS - 1 and token.startswith(b"ey")


def _read(token: bytes) -> tuple[_Header | None, _Claims | None]:
    if not looks_like_jwt(token):
        return None, None
    header, claims, _ = (_bytes_of(part) for part in token.split(b"."))
    found = _decoded(header, _Header)
    return (None if found is None or found.crit is not msgspec.UNSET else found), _decoded(claims, _Claims)


def _bytes_of(part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _decoded(data: bytes, kind: type[_Part]) -> _Part | None:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _verified(token: bytes, key: _Key) -> bytes | None:
    registry = _Registry(algorithms=key.algorithms, strict_check_header=False)
    try:
        return jws.deserialize_compact(token, key.key, registry=registry).payload
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _read_key(fields: _KeyFields, where: str) -> _Key | None:
    """Give a key that is for us; None for one that is not.  Raises ClientsUnusable."""
    if fields.d is not None or fields.k is not None:
        raise ClientsUnusable(KEY, f"{where} is a secret key: write public ones only, and make this one anew")
    algorithms = _ALGORITHMS.get((fields.kty, fields.crv), ())
    if not algorithms or fields.use != "sig" or fields.alg not in (None, *algorithms):
        return None
    try:
        key = _imported(fields)
    except (JoseError, ValueError, TypeError, KeyError):
        key = None
    if key is None:
        raise ClientsUnusable(KEY, f"{where} is no {fields.crv} key: write it as its issuer publishes it")
    return _Key(fields.kid, key, algorithms, _short_digest(key.thumbprint().encode()))


def _short_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_ID_DIGITS]


def _imported(fields: _KeyFields) -> OKPKey | ECKey | None:
    if fields.kty == "EC":
        return ECKey.import_key({"kty": "EC", "crv": fields.crv, "x": fields.x, "y": fields.y})
    if not PublicKey(SignatureAlgorithm.ED25519, _bytes_of(fields.x.encode())).is_valid():
        return None
    return OKPKey.import_key({"kty": "OKP", "crv": fields.crv, "x": fields.x})
