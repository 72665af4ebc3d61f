"""`[routes.<name>.realtime]`, and what its files become: a header, and the session that a call asks for.  Pure."""

import re
from typing import Annotated, Final, Literal

import msgspec

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
"""RFC 9110 §5.6.2."""
_is_value = re.compile(r"[!-~](?:[ !-~]*[!-~])?").fullmatch
_SECRETS: Final = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})
_KEPT: Final = frozenset({"host", "connection", "upgrade", "content-length", "transfer-encoding"})
MAX_AUTHORIZATION_CHARACTERS: Final = 4_096
MAX_SESSION_BYTES: Final = 262_144

Dialect = Literal["ga", "beta"]


class RealtimeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>.realtime]`: how a server is asked, and for what."""

    dialect: Dialect = "ga"
    """`ga`: the names since August 2025; `beta`: those before, for servers that were written then."""
    rate: int = 24_000
    """Samples a second of the audio, both ways: 24000, the only one OpenAI has, or 16000."""
    g711: bool = False
    """Leave µ-law and A-law as they are, for servers that know them, as OpenAI's do: nothing is resampled then."""
    session_file: str | None = None
    """JSON object for `session` of session.update: instructions, voice, tools, …; the audio formats are put in here."""
    speaks_first: bool = False
    """Ask for a response as soon as the call begins, so that the model greets."""
    authorization_file: str | None = None
    """File with the secret that the server wants, alone on one line; sent over TLS or on this machine only."""
    authorization_header: Annotated[str, msgspec.Meta(max_length=100)] = "Authorization"
    """The header for the secret: with `Bearer` before it in Authorization, as it is in any other (`api-key`)."""
    headers: dict[str, str] = {}
    """Headers that go with the WebSocket's request, none of them secret: `{ OpenAI-Beta = "realtime=v1" }`."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if self.rate not in {16_000, 24_000}:
            raise ValueError(f"rate: there is none of {self.rate}; write 24000 or 16000")
        _check_name("authorization_header", self.authorization_header)
        for name, value in self.headers.items():
            _check_name("headers", name)
            if name.lower() in _SECRETS or name.lower() == self.authorization_header.lower():
                raise ValueError(
                    f"headers: {name} holds a secret; put it into a file, and name that authorization_file"
                )
            if not _is_value(value):
                raise ValueError(f"headers: the value of {name} is empty or not visible ASCII; write what is")


def authorization_of(options: RealtimeOptions, secret: bytes) -> tuple[str, str]:
    """Make a header of the content of `authorization_file`.  Raises ValueError, whose text does not show it."""
    text = secret.decode("ascii", "replace").strip()
    if not text or len(text) > MAX_AUTHORIZATION_CHARACTERS or not _is_value(text):
        raise ValueError("does not hold one line of visible ASCII")
    return options.authorization_header, f"Bearer {text}" if _is_bearer(options) else text


def session_of(options: RealtimeOptions, given: bytes = b"{}") -> dict[str, object]:
    """Read the session of `session_file`, and put in what it lacks.  Raises ValueError for what is no session."""
    if len(given) > MAX_SESSION_BYTES:
        raise ValueError(f"has more than {MAX_SESSION_BYTES} bytes")
    try:
        session = msgspec.json.decode(given, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ValueError("is no JSON object") from None
    if options.dialect == "beta":
        return {"modalities": ["audio", "text"]} | session
    if session.get("type", "realtime") != "realtime":
        raise ValueError("is a session of another type than realtime")
    try:
        msgspec.convert(session.get("audio", {}), dict[Literal["input", "output"], dict[str, object]])
    except msgspec.ValidationError:
        raise ValueError("has a member audio that is no object with input and output") from None
    return {"type": "realtime", "output_modalities": ["audio"]} | session


def _is_bearer(options: RealtimeOptions) -> bool:
    return options.authorization_header.lower() == "authorization"


def _check_name(key: str, name: str) -> None:
    if not _is_token(name) or name.lower() in _KEPT or name.lower().startswith("sec-websocket-"):
        raise ValueError(f"{key}: {name[:40]!r} is no header that may be set here; choose another")
