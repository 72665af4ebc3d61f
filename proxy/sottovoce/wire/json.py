"""One question about a peer's JSON, in metadata and frames of type 8: is it an object?"""

import msgspec


def is_json_object(data: bytes) -> bool:
    """Whether `data` is one JSON object, UTF-8, however deep."""
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
