"""What a session is given: the channel it runs on, each side's choices, and the parts it asks for from above."""

from typing import Protocol

import msgspec

from sottovoce.primitives import DEFAULT_SUITES, Entropy, Kem, Secret, Signer, Suite
from sottovoce.session.credentials import CredentialCheck
from sottovoce.session.tickets import ClientTicket, TicketBox
from sottovoce.session.trust import Anchor
from sottovoce.wire import Codec

BINDING_NONE = 0
BINDING_TLS_EXPORTER = 1
BINDING_WEBTRANSPORT_EXPORTER = 2

SESSION_SECONDS = 86_400
"""A session lasts a day at most (protocol §4)."""
HANDSHAKE_SECONDS = 5.0
"""From the HTTP response to the verification of ClientFinished (protocol §2)."""


class Carriage(msgspec.Struct, frozen=True):
    """The channel a session runs on, as both ends see it.

    `binding_type` is the best this carriage has: 1 with the 32 bytes of the RFC 9266 exporter as `binding`, 2 with
    those of the WebTransport session's, or 0 with none.  `authority` is the Host value, `path` the raw request target.
    """

    binding_type: int
    binding: bytes
    authority: bytes
    path: bytes
    has_datagrams: bool = False
    """WebTransport: an ordered control stream and a lossy carrier beside it (protocol §1)."""
    peer_certificate: bytes | None = None
    """DER of the end-entity certificate that the client proved in the outer TLS; server only (credential kind 3)."""


class Dependencies(msgspec.Struct, frozen=True):
    """Chance, from outside: tests replay it."""

    kem: Kem
    entropy: Entropy


class Credential(msgspec.Struct, frozen=True):
    """What the client shows of itself; of the three further fields the one that its kind asks for is set.

    Kind 0: nothing; 1: a bearer token; 2: a signing key; 3: the SHA-256 of its certificate in the outer TLS (DER).
    """

    kind: int = 0
    token: Secret | None = None
    signer: Signer | None = None
    certificate_sha256: bytes | None = None


class ClientConfig(msgspec.Struct, frozen=True):
    """A client's choices.  `suites` are in its order; a share is sent for the first one's group."""

    anchors: tuple[Anchor, ...]
    suites: tuple[Suite, ...] = DEFAULT_SUITES
    credential: Credential = Credential()
    send_codec: Codec = Codec.PCM16_16K
    receive_codec: Codec = Codec.PCM16_16K
    frame_milliseconds: int = 20
    metadata: bytes | None = None
    ticket: ClientTicket | None = None
    """Offered if it fits this carriage and is still good; erased by the session that is given it, used or not."""


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


class ServingAnchors(Protocol):
    """The anchors to serve under; they change while sessions run."""

    def serves(self, anchor_id: bytes) -> bool:
        """Whether a signature can be had now under a certificate of this anchor.

        One counts up to CLOCK_TOLERANCE_SECONDS behind its end, as clients let it.
        """
        ...


class ServerDependencies(Dependencies, frozen=True):
    """Beside chance: the anchors to serve under, the judge of credentials, and what seals tickets (None: none)."""

    serving: ServingAnchors
    credentials: CredentialCheck
    tickets: TicketBox | None = None
