"""The plain handshake messages: ClientHello, ServerHello, HelloRetry (protocol §3, types 1–3)."""

import msgspec

from sottovoce.wire.errors import bad_record
from sottovoce.wire.limits import MAX_TICKET_BYTES
from sottovoce.wire.messages.tlv import (
    FIRST_SKIPPABLE_TAG,
    Tlv,
    body_of,
    decode_tlvs,
    encode_message,
    fixed,
    known_tlvs,
    tagged_u16,
    u16_list,
    unsigned,
)
from sottovoce.wire.types import MessageType

VERSION_1 = 0x0001
RANDOM_BYTES = 32


class ClientHello(msgspec.Struct, frozen=True):
    """Type 1.  `shares` are (group, share), in the client's order; `skippable` are the random tags from 0x80 on."""

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    random: bytes
    shares: tuple[tuple[int, bytes], ...]
    binding_type: int
    ticket: bytes | None = None
    skippable: tuple[Tlv, ...] = ()

    def encode(self) -> bytes:
        """Encode the whole message."""
        fields: list[Tlv] = [
            (1, b"".join(version.to_bytes(2) for version in self.versions)),
            (2, b"".join(suite.to_bytes(2) for suite in self.suites)),
            (3, self.random),
            (4, b"".join(g.to_bytes(2) + len(share).to_bytes(2) + share for g, share in self.shares)),
        ]
        if self.ticket is not None:
            fields.append((5, self.ticket))
        fields.append((6, self.binding_type.to_bytes(1)))
        return encode_message(MessageType.CLIENT_HELLO, [*fields, *self.skippable])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ClientHello":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1, 2, 3, 4, 6}), optional=frozenset({5}))
        ticket = tlvs.get(5)
        if ticket is not None and len(ticket) > MAX_TICKET_BYTES:
            raise bad_record("a ticket is too long")
        return cls(
            versions=u16_list(tlvs[1], "the version list"),
            suites=u16_list(tlvs[2], "the suite list"),
            random=fixed(tlvs[3], RANDOM_BYTES, "the client random"),
            shares=_decode_shares(tlvs[4]),
            binding_type=unsigned(tlvs[6], 1, "the binding type"),
            ticket=ticket,
            skippable=tuple(tlv for tlv in decode_tlvs(body_of(message)) if tlv[0] >= FIRST_SKIPPABLE_TAG),
        )


def _decode_shares(value: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read `(group u16, len u16, share)*`.  Raises bad_record for a cut-off share or a group that comes twice."""
    shares: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(value):
        if len(value) - offset < 4:  # noqa: PLR2004  two u16
            raise bad_record("a key share is cut off")
        group = int.from_bytes(value[offset : offset + 2])
        length = int.from_bytes(value[offset + 2 : offset + 4])
        offset += 4
        if len(value) - offset < length:
            raise bad_record("a key share is cut off")
        shares.append((group, value[offset : offset + length]))
        offset += length
    if len({group for group, _ in shares}) != len(shares):
        raise bad_record("two key shares of one group")
    return tuple(shares)


class ServerHello(msgspec.Struct, frozen=True):
    """Type 2."""

    version: int
    suite: int
    random: bytes
    group: int
    share: bytes
    ticket_accepted: bool = False

    def encode(self) -> bytes:
        """Encode the whole message."""
        fields: list[Tlv] = [
            (1, self.version.to_bytes(2)),
            (2, self.suite.to_bytes(2)),
            (3, self.random),
            (4, self.group.to_bytes(2) + self.share),
        ]
        if self.ticket_accepted:
            fields.append((5, b"\x01"))
        return encode_message(MessageType.SERVER_HELLO, fields)

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ServerHello":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1, 2, 3, 4}), optional=frozenset({5}))
        group, share = tagged_u16(tlvs[4], "the server share")
        if 5 in tlvs and tlvs[5] != b"\x01":  # noqa: PLR2004  the tag
            raise bad_record("ticket accepted is something else than 1")
        return cls(
            version=unsigned(tlvs[1], 2, "the version"),
            suite=unsigned(tlvs[2], 2, "the suite"),
            random=fixed(tlvs[3], RANDOM_BYTES, "the server random"),
            group=group,
            share=share,
            ticket_accepted=5 in tlvs,  # noqa: PLR2004  the tag
        )


class HelloRetry(msgspec.Struct, frozen=True):
    """Type 3: names the group whose share the server wants."""

    group: int

    def encode(self) -> bytes:
        """Encode the whole message."""
        return encode_message(MessageType.HELLO_RETRY, [(1, self.group.to_bytes(2))])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "HelloRetry":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1}))
        return cls(group=unsigned(tlvs[1], 2, "the group"))
