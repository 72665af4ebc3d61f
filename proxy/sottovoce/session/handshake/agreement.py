"""What a finished handshake leaves behind, for both roles."""

import msgspec

from sottovoce.primitives import Suite
from sottovoce.session.credentials import Identity
from sottovoce.session.events import Established
from sottovoce.session.handshake.schedule import EpochSecrets
from sottovoce.session.tickets import ClientTicket, TicketState
from sottovoce.session.trust import VoiceCertificate
from sottovoce.wire import Codec
from sottovoce.wire.messages import ClientParams, ServerParams


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a handshake: epoch 1's secrets (to be erased by their user), TH[1], and what was agreed."""

    suite: Suite
    params: ServerParams
    client: ClientParams
    secrets: EpochSecrets
    transcript: bytes
    identity: Identity | None = None
    is_resumed: bool = False

    def established(self, server_signatures: tuple[str, ...]) -> Established:
        """Give what the shell is told of it."""
        params, client = self.params, self.client
        return Established(
            session_id=params.session_id,
            suite=self.suite,
            epoch_seconds=params.epoch_seconds,
            messages_per_key=params.messages_per_key,
            padding=params.padding,
            send_codec=Codec(client.send_codec),
            receive_codec=Codec(client.receive_codec),
            frame_milliseconds=client.frame_milliseconds,
            metadata=client.metadata,
            identity=self.identity,
            server_signatures=server_signatures,
            is_resumed=self.is_resumed,
        )


class ClientAgreement(Agreement, frozen=True):
    """The client's.  `certificate` is the encoded one that the server is believed by: its own or that of a ticket."""

    certificate: bytes
    decoded_certificate: VoiceCertificate
    ticket: ClientTicket | None = None
    """In a resumed session the ticket that was accepted; its psk is gone."""


class ServerAgreement(Agreement, frozen=True):
    """The server's."""

    state: TicketState
    """What this session's tickets say; without a psk."""
