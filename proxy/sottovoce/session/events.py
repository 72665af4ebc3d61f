"""What a session tells the shell that drives it.  Audio is not here: it passes as bytes (`open_audio`)."""

from collections.abc import Callable

import msgspec

from sottovoce.primitives import ApiMisuse, Suite
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.tickets import ClientTicket
from sottovoce.session.trust import LeafKind, ServedCertificate
from sottovoce.wire import Codec


class SignatureWanted(msgspec.Struct, frozen=True, eq=False):
    """Server only: have a leaf signed and call `provide_proof` with this very object.

    The leaf depends on the certificate under whose keys it is signed, so there is one for each: whoever signs chooses,
    and may choose anew as long as no proof was provided.
    """

    kind: LeafKind
    anchor_id: bytes | None
    """The anchor whose certificates may be chosen from; None: any."""
    leaf_after: Callable[[ServedCertificate], bytes]
    """What `leaf_under` goes by."""

    def leaf_under(self, certificate: ServedCertificate) -> bytes:
        """Give the leaf to sign under `certificate`, 48 bytes.  Raises ApiMisuse for one of another anchor."""
        if self.anchor_id not in {None, certificate.anchor_id}:
            raise ApiMisuse("a certificate of another anchor than the session began under")
        return self.leaf_after(certificate)


class CredentialShown(msgspec.Struct, frozen=True):
    """Server only: have `shown` judged (`CredentialCheck.judge`, in a thread) and call `provide_verdict`.

    Until then (`has_verdict_due`) no record is to be handed in: what comes from the network waits.  A record that is
    handed in all the same is ApiMisuse, and the session has ended.
    """

    shown: ShownCredential


class TicketReceived(msgspec.Struct, frozen=True):
    """Client only: a ticket for the next session; it belongs to whoever takes the event."""

    ticket: ClientTicket


class Established(msgspec.Struct, frozen=True):
    """The handshake is done on this side.  `identity` is set at the server, `server_signatures` at the client."""

    session_id: bytes
    suite: Suite
    epoch_seconds: int
    messages_per_key: int
    padding: int
    send_codec: Codec
    receive_codec: Codec
    frame_milliseconds: int
    metadata: bytes | None
    identity: Identity | None
    server_signatures: tuple[str, ...] = ()
    is_resumed: bool = False
    """A ticket took the place of signatures and credential."""


class EpochStarted(msgspec.Struct, frozen=True):
    """Both directions now run under `epoch`; `reauthenticated` where the server signed for it again."""

    epoch: int
    reauthenticated: bool


class Audio(msgspec.Struct, frozen=True):
    """An audio payload (flags u8 ‖ [timestamp u32] ‖ codec bytes); only `receive` makes these, for tests and tools."""

    payload: bytes


class Dtmf(msgspec.Struct, frozen=True):
    """A key of a telephone: RFC 4733 event 0–15 and its duration."""

    event: int
    duration_milliseconds: int


class Mark(msgspec.Struct, frozen=True):
    """At the client: answer it when the audio before it was played.  At the server: that answer."""

    name: str


class Clear(msgspec.Struct, frozen=True):
    """Drop the audio queued for playing."""


class Mute(msgspec.Struct, frozen=True):
    """The client's microphone went off or on."""

    muted: bool


class Json(msgspec.Struct, frozen=True):
    """A JSON object of the other end's application."""

    data: bytes


class Data(msgspec.Struct, frozen=True):
    """Opaque bytes of a data session."""

    data: bytes


class Pong(msgspec.Struct, frozen=True):
    """The answer to a ping, with its eight bytes."""

    data: bytes


class Ended(msgspec.Struct, frozen=True):
    """The session is over.  `local`: we ended it; `truncated`: the carriage ended and nobody had said why."""

    code: int
    reason: str
    local: bool
    truncated: bool = False


Event = (
    SignatureWanted
    | CredentialShown
    | Established
    | TicketReceived
    | EpochStarted
    | Audio
    | Dtmf
    | Mark
    | Clear
    | Mute
    | Json
    | Data
    | Pong
    | Ended
)
