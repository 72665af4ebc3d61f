"""What one side may ask of the other: ranges of the parameters (protocol §3, §9), and a handshake's size (§2)."""

from sottovoce.session.config import ClientConfig, ServerConfig
from sottovoce.session.tickets import ClientTicket
from sottovoce.wire import (
    EPOCH_SECONDS,
    FRAME_MILLISECONDS,
    MAX_HANDSHAKE_BYTES,
    MESSAGES_PER_KEY,
    Code,
    Codec,
    CredentialKind,
    WireError,
    frames,
    too_large,
)
from sottovoce.wire.messages import ClientParams, ServerParams

PADDING_CLASSES = (frames.PADDING_NONE, frames.PADDING_BUCKETS, frames.PADDING_CONSTANT)


class HandshakeBudget:
    """Counts the bytes of all handshake messages, both directions."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._bytes = 0

    def count(self, message: bytes) -> None:
        """Add one or more whole messages.  Raises too_large above the limit."""
        self._bytes += len(message)
        if self._bytes > MAX_HANDSHAKE_BYTES:
            raise too_large("the handshake is above its limit")


def _policy(reason: str) -> WireError:
    return WireError(Code.POLICY, reason)


def check_server_params(params: ServerParams, config: ClientConfig, ticket: ClientTicket | None) -> None:
    """The client's judgement of the server's parameters; `ticket` in a resumed session.  Raises policy."""
    if params.epoch_seconds not in EPOCH_SECONDS:
        raise _policy("epoch seconds out of range")
    if params.messages_per_key not in MESSAGES_PER_KEY:
        raise _policy("messages per key out of range")
    if params.padding not in PADDING_CLASSES:
        raise _policy("a padding class that does not exist")
    if params.padding == frames.PADDING_CONSTANT and config.send_codec == Codec.NONE:
        raise _policy("a data session has no frame duration, so no constant rate")
    if config.send_codec not in params.codecs or config.receive_codec not in params.codecs:
        raise _policy("the server does not accept this client's codecs")
    if ticket is not None:
        _check_resumed_params(params, ticket)
    elif config.credential.kind not in params.credential_kinds:
        if config.credential.kind == CredentialKind.NONE:
            raise _policy("the server wants to know who calls, and this client shows no credential")
        raise _policy("the server does not accept this client's kind of credential")


def _check_resumed_params(params: ServerParams, ticket: ClientTicket) -> None:
    """A resumed session shows no credential, and its server proves itself as often as it promised at first."""
    if params.credential_kinds != (CredentialKind.NONE,):
        raise _policy("a resumed session asks for a credential")
    promised = ticket.reauthenticate_every
    if promised != 0 and not 0 < params.reauthenticate_every <= promised:
        raise _policy("a resumed session would be re-authenticated less often than the full one")


def check_client_params(params: ClientParams, config: ServerConfig) -> None:
    """The server's judgement of the client's parameters.  Raises policy."""
    if params.send_codec not in config.codecs or params.receive_codec not in config.codecs:
        raise _policy("a codec that was not offered")
    if Codec.NONE in {params.send_codec, params.receive_codec}:
        if params.send_codec != params.receive_codec or params.frame_milliseconds != 0:
            raise _policy("codec 0 in one direction only, or with a duration")
        if config.padding == frames.PADDING_CONSTANT:
            raise _policy("a data session has no frame duration, so no constant rate")
    elif params.frame_milliseconds not in FRAME_MILLISECONDS:
        raise _policy("another frame duration than 10, 20, 40 or 60 ms")
