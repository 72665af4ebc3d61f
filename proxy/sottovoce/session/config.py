"""What a session is given: the channel it runs on, each side's choices, and the parts it asks for from above."""

from typing import Protocol

import msgspec

from sottovoce.primitives import DEFAULT_SUITES, Entropy, Kem, Secret, Suite
from sottovoce.session.trust import Anchor
from sottovoce.wire import Code, Codec

BINDING_NONE = 0
BINDING_TLS_EXPORTER = 1

SESSION_SECONDS = 86_400
"""A session lasts a day at most (protocol §4)."""
HANDSHAKE_SECONDS = 5.0
"""From the HTTP response to the verification of ClientFinished (protocol §2)."""


class Carriage(msgspec.Struct, frozen=True):
    """The channel a session runs on, as both ends see it.

    `binding_type` is the best this carriage has: 1 with the 32 bytes of the RFC 9266 exporter as `binding`, or 0 with
    none.  `authority` is the Host value, `path` the raw request target.
    """

    binding_type: int
    binding: bytes
    authority: bytes
    path: bytes


class Dependencies(msgspec.Struct, frozen=True):
    """Chance, from outside: tests replay it."""

    kem: Kem
    entropy: Entropy


class Credential(msgspec.Struct, frozen=True):
    """What the client shows of itself: kind 0 (nothing) or 1 (a bearer token)."""

    kind: int = 0
    token: Secret | None = None


class ClientConfig(msgspec.Struct, frozen=True):
    """A client's choices.  `suites` are in its order; a share is sent for the first one's group."""

    anchors: tuple[Anchor, ...]
    suites: tuple[Suite, ...] = DEFAULT_SUITES
    credential: Credential = Credential()
    send_codec: Codec = Codec.PCM16_16K
    receive_codec: Codec = Codec.PCM16_16K
    frame_milliseconds: int = 20
    metadata: bytes | None = None


class ServerConfig(msgspec.Struct, frozen=True):
    """A listener's and route's choices.  `suites` are in the server's order; classical ones only by policy."""

    suites: tuple[Suite, ...] = DEFAULT_SUITES
    epoch_seconds: int = 300
    messages_per_key: int = 1000
    padding: int = 1
    reauthenticate_every: int = 1
    codecs: tuple[Codec, ...] = tuple(codec for codec in Codec if codec is not Codec.NONE)
    credential_kinds: tuple[int, ...] = (0,)
    require_binding: bool = True


class Identity(msgspec.Struct, frozen=True):
    """Who the client is, an empty name for nobody in particular; `expires_at` is Unix seconds, None for never."""

    name: str
    expires_at: float | None = None


class CredentialCheck(Protocol):
    """Judges a client's credential; never waits."""

    def check(self, kind: int, value: bytes, authority: bytes, path: bytes) -> Identity | Code:
        """Give the identity, or the code to end with: auth_failed, or policy where the route is not for it."""
        ...


class ServingCertificate(Protocol):
    """The voice certificate to serve under; it may be replaced while sessions run."""

    @property
    def certificate(self) -> bytes:
        """The encoded certificate that is current now."""
        ...


class ServerDependencies(Dependencies, frozen=True):
    """Beside chance: the certificate to serve under, and the judge of credentials."""

    serving: ServingCertificate
    credentials: CredentialCheck
