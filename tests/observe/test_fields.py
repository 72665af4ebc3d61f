import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.observe.fields import (
    MAX_EXCEPTIONS,
    MAX_ITEMS,
    MAX_TEXT,
    error_text,
    error_trail,
    plain_fields,
    plain_value,
    printable,
)
from sottovoce.primitives import Secret, SottovoceError, Suite

KEY = bytes(range(0xA0, 0xC0))


class Talkative:
    """Somebody's class whose repr says too much."""

    def __repr__(self) -> str:
        return KEY.hex()

    __str__ = __repr__


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("text", "text"),
        (Path("/etc/x"), "/etc/x"),
        (Suite(1), Suite(1).name.lower()),
        (KEY, "<32 bytes>"),
        (bytearray(KEY[:16]), "<16 bytes>"),
        (memoryview(KEY), "<memoryview>"),
        (Secret("epoch key", KEY), "<Secret epoch key, 32 bytes>"),
        (Talkative(), "<Talkative>"),
        (Talkative, "<type>"),
        ([1, KEY], [1, "<32 bytes>"]),
        ((1,), [1]),
        ({"a": {"b": Talkative()}}, {"a": {"b": "<Talkative>"}}),
        ({KEY: 1}, {"<32 bytes>": 1}),
    ],
)
def test_values(value: object, plain: object) -> None:
    assert plain_value(value) == plain


def test_long_text_and_large_collections_are_cut() -> None:
    assert plain_value("x" * (MAX_TEXT + 1)) == f"{'x' * MAX_TEXT}… ({MAX_TEXT + 1} characters)"
    assert plain_value(list(range(MAX_ITEMS + 1))) == list(range(MAX_ITEMS))
    assert plain_value([[[[[1]]]]]) == [[[["<list>"]]]]
    endless: list[object] = []
    endless.append(endless)
    assert plain_value(endless) == [[[["<list>"]]]]


names = st.sampled_from("abc")
values = st.recursive(
    st.binary(min_size=4).map(lambda tail: KEY[:8] + tail) | st.none() | st.integers() | st.builds(Talkative),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(st.dictionaries(names, values))
def test_no_byte_gets_through(fields: dict[str, object]) -> None:
    text = json.dumps(plain_fields(fields))
    assert KEY[:4].hex() not in text
    assert "\\xa0" not in text.lower()
    assert "\\u00a0\\u00a1" not in text.lower()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SottovoceError("no token 'sottovoce'"), "SottovoceError: no token 'sottovoce'"),
        (SottovoceError(), "SottovoceError"),
        (OSError(2, "No such file", "/x"), "FileNotFoundError: No such file: /x"),
        (OSError(2, "No such file", KEY), "FileNotFoundError: No such file"),
        (ValueError(KEY), "ValueError"),
        (KeyError(KEY.hex()), "KeyError"),
    ],
)
def test_only_our_own_errors_and_the_systems_speak(error: Exception, text: str) -> None:
    assert error_text(error) == text
    assert plain_value(error) == text


def caught(function: Callable[[], None]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # any: that is the point
        function()
    return caught.value


def fail_with_key() -> None:
    key = KEY.hex()
    message = f"bad {key}"
    raise ValueError(message)


def fail_because() -> None:
    try:
        fail_with_key()
    except ValueError as error:
        message = "told"
        raise SottovoceError(message) from error


def fail_in_a_group() -> None:
    message = "many"
    raise BaseExceptionGroup(message, [caught(fail_because), KeyError(KEY)])


def test_a_trail_names_causes_members_and_places_but_no_variable() -> None:
    trail = error_trail(caught(fail_in_a_group))
    assert [error["error"] for error in trail if isinstance(error, dict)] == [
        "ExceptionGroup",
        "SottovoceError: told",
        "KeyError",
        "ValueError",
    ]
    assert f"{__name__}:{fail_because.__code__.co_firstlineno + 2} fail_because" in json.dumps(trail)
    assert KEY.hex() not in json.dumps(trail)


def test_a_trail_ends_though_causes_go_in_a_circle() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert len(error_trail(first)) == 2
    chain = ValueError()
    for _ in range(2 * MAX_EXCEPTIONS):
        outer = ValueError()
        outer.__cause__ = chain
        chain = outer
    assert len(error_trail(chain)) == MAX_EXCEPTIONS


def test_printable_leaves_no_control_character() -> None:
    assert printable("a\x1b[31m\u202eb\nü") == "a\\x1b[31m\\u202eb\\nü"
