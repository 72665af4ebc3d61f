"""What a finished handshake leaves behind, for both roles."""

import msgspec

from sottovoce.primitives import Suite
from sottovoce.session.credentials import Identity
from sottovoce.session.handshake.schedule import EpochSecrets
from sottovoce.session.tickets import ClientTicket, TicketState
from sottovoce.session.trust import VoiceCertificate
from sottovoce.wire.messages import ClientParams, ServerParams


class Agreement(msgspec.Struct, frozen=True):
    """The result of a handshake: epoch 1's secrets (to be erased by their user), TH[1], and what was agreed.

    `certificate` is the encoded voice certificate that the server proved itself with; in a resumed session the client
    has the one of its ticket there, the server the one that it serves now.
    """

    suite: Suite
    params: ServerParams
    client: ClientParams
    secrets: EpochSecrets
    transcript: bytes
    certificate: bytes
    decoded_certificate: VoiceCertificate
    identity: Identity | None
    is_resumed: bool = False
    ticket: ClientTicket | None = None
    """Client, in a resumed session: the ticket that was accepted; its psk is gone."""
    state: TicketState | None = None
    """Server: what this session's tickets say; without a psk."""
