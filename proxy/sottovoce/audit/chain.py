"""The bytes of the audit log and the hash chain through them.  Pure.

A record is one line of JSON:

    {"index":7,"time":"2026-11-24T19:50:10.123456Z","event":"root_signed",…,"leaf":"…","head":"…"}

Its body is the object without `leaf` and `head`, byte for byte as it stands there.  `leaf` is the leaf hash of the body
(RFC 6962 §2.1: SHA-256 over 0x00 and the data), so that a Merkle tree can be laid over the same leaves later.  `head`
is SHA-256 over 0x01, the head of the record before (32 zero bytes at the start) and the leaf: it stands for the whole
log up to there.  No byte of a line is outside of this: the two hashes have one spelling, in one place.
"""

import hashlib
from typing import Final

import msgspec

from sottovoce.audit.errors import RecordInvalid
from sottovoce.audit.events import AuditEvent
from sottovoce.primitives import ApiMisuse

MAX_LINE_BYTES: Final = 65_536
"""Far more than an event needs; a reader holds no more than this of a file that is none of ours."""

_LEAF = b',"leaf":"'
_HEAD = b'","head":"'
_CLOSE = b'"}'
_HEX_BYTES = 64
_TRAILER_BYTES = len(_LEAF) + _HEX_BYTES + len(_HEAD) + _HEX_BYTES + len(_CLOSE)
MARK_BYTES: Final = len(_HEAD) + _HEX_BYTES + len(_CLOSE) + len("\n")
"""Of a line's last bytes, which tell where in a chain it stands."""
_MAX_SAID_BYTES = MAX_LINE_BYTES - _TRAILER_BYTES - len('{"index":,') - len(str(2**64)) - len("\n")


class ChainEnd(msgspec.Struct, frozen=True):
    """Where a log ends: how many records it has, and the head of the last."""

    records: int = 0
    head: bytes = bytes(32)


class _Stamp(msgspec.Struct):
    index: int
    time: str
    event: str


def encode_body(time: str, event: AuditEvent) -> bytes:
    """Give what a record says, whatever its place in the log.

    `time` is UTC in ISO 8601.  Raises ApiMisuse for an event that does not fit in a line.
    """
    said = b'"time":"%s",%s' % (time.encode(), msgspec.json.encode(event)[1:])
    if len(said) > _MAX_SAID_BYTES:
        raise ApiMisuse(f"an audit event of {len(said)} bytes, at most {_MAX_SAID_BYTES}")
    return said


def encode_record(end: ChainEnd, said: bytes) -> tuple[bytes, ChainEnd]:
    """Give the line, with its newline, that adds a record to a log; and where the log ends then."""
    body = b'{"index":%d,%s' % (end.records, said)
    leaf, head = _hashes(end, body)
    return body[:-1] + _trailer(leaf, head) + b"\n", ChainEnd(end.records + 1, head)


def check_record(end: ChainEnd, line: bytes) -> ChainEnd:
    """Check that a line, without its newline, continues a log, and give where the log ends then.

    Raises RecordInvalid, which says what is wrong.
    """
    body = line[:-_TRAILER_BYTES] + b"}"
    leaf, head = _hashes(end, body)
    if not line.startswith(_opening(end)):
        raise RecordInvalid(f"no record with index {end.records} begins here")
    if line[-_TRAILER_BYTES:] == _trailer(leaf, head):
        _check_body(body)
        return ChainEnd(end.records + 1, head)
    written = line[-_TRAILER_BYTES:][len(_LEAF) : len(_LEAF) + _HEX_BYTES]
    if written == leaf.hex().encode():
        raise RecordInvalid("its head does not follow from the line before")
    raise RecordInvalid("its content does not match its leaf hash")


def ends_with(end: ChainEnd, data: bytes) -> bool:
    """Tell whether `data` is, or ends in, the last bytes (MARK_BYTES) of the line that `end` is behind."""
    return data.endswith(_HEAD + end.head.hex().encode() + _CLOSE + b"\n")


def is_torn(end: ChainEnd, tail: bytes) -> bool:
    """Tell whether a tail without a newline is what a crash leaves of the next record: the beginning of it.

    Longer than a whole record it is something else: a crash cannot write what was not to be written.
    """
    opening = _opening(end)
    if not (tail.startswith(opening) or opening.startswith(tail)):
        return False
    return not _begins_with_record(end, tail)


def _begins_with_record(end: ChainEnd, tail: bytes) -> bool:
    """Whether a whole record stands at the start of `tail` with more behind it."""
    mark = tail.rfind(_LEAF)
    if mark < 0 or len(tail) <= mark + _TRAILER_BYTES:
        return False
    try:
        check_record(end, tail[: mark + _TRAILER_BYTES])
    except RecordInvalid:
        return False
    return True


def _opening(end: ChainEnd) -> bytes:
    return b'{"index":%d,"time":"' % end.records


def _hashes(end: ChainEnd, body: bytes) -> tuple[bytes, bytes]:
    leaf = hashlib.sha256(b"\x00" + body).digest()
    return leaf, hashlib.sha256(b"\x01" + end.head + leaf).digest()


def _trailer(leaf: bytes, head: bytes) -> bytes:
    return b"".join((_LEAF, leaf.hex().encode(), _HEAD, head.hex().encode(), _CLOSE))


def _check_body(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=_Stamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordInvalid("its hashes are right, but it is no event") from error
