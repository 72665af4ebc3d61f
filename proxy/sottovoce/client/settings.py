"""From the arguments of `connect` to what the machine works with.  The same for the shell of every event loop."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from sottovoce.client.address import Address, parse_address
from sottovoce.client.errors import CallMisconfigured
from sottovoce.client.trust import read_anchors, read_ca, read_token
from sottovoce.primitives import DEFAULT_SUITES, Secret, Suite
from sottovoce.session import Anchor, ClientConfig, Credential
from sottovoce.transport import PqPolicy, TlsContext, TransportMisconfigured, client_context
from sottovoce.wire import FRAME_MILLISECONDS, MAX_METADATA_BYTES, Codec, CredentialKind


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose, as `connect` documents it."""

    anchor: str | Path | bytes | tuple[Anchor, ...]
    ca: str | Path | bytes | None = None
    token: str | Path | Secret | None = None
    codec: Codec = Codec.PCM16_16K
    receive_codec: Codec | None = None
    frame_ms: int = 20
    metadata: Mapping[str, object] | None = None
    pq: PqPolicy = PqPolicy.PREFER
    suites: tuple[Suite, ...] = DEFAULT_SUITES

    def __repr__(self) -> str:
        return f"CallOptions(token={self._has_token})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what `rich` shows instead of a repr
        return [("token", self._has_token)]

    @property
    def _has_token(self) -> bool:
        return self.token is not None


class CallSettings(msgspec.Struct, frozen=True):
    """What a call is made with.  `owned_token` is to be wiped when it has been sent, or will not be."""

    address: Address
    tls: TlsContext
    config: ClientConfig
    owned_token: Secret | None

    def wipe_token(self) -> None:
        """Wipe the token, unless it is the user's own secret."""
        if self.owned_token is not None:
            self.owned_token.wipe()


def settings_for(url: str, options: CallOptions) -> CallSettings:
    """Check everything and read every file.  Raises CallMisconfigured; nothing was sent then."""
    address = parse_address(url)
    _check_audio(options)
    if not options.suites:
        raise CallMisconfigured("no suite is offered", "leave suites out, or name one")
    anchors = read_anchors(options.anchor)
    tls = _tls(address, options)
    metadata = _encode(options.metadata)
    token = None if options.token is None else read_token(options.token)
    config = ClientConfig(
        anchors=anchors,
        suites=options.suites,
        credential=Credential() if token is None else Credential(CredentialKind.BEARER_TOKEN, token),
        send_codec=options.codec,
        receive_codec=options.codec if options.receive_codec is None else options.receive_codec,
        frame_milliseconds=options.frame_ms,
        metadata=metadata,
    )
    return CallSettings(address, tls, config, None if isinstance(options.token, Secret) else token)


def _check_audio(options: CallOptions) -> None:
    if Codec.NONE in {options.codec, options.receive_codec}:
        raise CallMisconfigured("a call without audio (codec 0) is not spoken yet", "choose a codec")
    if options.frame_ms not in FRAME_MILLISECONDS:
        raise CallMisconfigured(f"a frame of {options.frame_ms} ms does not exist", "choose 10, 20, 40 or 60 ms")


def _tls(address: Address, options: CallOptions) -> TlsContext:
    ca = None if options.ca is None else read_ca(options.ca)
    try:
        return client_context(address.host, pq=PqPolicy(options.pq), ca_pem=ca)
    except TransportMisconfigured as error:
        happened, _, remedy = str(error).partition(": ")
        where = f" ({options.ca})" if isinstance(options.ca, (str, Path)) else ""
        raise CallMisconfigured(happened + where, remedy or "check host and CA file") from None


def _encode(metadata: Mapping[str, object] | None) -> bytes | None:
    if metadata is None:
        return None
    try:
        encoded = msgspec.json.encode(dict(metadata))
    except (TypeError, ValueError, RecursionError):
        raise CallMisconfigured(
            "the metadata is no JSON object", "use texts, numbers, lists and dictionaries"
        ) from None
    if len(encoded) > MAX_METADATA_BYTES:
        raise CallMisconfigured(
            f"the metadata has {len(encoded)} bytes", f"keep it within {MAX_METADATA_BYTES} bytes of JSON"
        )
    return encoded
