"""One route of the configuration, `[routes.<name>]`: bounds in the types, rules between fields in `__post_init__`.

Each message begins with the key inside the route's table; whoever reads the file knows the route's name.  Whether the
files exist and fit is seen when the route is built (`build_route`), which `sottovoce check` does too.
"""

import re
from typing import Annotated, Literal

import msgspec

from sottovoce.primitives import one_line
from sottovoce.relay.audiosocket import AudioSocketOptions
from sottovoce.relay.link import TCP, WEBSOCKET, BackendAddress, Schemes, parse_url
from sottovoce.relay.mux import parse_mux_url
from sottovoce.relay.realtime import RealtimeOptions
from sottovoce.relay.twilio import TwilioOptions
from sottovoce.session import SessionProfile

_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/?#@A-Z\s]+")
ADAPTER_NAMES = ("echo", "raw", "twilio", "audiosocket", "realtime", "mux")
"""What `adapter` may say; `route.ADAPTERS` has a builder for each."""
_OVER_TCP = frozenset({"audiosocket", "mux"})

SuiteName = Literal[
    "X25519MLKEM768_AES256GCM",
    "X25519MLKEM768_CHACHA20POLY1305",
    "SECP384R1MLKEM1024_AES256GCM",
    "X25519_AES256GCM",
    "SECP384R1_AES256GCM",
]


class RawOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>.raw]`: variations of the `raw` contract."""

    header: bool = False
    """Prefix each audio message with flags u8, timestamp u32, frames lost before u16; expect the same back."""


class MuxOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>.mux]`: how all calls share one connection."""

    gather_microseconds: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000
    """From one write to the next, at least: of many calls the frames that come meanwhile are written together, where
    each alone would be at once.  0: each turn's frames are written behind it."""


class RouteConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>]`: where calls to `/v1/voice/<name>` go."""

    adapter: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(ADAPTER_NAMES)})]
    url: str | None = None
    """The backend's `ws://` or `wss://` URL; `tcp://` or `tls://` for `audiosocket` and `mux`, also `unix:/PATH` for
    `mux`; none for `echo`."""
    raw: RawOptions = RawOptions()
    twilio: TwilioOptions = TwilioOptions()
    audiosocket: AudioSocketOptions = AudioSocketOptions()
    realtime: RealtimeOptions = RealtimeOptions()
    mux: MuxOptions = MuxOptions()
    origins: tuple[str, ...] = ()
    """Web origins, as in `https://app.example.com`, whose pages may call; requests without an origin always may."""
    identities: tuple[str, ...] = ()
    """Who may call: names, or `kiosk-*` or `*@example.com` for many; if there is none, everybody who is let in."""
    profile: SessionProfile | None = None
    """Instead of suites, epoch_seconds and messages_per_key of [voice]: `voice` (ML-KEM-768, 300 s, 1 000 records),
    `data` (ML-KEM-1024, 3 600 s, 10 000) or `post-quantum` (ML-KEM-1024, 1 800 s, 5 000)."""
    suites: tuple[SuiteName, ...] = ()
    """In the server's order; if there is none, those of the profile, or of [voice]."""
    padding: Annotated[int, msgspec.Meta(ge=0, le=2)] | None = None
    """Padding class of the sessions on this route; without it, that of [voice]."""
    allow_plaintext_network: bool = False
    """Let audio leave this machine unencrypted, over `ws://` or `tcp://`.  Warned of at start and on the audit log."""
    ca_file: str | None = None
    """PEM certificates that vouch for a `wss://` or `tls://` backend; without it, the system's."""
    client_certificate_file: str | None = None
    """PEM certificate chain that the proxy shows to a `wss://` or `tls://` backend."""
    client_key_file: str | None = None
    """Its private key, PEM, not encrypted."""
    connect_timeout_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 2.0
    """For one attempt: name, TCP, TLS, and the backend's answer together."""
    connect_attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """Attempts before a call is refused as `backend_down`."""
    silence_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 15
    """How long TCP may get no answer, or find no room at the backend, before the backend counts as down; with `mux`
    also how long a backend may say nothing at all, not even to a ping."""
    queue_frames: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    """Audio frames that may wait for a slow backend; beyond, the oldest is dropped and counted."""

    def is_for(self, name: str) -> bool:
        """Whether an identity may call; where there is no list, everybody may, named or not."""
        return not self.identities or (bool(name) and any(_fits(name, each) for each in self.identities))

    @property
    def schemes(self) -> Schemes:
        """What the URL may begin with."""
        return TCP if self.adapter in _OVER_TCP else WEBSOCKET

    @property
    def address(self) -> BackendAddress:
        """Where the backend listens.  Raises ValueError where there is none, as for `echo`."""
        if self.adapter == "mux":
            return parse_mux_url(self.url or "")
        return parse_url(self.url or "", self.schemes)

    def __post_init__(self) -> None:
        """Check what one field means for another."""
        if self.adapter not in ADAPTER_NAMES:
            raise ValueError(f"adapter: there is no {self.adapter!r}; write one of {', '.join(ADAPTER_NAMES)}")
        _check_origins(self.origins)
        _check_identities(self.identities)
        if len(set(self.suites)) != len(self.suites):
            raise ValueError("suites: one is named twice; name each once")
        if self.adapter == "echo":
            if self.url is not None:
                raise ValueError('url: echo has no backend; remove url, or write adapter = "raw"')
            return
        if self.url is None:
            plain, secure = self.schemes.plain, self.schemes.secure
            raise ValueError(
                f'url: {self.adapter} needs a backend; write url = "{plain}://127.0.0.1:PORT" or a {secure}:// one'
            )
        try:
            address = self.address
        except ValueError as error:
            raise ValueError(f"url: {_shown(self.url)} {error}") from None
        self._check_protection(self.url, address)

    def _check_protection(self, url: str, address: BackendAddress) -> None:
        plain, secure = self.schemes.plain, self.schemes.secure
        if address.secure:
            if (self.client_certificate_file is None) != (self.client_key_file is None):
                missing = "client_key_file" if self.client_key_file is None else "client_certificate_file"
                raise ValueError(f"{missing}: a client certificate needs both its files; add {missing}, or remove both")
            return
        for key in ("ca_file", "client_certificate_file", "client_key_file"):
            if getattr(self, key) is not None:
                raise ValueError(
                    f"{key}: has no meaning for a {plain}:// backend; write a {secure}:// url, or remove {key}"
                )
        if not address.is_loopback and self.realtime.authorization_file is not None:
            raise ValueError(
                "url: would send the secret of realtime.authorization_file unencrypted; write a wss:// url"
            )
        if not address.is_loopback and not self.allow_plaintext_network:
            raise ValueError(
                f"url: {_shown(url)} would send audio unencrypted over the network; write a {secure}:// url, "
                "or allow_plaintext_network = true if that network is yours alone"
            )


def _check_origins(origins: tuple[str, ...]) -> None:
    """An origin is compared byte by byte (RFC 6454 §6.2), so what no browser would send is a slip of the pen."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f'origins: {origin!r} is none; write scheme and host alone, "https://app.example.com"')


def _fits(name: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name == pattern


def _check_identities(identities: tuple[str, ...]) -> None:
    for each in identities:
        if not each or "*" in each[1:-1] or each.count("*") > 1:
            raise ValueError(
                f'identities: {each!r} names nobody; write a name, or one * at its beginning or end: "kiosk-*"'
            )


def _shown(url: str) -> str:
    """Give a URL for a message, without what may be a secret in it."""
    return "it" if "@" in url else repr(one_line(url.partition("?")[0]))
