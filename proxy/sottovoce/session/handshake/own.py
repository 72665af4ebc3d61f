"""Our own choices, looked at before a peer sees them: what it would refuse is a fault of this side (ApiMisuse)."""

from sottovoce.primitives import ApiMisuse
from sottovoce.session.config import (
    BINDING_NONE,
    BINDING_TLS_EXPORTER,
    BINDING_WEBTRANSPORT_EXPORTER,
    Carriage,
    ClientConfig,
    Credential,
    ServerConfig,
)
from sottovoce.session.handshake.parameters import PADDING_CLASSES
from sottovoce.wire import (
    EPOCH_SECONDS,
    FRAME_MILLISECONDS,
    MAX_METADATA_BYTES,
    MAX_TOKEN_BYTES,
    MESSAGES_PER_KEY,
    Codec,
    CredentialKind,
    is_json_object,
)

_BINDING_BYTES = 32
_MAX_U8 = 0xFF
_MAX_U16 = 0xFFFF
_SHA256_BYTES = 32
_SPOKEN_KINDS = frozenset(CredentialKind)
_SPOKEN_KINDS_WITH_VALUE = (CredentialKind.BEARER_TOKEN, CredentialKind.SIGNING_KEY, CredentialKind.OUTER_CERTIFICATE)


def _demand(*, that: bool, otherwise: str) -> None:
    if not that:
        raise ApiMisuse(otherwise)


def check_carriage(carriage: Carriage) -> None:
    """Hold a carriage against what a prologue can say (protocol §4)."""
    kinds = {BINDING_NONE: 0, BINDING_TLS_EXPORTER: _BINDING_BYTES}
    if carriage.has_datagrams:
        kinds[BINDING_WEBTRANSPORT_EXPORTER] = _BINDING_BYTES
    _demand(
        that=kinds.get(carriage.binding_type) == len(carriage.binding),
        otherwise="a binding is 32 bytes of type 1, of type 2 where there are datagrams, or none of type 0",
    )
    _demand(
        that=len(carriage.authority) <= _MAX_U16 and len(carriage.path) <= _MAX_U16,
        otherwise="an authority or path is too long; the carriage has a lower limit",
    )


def check_client_config(config: ClientConfig) -> None:
    """Hold a client's choices against the protocol's ranges."""
    _demand(that=bool(config.suites and config.anchors), otherwise="a client needs a suite and an anchor")
    codecs = {config.send_codec, config.receive_codec}
    durations = FRAME_MILLISECONDS if Codec.NONE not in codecs else (0,) if codecs == {Codec.NONE} else ()
    _demand(that=config.frame_milliseconds in durations, otherwise="no such frame duration for these codecs")
    _demand(
        that=config.metadata is None
        or (len(config.metadata) <= MAX_METADATA_BYTES and is_json_object(config.metadata)),
        otherwise="metadata is a JSON object of at most 4 096 bytes",
    )


def check_credential(credential: Credential, binding_type: int) -> None:
    """Hold what a client shows of itself against its kind, and the kind against the carriage."""
    token, signer, digest = credential.token, credential.signer, credential.certificate_sha256
    there = (token is not None, signer is not None, digest is not None)
    wanted = tuple(credential.kind == kind for kind in _SPOKEN_KINDS_WITH_VALUE)
    _demand(
        that=credential.kind in _SPOKEN_KINDS and there == wanted,
        otherwise="a kind of credential that this client does not speak, or another field than its kind asks for",
    )
    _demand(that=token is None or 0 < len(token) <= MAX_TOKEN_BYTES, otherwise="a token is empty or too long")
    _demand(that=signer is None or signer.public_key.is_valid(), otherwise="a signer's public key is not a valid key")
    _demand(
        that=digest is None or (len(digest) == _SHA256_BYTES and binding_type != BINDING_NONE),
        otherwise="a certificate's SHA-256 has 32 bytes, and wants a carriage with a binding",
    )


def check_server_config(config: ServerConfig) -> None:
    """Hold a server's choices against the protocol's ranges."""
    _demand(that=bool(config.suites and config.codecs), otherwise="a server needs a suite and a codec")
    _demand(
        that=config.epoch_seconds in EPOCH_SECONDS and config.messages_per_key in MESSAGES_PER_KEY,
        otherwise="epoch seconds or messages per key are out of range",
    )
    _demand(that=config.padding in PADDING_CLASSES, otherwise="a padding class that this server does not speak")
    _demand(that=0 <= config.reauthenticate_every <= _MAX_U8, otherwise="re-authenticate every 0 to 255 steps")
    _demand(
        that=_SPOKEN_KINDS.issuperset(config.credential_kinds),
        otherwise="a kind of credential that this server does not speak",
    )
