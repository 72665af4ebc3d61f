"""What a ticket is made of.  Pure; only its own server reads it (protocol §6: opaque to the client).

    version u8 ‖ key id [8] ‖ nonce [12] ‖ masked number u32 ‖ ciphertext ‖ tag [16]          512 or 1 024 bytes

The head is in clear and authenticated, so that garbage is refused by its length, its version or its key id.  Authority
and path are authenticated and not contained: a ticket does not open anywhere else.  The plaintext is padded, for a
ticket is seen by whoever reads the outer TLS, and the length of a name tells something about who calls.

The nonce is random.  Two of 96 bits meet among the most tickets that a key seals (2^24) with a chance of 2^-49, and
random ones need no agreement between workers that share a key, which a counter would.
"""

from typing import NamedTuple, Self

import msgspec

from sottovoce.primitives import NONCE_BYTES, TAG_BYTES, Secret, Suite, lend_secret, take_secret, wipe_bytes
from sottovoce.session import Identity, TicketState

KEY_ID_BYTES = 8

_VERSION = b"\x01"
_LABEL = b"sottovoce.v1 ticket\x00"
_NUMBER_BYTES = 4
_NONCE_AT = 1 + KEY_ID_BYTES
_NUMBER_AT = _NONCE_AT + NONCE_BYTES
_HEAD_BYTES = _NUMBER_AT + _NUMBER_BYTES
_SIZES = (512, 1_024)
_LENGTH_BYTES = 2


class Content(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed.  The psk is first: it is written once, before a buffer grows."""

    psk: Secret
    issued_wall: float
    issued_now: float
    """The same moment on the clock that nobody sets."""
    lifetime_seconds: int
    suite: int
    binding_type: int
    anchor_id: bytes
    certificate_sha384: bytes
    certificate_not_after: int
    name: str
    expires_at: float | None
    kind: int
    credential: str
    peer_certificate_sha256: bytes
    verified_at: float
    reauthenticate_every: int

    @classmethod
    def of(cls, state: TicketState, lifetime_seconds: int, wall: float, now: float) -> Self:
        """Take what is to be sealed; authority and path are not."""
        return cls(
            psk=state.psk,
            issued_wall=wall,
            issued_now=now,
            lifetime_seconds=lifetime_seconds,
            suite=state.suite,
            binding_type=state.binding_type,
            anchor_id=state.anchor_id,
            certificate_sha384=state.certificate_sha384,
            certificate_not_after=state.certificate_not_after,
            name=state.identity.name,
            expires_at=state.identity.expires_at,
            kind=state.identity.kind,
            credential=state.identity.credential,
            peer_certificate_sha256=state.peer_certificate_sha256,
            verified_at=state.verified_at,
            reauthenticate_every=state.reauthenticate_every,
        )

    def to_state(self, authority: bytes, path: bytes) -> TicketState:
        """Give it back; the psk is the same object."""
        return TicketState(
            psk=self.psk,
            suite=Suite(self.suite),
            binding_type=self.binding_type,
            authority=authority,
            path=path,
            anchor_id=self.anchor_id,
            certificate_sha384=self.certificate_sha384,
            certificate_not_after=self.certificate_not_after,
            identity=Identity(self.name, self.expires_at, self.kind, self.credential),
            peer_certificate_sha256=self.peer_certificate_sha256,
            verified_at=self.verified_at,
            reauthenticate_every=self.reauthenticate_every,
        )


_ENCODER = msgspec.msgpack.Encoder(enc_hook=lend_secret)
_DECODER = msgspec.msgpack.Decoder(Content, dec_hook=take_secret)


class Head(NamedTuple):
    """The part in clear."""

    key_id: bytes
    nonce: bytes
    masked_number: int

    def encode(self) -> bytes:
        """Give its bytes."""
        return b"".join((_VERSION, self.key_id, self.nonce, self.masked_number.to_bytes(_NUMBER_BYTES)))


def decode_head_untrusted(ticket: bytes) -> Head | None:
    """Read the head; None for what has not the form of a ticket."""
    if len(ticket) not in _SIZES or not ticket.startswith(_VERSION):
        return None
    number = int.from_bytes(ticket[_NUMBER_AT:_HEAD_BYTES])
    return Head(ticket[1:_NONCE_AT], ticket[_NONCE_AT:_NUMBER_AT], number)


def body_of(ticket: bytes) -> bytes:
    """Give ciphertext ‖ tag."""
    return ticket[_HEAD_BYTES:]


def associated_data(head: bytes, authority: bytes, path: bytes) -> bytes:
    """What is authenticated with the content: label ‖ head ‖ u32 len ‖ authority ‖ path."""
    return b"".join((_LABEL, head, len(authority).to_bytes(4), authority, path))


def encode_content(content: Content) -> bytes | None:
    """Give the padded plaintext, which the caller wipes; None when it does not fit into a ticket."""
    packed = _ENCODER.encode(content)
    try:
        needed = _HEAD_BYTES + _LENGTH_BYTES + len(packed) + TAG_BYTES
        size = next((size for size in _SIZES if needed <= size), None)
        if size is None:
            return None
        return b"".join((len(packed).to_bytes(_LENGTH_BYTES), packed, bytes(size - needed)))
    finally:
        wipe_bytes(packed)


def decode_content(plaintext: bytes) -> Content:
    """Read what `encode_content` made; the caller wipes the psk in it, and `plaintext`."""
    end = _LENGTH_BYTES + int.from_bytes(plaintext[:_LENGTH_BYTES])
    return _DECODER.decode(memoryview(plaintext)[_LENGTH_BYTES:end])
