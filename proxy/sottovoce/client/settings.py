"""From the arguments of `connect` to what the machine works with.  The same for the shell of every event loop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Required, TypedDict

import msgspec

from sottovoce.client.address import Address, parse_address
from sottovoce.client.continuity import TicketStore
from sottovoce.client.credentials import Shown, read_shown, read_token
from sottovoce.client.errors import CallMisconfigured
from sottovoce.client.trust import read_anchors, read_ca
from sottovoce.primitives import DEFAULT_SUITES, Secret, Signer, Suite
from sottovoce.session import Anchor, ClientConfig, Credential
from sottovoce.transport import PqPolicy, TlsContext, TransportMisconfigured, client_context
from sottovoce.wire import FRAME_MILLISECONDS, MAX_METADATA_BYTES, Codec, CredentialKind

KEEPALIVE_SECONDS = 20.0
DEFAULT_FRAME_MS = 20
_LEAST_KEEPALIVE_SECONDS = 1.0


class ConnectOptions(TypedDict, total=False):
    """What `connect` and `calls` take, by these names; only `anchor` has to be given.

    - `anchor`: whom to trust: the anchor file, its content, or anchors.
    - `ca`: the CA of the TLS certificate, as a file or PEM bytes; None for those that the system trusts.
    - Who you are, where the server wants to know, one of: `token`: the text itself as str, or a file that holds it as
      Path; `key`: the PEM file of a private key (Ed25519, P-384, ML-DSA), or what signs with one; `certificate` with
      `certificate_key`: PEM files for the outer TLS, which then says to the network whose certificate it is.
    - `codec` (PCM, 16 kHz), `receive_codec` (the same unless given), `frame_ms` (20): what is spoken.  `Codec.NONE` is
      a call without audio: `send_data` and the item `Data`.  `metadata`: for the backend.
    - `pq`: post-quantum key agreement in TLS.  `suites`: what the voice protocol offers; there is no second offer.
    - `keepalive`: after so many seconds of silence (20) the server is pinged; after three times as many, without an
      answer, the call counts as cut off.  `tickets`: where tickets are kept, and taken from for a shorter handshake.
    """

    anchor: Required[str | Path | bytes | tuple[Anchor, ...]]
    ca: str | Path | bytes | None
    token: str | Path | Secret | None
    key: str | Path | Signer | None
    certificate: str | Path | None
    certificate_key: str | Path | None
    codec: Codec
    receive_codec: Codec | None
    frame_ms: int | None
    metadata: Mapping[str, object] | None
    pq: PqPolicy
    suites: tuple[Suite, ...]
    keepalive: float
    tickets: TicketStore | None


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The same with what stands for each that is not given."""

    anchor: str | Path | bytes | tuple[Anchor, ...]
    ca: str | Path | bytes | None = None
    token: str | Path | Secret | None = None
    key: str | Path | Signer | None = None
    certificate: str | Path | None = None
    certificate_key: str | Path | None = None
    codec: Codec = Codec.PCM16_16K
    receive_codec: Codec | None = None
    frame_ms: int | None = None
    metadata: Mapping[str, object] | None = None
    pq: PqPolicy = PqPolicy.PREFER
    suites: tuple[Suite, ...] = DEFAULT_SUITES
    keepalive: float = KEEPALIVE_SECONDS
    tickets: TicketStore | None = None

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
    keepalive_seconds: float = KEEPALIVE_SECONDS
    tickets: TicketStore | None = None

    def wipe_token(self) -> None:
        """Wipe the token, unless it is the user's own secret."""
        if self.owned_token is not None:
            self.owned_token.wipe()

    def with_token_of(self, path: Path) -> "CallSettings":
        """Give the same settings with the token that is in a file now.  Raises CallMisconfigured."""
        token = read_token(path)
        credential = Credential(CredentialKind.BEARER_TOKEN, token)
        config = msgspec.structs.replace(self.config, credential=credential)
        return msgspec.structs.replace(self, config=config, owned_token=token)


def settings_for(url: str, options: CallOptions) -> CallSettings:
    """Check everything and read every file.  Raises CallMisconfigured; nothing was sent then."""
    address = parse_address(url)
    receive_codec = options.codec if options.receive_codec is None else options.receive_codec
    frame_ms = _frame_milliseconds(options, receive_codec)
    if not options.suites:
        raise CallMisconfigured("no suite is offered", "leave suites out, or name one")
    if not options.keepalive >= _LEAST_KEEPALIVE_SECONDS:
        raise CallMisconfigured("keepalive is less than a second", "give the seconds of silence before a ping")
    anchors = read_anchors(options.anchor)
    metadata = _encode(options.metadata)
    shown = read_shown(options.token, options.key, options.certificate, options.certificate_key)
    config = ClientConfig(
        anchors=anchors,
        suites=options.suites,
        credential=shown.credential,
        send_codec=options.codec,
        receive_codec=receive_codec,
        frame_milliseconds=frame_ms,
        metadata=metadata,
    )
    tls = _tls(address, options, shown)
    return CallSettings(address, tls, config, shown.owned_token, options.keepalive, options.tickets)


def _frame_milliseconds(options: CallOptions, receive_codec: Codec) -> int:
    """Give the frame duration: 0 in a data session, which has no audio either way (protocol §9)."""
    is_data = options.codec is Codec.NONE
    if is_data is not (receive_codec is Codec.NONE):
        raise CallMisconfigured(
            "a call without audio (codec 0) has none in either direction", "give Codec.NONE as codec alone"
        )
    if is_data:
        if options.frame_ms:
            raise CallMisconfigured("a call without audio has no frames", "leave frame_ms out")
        return 0
    frame_ms = DEFAULT_FRAME_MS if options.frame_ms is None else options.frame_ms
    if frame_ms not in FRAME_MILLISECONDS:
        raise CallMisconfigured(f"a frame of {frame_ms} ms does not exist", "choose 10, 20, 40 or 60 ms")
    return frame_ms


def _tls(address: Address, options: CallOptions, shown: Shown) -> TlsContext:
    try:
        ca = None if options.ca is None else read_ca(options.ca)
        return client_context(address.host, pq=PqPolicy(options.pq), ca_pem=ca, identity=shown.identity)
    except BaseException as error:
        if shown.owned_token is not None:
            shown.owned_token.wipe()
        if not isinstance(error, TransportMisconfigured):
            raise
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
