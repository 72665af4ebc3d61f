"""The sealed handshake messages: the server's flight and the client's (protocol §3, types 4–11)."""

import msgspec

from sottovoce.primitives import wipe_bytes
from sottovoce.wire.errors import bad_record
from sottovoce.wire.json import is_json_object
from sottovoce.wire.limits import MAX_METADATA_BYTES, MAX_PATH_NODES
from sottovoce.wire.messages.tlv import Tlv, body_of, encode_message, fixed, known_tlvs, tagged_u16, unsigned
from sottovoce.wire.types import MessageType

MAC_BYTES = 48
NODE_BYTES = 48
SESSION_ID_BYTES = 16


class ServerParams(msgspec.Struct, frozen=True):
    """Type 4: what the server decided for this session.  Ranges are the client's to check (`policy`)."""

    session_id: bytes
    epoch_seconds: int
    messages_per_key: int
    padding: int
    codecs: tuple[int, ...]
    reauthenticate_every: int
    credential_kinds: tuple[int, ...]

    def encode(self) -> bytes:
        """Encode the whole message."""
        fields = [
            (1, self.session_id),
            (2, self.epoch_seconds.to_bytes(2)),
            (3, self.messages_per_key.to_bytes(4)),
            (4, self.padding.to_bytes(1)),
            (5, bytes(self.codecs)),
            (6, self.reauthenticate_every.to_bytes(1)),
            (7, bytes(self.credential_kinds)),
        ]
        return encode_message(MessageType.SERVER_PARAMS, fields)

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ServerParams":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset(range(1, 8)))
        if not tlvs[5]:
            raise bad_record("the codec list is empty")
        return cls(
            session_id=fixed(tlvs[1], SESSION_ID_BYTES, "the session id"),
            epoch_seconds=unsigned(tlvs[2], 2, "the epoch seconds"),
            messages_per_key=unsigned(tlvs[3], 4, "the messages per key"),
            padding=unsigned(tlvs[4], 1, "the padding class"),
            codecs=tuple(tlvs[5]),
            reauthenticate_every=unsigned(tlvs[6], 1, "the re-authentication interval"),
            credential_kinds=tuple(tlvs[7]),
        )


class ServerCertificate(msgspec.Struct, frozen=True):
    """Type 5: one voice certificate, undecoded."""

    certificate: bytes

    def encode(self) -> bytes:
        """Encode the whole message."""
        return encode_message(MessageType.SERVER_CERTIFICATE, [(1, self.certificate)])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ServerCertificate":
        """Decode a whole message.  Raises WireError."""
        return cls(known_tlvs(body_of(message), mandatory=frozenset({1}))[1])


class Verification(msgspec.Struct, frozen=True):
    """TLVs 1–4 of ServerVerify and RekeyVerify: a Merkle path and the signatures over its root.

    `path` holds 48-byte nodes, leaf to root; `directions` one number each, 0 = sibling on the right, 1 = on the left;
    a signature is (algorithm number, bytes).
    """

    path: tuple[bytes, ...]
    directions: tuple[int, ...]
    classical: tuple[int, bytes]
    pq: tuple[int, bytes] | None

    def tlvs(self) -> list[Tlv]:
        """The four TLVs; the last only where there is a PQ signature."""
        fields: list[Tlv] = [
            (1, b"".join(self.path)),
            (2, bytes(self.directions)),
            (3, self.classical[0].to_bytes(2) + self.classical[1]),
        ]
        if self.pq is not None:
            fields.append((4, self.pq[0].to_bytes(2) + self.pq[1]))
        return fields

    def encode(self) -> bytes:
        """Encode a whole ServerVerify message (type 6)."""
        return encode_message(MessageType.SERVER_VERIFY, self.tlvs())

    @classmethod
    def from_tlvs(cls, tlvs: dict[int, bytes]) -> "Verification":
        """Read TLVs 1–4.  Raises bad_record."""
        nodes, directions = tlvs[1], tuple(tlvs[2])
        if len(nodes) != NODE_BYTES * len(directions) or len(directions) > MAX_PATH_NODES:
            raise bad_record("a Merkle path has a wrong length")
        if any(direction > 1 for direction in directions):
            raise bad_record("a path direction is neither 0 nor 1")
        return cls(
            path=tuple(nodes[i : i + NODE_BYTES] for i in range(0, len(nodes), NODE_BYTES)),
            directions=directions,
            classical=tagged_u16(tlvs[3], "the classical signature"),
            pq=tagged_u16(tlvs[4], "the PQ signature") if 4 in tlvs else None,  # noqa: PLR2004  the tag
        )

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "Verification":
        """Decode a whole ServerVerify message.  Raises WireError."""
        return cls.from_tlvs(known_tlvs(body_of(message), mandatory=frozenset({1, 2, 3}), optional=frozenset({4})))


