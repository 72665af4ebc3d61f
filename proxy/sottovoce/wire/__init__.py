"""Byte layouts of `sottovoce.v1` and nothing else.  Pure.

`frames`, `records` and `sframe` are used as modules (`wire.frames.decode_mark_untrusted`); messages are structs in
`wire.messages`.
"""

from sottovoce.wire import frames, messages, records, sframe
from sottovoce.wire.codecs import Codec
from sottovoce.wire.codes import Code, code_label
from sottovoce.wire.errors import WireError, bad_record, too_large
from sottovoce.wire.json import is_json_object
from sottovoce.wire.limits import (
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_SECOND,
    DATAGRAM_BYTES,
    EPOCH_SECONDS,
    FRAME_MILLISECONDS,
    LOSSY_FAILURES,
    MAX_AUTHORITIES_BYTES,
    MAX_COVER_BYTES,
    MAX_DATA_BYTES,
    MAX_DTMF_EVENT,
    MAX_EPOCH,
    MAX_HANDSHAKE_BYTES,
    MAX_JSON_BYTES,
    MAX_MARK_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_METADATA_BYTES,
    MAX_RECORD_BYTES,
    MAX_SMALL_RECORD_BYTES,
    MAX_STALL_SECONDS,
    MAX_TICKET_BYTES,
    MAX_TICKET_SECONDS,
    MAX_TOKEN_BYTES,
    MAX_TRANSPORT_MESSAGE_BYTES,
    MESSAGES_PER_KEY,
    PING_BYTES,
    PONGS_PER_SECOND,
    SENT_CONTROL_FRAMES_BURST,
    SENT_CONTROL_FRAMES_PER_SECOND,
    SLOT_CATCH_UP,
    SLOT_QUEUE_FRAMES,
)
from sottovoce.wire.stream import StreamReader, encode_stream_record
from sottovoce.wire.types import CredentialKind, FrameType, MessageType

__all__ = [
    "CONTROL_FRAMES_BURST",
    "CONTROL_FRAMES_PER_SECOND",
    "DATAGRAM_BYTES",
    "EPOCH_SECONDS",
    "FRAME_MILLISECONDS",
    "LOSSY_FAILURES",
    "MAX_AUTHORITIES_BYTES",
    "MAX_COVER_BYTES",
    "MAX_DATA_BYTES",
    "MAX_DTMF_EVENT",
    "MAX_EPOCH",
    "MAX_HANDSHAKE_BYTES",
    "MAX_JSON_BYTES",
    "MAX_MARK_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_METADATA_BYTES",
    "MAX_RECORD_BYTES",
    "MAX_SMALL_RECORD_BYTES",
    "MAX_STALL_SECONDS",
    "MAX_TICKET_BYTES",
    "MAX_TICKET_SECONDS",
    "MAX_TOKEN_BYTES",
    "MAX_TRANSPORT_MESSAGE_BYTES",
    "MESSAGES_PER_KEY",
    "PING_BYTES",
    "PONGS_PER_SECOND",
    "SENT_CONTROL_FRAMES_BURST",
    "SENT_CONTROL_FRAMES_PER_SECOND",
    "SLOT_CATCH_UP",
    "SLOT_QUEUE_FRAMES",
    "Code",
    "Codec",
    "CredentialKind",
    "FrameType",
    "MessageType",
    "StreamReader",
    "WireError",
    "bad_record",
    "code_label",
    "encode_stream_record",
    "frames",
    "is_json_object",
    "messages",
    "records",
    "sframe",
    "too_large",
]
