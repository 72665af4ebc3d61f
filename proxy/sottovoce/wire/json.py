"""Whether a peer's JSON, in metadata and frames of type 8, is an object."""

import re

import msgspec

_MAX_DEPTH = 256
"""Arrays and objects inside each other.  Our reader would go on to the end of the stack: then the same bytes would be
an object or none, depending on who looks."""

_strings = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def is_json_object(data: bytes) -> bool:
    """Whether `data` is one JSON object.

    UTF-8, no lone surrogates, numbers in the range of a double (RFC 7493).  Nested deeper than 256, it is none.
    """
    try:
        return isinstance(msgspec.json.decode(data), dict) and _is_shallow(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _is_shallow(data: bytes) -> bool:
    """Whether sound JSON keeps to the limit of depth."""
    if data.count(b"[") + data.count(b"{") <= _MAX_DEPTH:
        return True
    depth = 0
    for byte in _strings.sub(b"", data):
        if byte in b"[{":
            depth += 1
            if depth > _MAX_DEPTH:
                return False
        elif byte in b"]}":
            depth -= 1
    return True
