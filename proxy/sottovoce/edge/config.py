"""What a listener and the voice sessions behind it may be told: `[listener]`, `[listeners.<name>]`, `[voice]`.

Bounds are in the types, rules between fields in `__post_init__`; each message begins with the key inside its table.
"""

import ipaddress
from typing import Annotated

import msgspec

from sottovoce.edge.gate import GateLimits, Network, ServedRoute
from sottovoce.primitives import Suite
from sottovoce.relay import SuiteName
from sottovoce.session import ServerConfig
from sottovoce.transport import PqPolicy, RecordLayer

MAX_PORT = 65_535

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Rate = Annotated[float, msgspec.Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=300)]


class Address(msgspec.Struct, frozen=True):
    """An IP address and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        """Give the usual spelling, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Take `127.0.0.1:8443` or `[::1]:8443` apart.  Raises ValueError whose text says what to write."""
    host, separator, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address and port; write 127.0.0.1:8443, 0.0.0.0:443 or [::]:443") from None
    if not separator or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ValueError(f"{text!r} has no port from 0 to {MAX_PORT}; write {host or bare}:8443")
    if (ip.version == 6) is not host.startswith("["):  # noqa: PLR2004  as in IPv6
        raise ValueError(f"{text!r} mixes forms; write an IPv6 address in brackets, [::1]:8443, and IPv4 without")
    return Address(str(ip), int(port))


def _parse_network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        remedy = 'write an address, or a network with no bit set behind its prefix: "10.0.0.0/8"'
        raise ValueError(f"proxy_protocol_from: {text!r} is no network; {remedy}") from None


class ListenerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One listening address with its policy."""

    address: str = "127.0.0.1:8443"
    """IP address and port; port 0 takes a free one, which the ready event names."""
    pq: PqPolicy = PqPolicy.PREFER
    """Post-quantum key agreement of the outer TLS: `require`, `prefer` or `off`.  Production requires it."""
    records: RecordLayer = RecordLayer.OWN
    """Who encrypts TLS records behind the handshake, which is OpenSSL's: `own`, code of this proxy, with a fifth of the
    memory and less time for each frame; or `openssl`."""
    handshake_seconds: Seconds = 10.0
    """From the accepted connection to the WebSocket upgrade."""
    max_connections: Count = 10_000
    """Further connections are closed at once."""
    max_handshakes: Count = 4_096
    """Handshakes that may be under way, until their calls are agreed on.  Beyond, the prefix that has most of them
    gives its oldest to newcomers of others; its own newcomers are closed at once."""
    max_handshakes_per_address: Count = 256
    """Handshakes of one address (of IPv6: of one /64) that may be under way; further ones are closed at once."""
    max_handshakes_per_prefix: Count = 1_024
    """The same for a prefix: a /24 of IPv4, a /48 of IPv6."""
    max_handshakes_per_second: Rate = 200.0
    """Handshakes that one address may begin in a second, twice as many in a burst; further ones are closed at once."""
    max_prefix_handshakes_per_second: Rate = 400.0
    """The same for a prefix."""
    bad_hello_weight: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10
    """A voice handshake that the client got wrong counts as so many more.  So an address and its prefix may get into
    debt; they are closed at once until it is paid off."""
    proxy_protocol_from: tuple[str, ...] = ()
    """Networks of balancers, as in `10.0.0.0/8`, whose connections MUST begin with a PROXY protocol v2 header, which
    names the client; nobody else's is believed."""
    silence_seconds: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 30
    """How long TCP may get no answer from a client before the connection counts as lost."""

    def __post_init__(self) -> None:
        """Check the address."""
        try:
            parse_address(self.address)
        except ValueError as error:
            raise ValueError(f"address: {error}") from None
        _ = self.balancers

    @property
    def balancers(self) -> tuple[Network, ...]:
        """The networks of `proxy_protocol_from`.  Raises ValueError for what is none."""
        return tuple(_parse_network(each) for each in self.proxy_protocol_from)

    @property
    def gate_limits(self) -> GateLimits:
        """The limits on handshakes."""
        return GateLimits(
            address_at_once=self.max_handshakes_per_address,
            address_per_second=self.max_handshakes_per_second,
            prefix_at_once=self.max_handshakes_per_prefix,
            prefix_per_second=self.max_prefix_handshakes_per_second,
            at_once=self.max_handshakes,
            bad_hello_weight=self.bad_hello_weight,
        )


class VoiceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[voice]`: the sessions inside the connections (docs/protocol.md §3, ServerParams)."""

    epoch_seconds: Annotated[int, msgspec.Meta(ge=2, le=3600)] = 300
    """How old an epoch's keys may get before both sides change to fresh ones."""
    messages_per_key: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 1000
    """Records under one key before the sender's chain moves on."""
    padding: Annotated[int, msgspec.Meta(ge=0, le=2)] = 1
    """0: lengths as they are; 1: rounded up to a few sizes, so that they tell less; 2: one size at a constant pace,
    silence included, so that they tell nothing."""
    reauthenticate_every: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    """The HSM signs again at every n-th epoch; 0: never after the handshake."""
    suites: tuple[SuiteName, ...] = (
        "X25519MLKEM768_AES256GCM",
        "X25519MLKEM768_CHACHA20POLY1305",
        "SECP384R1MLKEM1024_AES256GCM",
    )
    """In the server's order.  Those without MLKEM are classical: each call under one is put on the audit log."""
    require_binding: bool = True
    """Refuse clients that do not bind the call to the TLS connection it runs in."""
    queue_frames: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    """Audio frames that may wait for a slow client; beyond, the oldest is dropped before it is sealed, and counted."""
    heartbeat_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 20
    """A client that says nothing for so long is pinged; after three times that its call ends (1001).  0: never."""
    write_stall_seconds: Seconds = 10.0
    """A client that has taken nothing for so long does not read: its call ends (4429), a heartbeat later at most."""

    def __post_init__(self) -> None:
        """Check the suites."""
        if not self.suites:
            raise ValueError('suites: none is left; write suites = ["X25519MLKEM768_AES256GCM"] or remove the line')
        if len(set(self.suites)) != len(self.suites):
            raise ValueError("suites: one is named twice; name each once")

    def session_config(self, served: ServedRoute, credential_kinds: tuple[int, ...]) -> ServerConfig:
        """Give what a session on a route is run by: what the route says, else its profile, else this section."""
        config = ServerConfig(
            suites=_suites(self.suites),
            epoch_seconds=self.epoch_seconds,
            messages_per_key=self.messages_per_key,
            padding=self.padding if served.padding is None else served.padding,
            reauthenticate_every=self.reauthenticate_every,
            codecs=tuple(sorted(served.route.codecs)),
            credential_kinds=credential_kinds,
            require_binding=self.require_binding,
        )
        if served.profile is not None:
            config = served.profile.applied_to(config)
        return msgspec.structs.replace(config, suites=_suites(served.suites)) if served.suites else config


def _suites(names: tuple[SuiteName, ...]) -> tuple[Suite, ...]:
    return tuple(Suite[name] for name in names)
