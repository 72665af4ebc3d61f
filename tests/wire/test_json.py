"""A peer's JSON is an object or it is none, at whatever depth of our own calls we look."""

import pytest

from sottovoce.wire import is_json_object

LIMIT = 256


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("data", [b"{}", b' {"a": [1, {"b": "\xc3\xa9"}]}\n', b"{" + b'"a":[],' * 300 + b'"b":1}'])
def test_objects(data: bytes) -> None:
    assert is_json_object(data)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'"a"', b"{", b'{"a":1}{}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":1e999}', b"[" * 4000]
)
def test_what_is_none(data: bytes) -> None:
    assert not is_json_object(data)


def test_nesting_has_a_limit_of_its_own() -> None:
    """Not that of the stack, which lies elsewhere for the next who looks at the same bytes."""
    assert is_json_object(nested(LIMIT))
    assert not is_json_object(nested(LIMIT + 1))


def test_brackets_in_strings_and_side_by_side_are_no_nesting() -> None:
    assert is_json_object(b'{"a":"' + b"[{" * 600 + b'\\"[","b":[' + b"[]," * 600 + b"[]]}")
    assert not is_json_object(b'{"a":"\\\\","b":' + b"[" * LIMIT + b"]" * LIMIT + b"}")
