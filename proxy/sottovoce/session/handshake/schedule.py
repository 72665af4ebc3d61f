"""The key schedule (protocol §5): from a hybrid secret to handshake keys, roots, and the secrets of an epoch.

Each value that only leads to the next one (ES, HS, MS) stays inside the library: `extract_labelled` extracts and
expands in one call.  What has to be kept is a `Secret`; whoever holds it wipes it as soon as nothing above needs it.
"""

from typing import NamedTuple

from sottovoce.primitives import (
    HASH_BYTES,
    ZERO_SECRET,
    Cipher,
    OpenFailed,
    Secret,
    extract_labelled,
    labelled,
    mac384,
    open_once,
    seal_once,
    sha384,
)
from sottovoce.wire import Code, WireError, records

BASE_BYTES = 64
"""An SFrame base key (protocol §5)."""
_KEY_BYTES = 32
_IV_BYTES = 12
_TAG_BYTES = 16
_EMPTY_HASH = sha384(b"")


class HandshakeSecrets(NamedTuple):
    """c_hs and s_hs, and the salt from which MS is extracted."""

    client: Secret
    server: Secret
    master_salt: Secret

    def wipe(self) -> None:
        """Erase all three."""
        for secret in self:
            secret.wipe()


class EpochSecrets(NamedTuple):
    """What is derived from a root: base keys, rk[e] for the next root, res[e] for tickets.

    `client_to_server` and `server_to_client` are those of the WebSocket, or of the datagrams; the two for the control
    stream of WebTransport are empty where there is none.
    """

    client_to_server: Secret
    server_to_client: Secret
    control_client_to_server: Secret
    control_server_to_client: Secret
    rekey: Secret
    resumption: Secret

    def wipe(self) -> None:
        """Erase all."""
        for secret in self:
            secret.wipe()


def handshake_secrets(hybrid: Secret, psk: Secret | None, server_hello_hash: bytes) -> HandshakeSecrets:
    """Derive ES, HS, c_hs and s_hs; `server_hello_hash` is T(ServerHello).  The caller wipes `hybrid` and `psk`."""
    with extract_labelled(ZERO_SECRET, psk or ZERO_SECRET, "derived", _EMPTY_HASH) as salt:
        return HandshakeSecrets(
            client=extract_labelled(salt, hybrid, "c hs", server_hello_hash),
            server=extract_labelled(salt, hybrid, "s hs", server_hello_hash),
            master_salt=extract_labelled(salt, hybrid, "derived", _EMPTY_HASH),
        )


def finished_mac(handshake_secret: Secret, transcript_hash: bytes) -> bytes:
    """HMAC(HL(x_hs, "finished"), T of the message before), 48 bytes."""
    with labelled(handshake_secret, "finished", b"") as key:
        return mac384(key, transcript_hash)


def seal_flight(handshake_secret: Secret, cipher: Cipher, messages: bytes) -> bytes:
    """Seal one side's flight into its one record.

    The nonce is fixed because the secret seals nothing else: the caller wipes it right after (a flight is sealed once
    and never rebuilt).
    """
    header = records.sealed_header(len(messages) + _TAG_BYTES)
    with (
        labelled(handshake_secret, "key", b"", _KEY_BYTES) as key,
        labelled(handshake_secret, "iv", b"", _IV_BYTES) as nonce,
    ):
        return header + seal_once(cipher, key, nonce, messages, header)


def open_flight_untrusted(handshake_secret: Secret, cipher: Cipher, record: bytes) -> bytes:
    """Open the peer's flight.  Raises bad_record for its syntax, auth_failed when it does not open."""
    header, ciphertext = records.decode_sealed_untrusted(record)
    with (
        labelled(handshake_secret, "key", b"", _KEY_BYTES) as key,
        labelled(handshake_secret, "iv", b"", _IV_BYTES) as nonce,
    ):
        try:
            return open_once(cipher, key, nonce, ciphertext, header)
        except OpenFailed:
            raise WireError(Code.AUTH_FAILED, "a sealed handshake record does not open") from None


def first_root(master_salt: Secret, client_finished_hash: bytes) -> Secret:
    """root[1] = HL(MS, "root", T(ClientFinished)), with MS = Extract(master salt, 0)."""
    return extract_labelled(master_salt, ZERO_SECRET, "root", client_finished_hash)


def next_transcript(transcript: bytes, rekey_init: bytes, rekey_response: bytes) -> bytes:
    """TH[e+1] = H(TH[e] ‖ RekeyInit ‖ RekeyResponse), whole messages."""
    return sha384(transcript, rekey_init, rekey_response)


def next_root(rekey: Secret, hybrid: Secret, next_transcript_hash: bytes) -> Secret:
    """root[e+1] = HL(Extract(rk[e], hybrid), "root", TH[e+1])."""
    return extract_labelled(rekey, hybrid, "root", next_transcript_hash)


def epoch_secrets(root: Secret, transcript_hash: bytes, *, has_datagrams: bool = False) -> EpochSecrets:
    """Derive what epoch e needs from root[e] and TH[e], and erase the root."""
    with root:
        return EpochSecrets(
            resumption=labelled(root, "res", transcript_hash, HASH_BYTES),
            client_to_server=labelled(root, "c2s", transcript_hash, BASE_BYTES),
            server_to_client=labelled(root, "s2c", transcript_hash, BASE_BYTES),
            control_client_to_server=_control(root, "c2s ctl", transcript_hash, has_datagrams=has_datagrams),
            control_server_to_client=_control(root, "s2c ctl", transcript_hash, has_datagrams=has_datagrams),
            rekey=labelled(root, "rekey", _EMPTY_HASH, HASH_BYTES),
        )


def _control(root: Secret, label: str, transcript_hash: bytes, *, has_datagrams: bool) -> Secret:
    return labelled(root, label, transcript_hash, BASE_BYTES) if has_datagrams else Secret.blank(label, 0)