def encode_finished(message_type: MessageType, mac: bytes) -> bytes:
    """Encode ServerFinished (7) or ClientFinished (11)."""
    return encode_message(message_type, [(1, mac)])


def decode_finished_untrusted(message: bytes) -> bytes:
    """The mac of a Finished message, 48 bytes.  Raises WireError."""
    return fixed(known_tlvs(body_of(message), mandatory=frozenset({1}))[1], MAC_BYTES, "a finished mac")


class ClientParams(msgspec.Struct, frozen=True):
    """Type 8: what the client will send and wants to hear.  `metadata` is a JSON object for the backend."""

    send_codec: int
    receive_codec: int
    frame_milliseconds: int
    metadata: bytes | None = None

    def encode(self) -> bytes:
        """Encode the whole message."""
        fields: list[Tlv] = [
            (1, self.send_codec.to_bytes(1)),
            (2, self.receive_codec.to_bytes(1)),
            (3, self.frame_milliseconds.to_bytes(1)),
        ]
        if self.metadata is not None:
            fields.append((4, self.metadata))
        return encode_message(MessageType.CLIENT_PARAMS, fields)

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ClientParams":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1, 2, 3}), optional=frozenset({4}))
        metadata = tlvs.get(4)
        if metadata is not None and (len(metadata) > MAX_METADATA_BYTES or not is_json_object(metadata)):
            raise bad_record("the metadata is too long or no JSON object")
        return cls(
            send_codec=unsigned(tlvs[1], 1, "the send codec"),
            receive_codec=unsigned(tlvs[2], 1, "the receive codec"),
            frame_milliseconds=unsigned(tlvs[3], 1, "the frame duration"),
            metadata=metadata,
        )


class ClientCredential(msgspec.Struct, frozen=True):
    """Type 9.  `value` may be a bearer token, so this struct is never logged or shown."""

    kind: int
    value: bytes

    def __repr__(self) -> str:
        return f"ClientCredential(kind={self.kind}, {len(self.value)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what `rich` shows instead of a repr
        return [("kind", self.kind), ("bytes", len(self.value))]

    def encode(self) -> bytes:
        """Encode the whole message."""
        return encode_message(MessageType.CLIENT_CREDENTIAL, [(1, self.kind.to_bytes(1)), (2, self.value)])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ClientCredential":
        """Decode a whole message.  Raises WireError."""
        body = body_of(message)
        try:
            tlvs = known_tlvs(body, mandatory=frozenset({1, 2}))
        finally:
            wipe_bytes(body)  # a copy of what may be a token
        return cls(kind=unsigned(tlvs[1], 1, "the credential kind"), value=tlvs[2])


class ClientVerify(msgspec.Struct, frozen=True):
    """Type 10: possession of a signing key (credential kind 2)."""

    signature: tuple[int, bytes]

    def encode(self) -> bytes:
        """Encode the whole message."""
        number, signature = self.signature
        return encode_message(MessageType.CLIENT_VERIFY, [(1, number.to_bytes(2) + signature)])

    @classmethod
    def decode_untrusted(cls, message: bytes) -> "ClientVerify":
        """Decode a whole message.  Raises WireError."""
        tlvs = known_tlvs(body_of(message), mandatory=frozenset({1}))
        return cls(signature=tagged_u16(tlvs[1], "the client signature"))
