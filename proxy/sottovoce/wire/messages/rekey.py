"""Messages inside frames of type 6: the root step and tickets (protocol §3, types 12–16)."""

import msgspec

from sottovoce.wire.errors import bad_record
from sottovoce.wire.limits import MAX_TICKET_BYTES, MAX_TICKET_SECONDS
from sottovoce.wire.messages.flights import Verification
from sottovoce.wire.messages.tlv import body_of, encode_message, known_tlvs, tagged_u16, unsigned
from sottovoce.wire.types import MessageType

_CERTIFICATE_TAG = 5


class RekeyShare(msgspec.Struct, frozen=True):
    """RekeyInit (12) and RekeyResponse (13): the new epoch and a share."""

    epoch: int
    group: int
    share: bytes

    def encode(self, message_type: MessageType) -> bytes:
        """Encode the whole message as type 12 or 13."""
        return encode_message(message_type, [(1, self.epoch.to_bytes(4)), (2, self.group.to_bytes(2) + self.share)])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "RekeyShare":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1, 2}))
        group, share = tagged_u16(tlvs[2], "the share of a root step")
        return cls(epoch=unsigned(tlvs[1], 4, "the new epoch"), group=group, share=share)


class RekeyVerify(msgspec.Struct, frozen=True):
    """Type 14: the server proves its identity again; a certificate, if there is one, replaces the session's."""

    verification: Verification
    certificate: bytes | None = None

    def encode(self) -> bytes:
        """Encode the whole message."""
        fields = self.verification.tlvs()
        if self.certificate is not None:
            fields.append((_CERTIFICATE_TAG, self.certificate))
        return encode_message(MessageType.REKEY_VERIFY, fields)

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "RekeyVerify":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1, 2, 3}), optional=frozenset({4, _CERTIFICATE_TAG}))
        return cls(Verification.from_tlvs(tlvs), tlvs.get(_CERTIFICATE_TAG))


class NewTicket(msgspec.Struct, frozen=True):
    """Type 15."""

    lifetime_seconds: int
    ticket: bytes

    def encode(self) -> bytes:
        """Encode the whole message."""
        return encode_message(MessageType.NEW_TICKET, [(1, self.lifetime_seconds.to_bytes(4)), (2, self.ticket)])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "NewTicket":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1, 2}))
        if len(tlvs[2]) > MAX_TICKET_BYTES:
            raise bad_record("a ticket is too long")
        lifetime = unsigned(tlvs[1], 4, "the ticket's lifetime")
        if lifetime > MAX_TICKET_SECONDS:
            raise bad_record("a ticket lives too long")
        return cls(lifetime, tlvs[2])


def encode_rekey_request() -> bytes:
    """Encode RekeyRequest (16), which has no TLV."""
    return encode_message(MessageType.REKEY_REQUEST, [])


def check_rekey_request_untrusted(message: bytes) -> None:
    """Check that a RekeyRequest has no critical TLV.  Raises WireError."""
    known_tlvs(body_of(message), mandatory=frozenset())
