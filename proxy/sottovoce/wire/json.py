"""Whether a peer's JSON, in metadata and frames of type 8, is an object."""

import msgspec


def is_json_object(data: bytes) -> bool:
    """Whether `data` is one JSON object.

    UTF-8, no lone surrogates, numbers in the range of a double (RFC 7493).  Nested deeper than our reader goes, it is
    none.
    """
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
