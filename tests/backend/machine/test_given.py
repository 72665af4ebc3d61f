"""What a handler gives: whatever has bytes counts as its bytes, the rest is refused with the remedy."""

import ctypes
import enum
import json
import math
from array import array
from collections import OrderedDict, UserDict
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given as cases
from hypothesis import strategies as st

from sottovoce.backend.machine import given
from sottovoce.primitives import ApiMisuse

SAMPLES = array("h", range(160))
LINEAR = SAMPLES.tobytes()


class Number(int):
    """As some libraries have their own."""


class Name(str):
    """As some libraries have their own."""

    __slots__ = ()


class Words(enum.StrEnum):
    HELLO = "hello"


class Named(msgspec.Struct):
    value: float


@pytest.mark.parametrize(
    "holder",
    [
        LINEAR,
        bytearray(LINEAR),
        SAMPLES,
        memoryview(SAMPLES),
        memoryview(LINEAR).cast("B", (10, 32)),
        memoryview(b"??" + LINEAR)[2:],
        (ctypes.c_int16 * 160)(*range(160)),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_bytes_are_whatever_holds_them(holder: object) -> None:
    taken = given.take_bytes("audio", holder)
    assert type(taken) is bytes
    assert taken == LINEAR


def test_what_was_taken_is_nobodys_to_change_and_holds_nothing_fast() -> None:
    holder = bytearray(b"abc")
    taken = given.take_bytes("audio", holder)
    holder[:] = b"something longer"
    assert taken == b"abc"


def test_bytes_cost_no_copy() -> None:
    assert given.take_bytes("audio", LINEAR) is LINEAR


@pytest.mark.parametrize("wrong", ["text", 3, 1.5, None, True, [1, 2], (1,), {"a": 1}, object(), bytes])
def test_what_has_no_bytes(wrong: object) -> None:
    with pytest.raises(ApiMisuse, match=r"^audio: \w+ has no bytes: give bytes, or a bytearray, memoryview or array"):
        given.take_bytes("audio", wrong)


def test_bytes_that_do_not_lie_together_and_some_that_were_given_back() -> None:
    with pytest.raises(ApiMisuse, match=r"do not lie together: give a copy, bytes\("):
        given.take_bytes("audio", memoryview(SAMPLES)[::2])
    released = memoryview(b"abc")
    released.release()
    with pytest.raises(ApiMisuse, match="memoryview has no bytes"):
        given.take_bytes("audio", released)


@pytest.mark.parametrize("number", [0, 15, Number(7), enum.IntEnum("Keys", {"HASH": 11}).HASH])  # type: ignore[attr-defined]
def test_numbers(number: int) -> None:
    taken = given.take_integer("dtmf: event", number, 15)
    assert type(taken) is int
    assert taken == number


@pytest.mark.parametrize("wrong", [True, False, 1.0, 1.5, math.nan, "1", b"1", None, [1], 1j])
def test_what_only_looks_like_a_number(wrong: object) -> None:
    with pytest.raises(ApiMisuse, match=r"^dtmf: event is \w+: give an int, 0 to 15$"):
        given.take_integer("dtmf: event", wrong, 15)


@pytest.mark.parametrize("wrong", [-1, 16, 10**400])
def test_numbers_out_of_range(wrong: int) -> None:
    with pytest.raises(ApiMisuse, match=r"^dtmf: event is out of range: give an int, 0 to 15$"):
        given.take_integer("dtmf: event", wrong, 15)


@pytest.mark.parametrize(("text", "said"), [("ä", "ä"), ("", ""), (Name("a"), "a"), (Words.HELLO, "hello")])
def test_texts(text: str, said: str) -> None:
    taken = given.take_text("mark: the name", text)
    assert type(taken) is str
    assert taken == said


@pytest.mark.parametrize(
    ("wrong", "why"), [(b"a", "bytes: give a str"), (None, "NoneType: give"), ("\ud800", "no text: .*UTF-8")]
)
def test_what_is_no_text(wrong: object, why: str) -> None:
    with pytest.raises(ApiMisuse, match=rf"^mark: the name is {why}"):
        given.take_text("mark: the name", wrong)


@pytest.mark.parametrize(
    "header", [(1, False, None), (False, 2, None), ("", False, None), (False, False, 1.5), (False, False, True)]
)
def test_what_no_audio_has_beside_its_bytes(header: tuple[object, object, object]) -> None:
    with pytest.raises(ApiMisuse, match=r"^audio: \w+ is \w+: give "):
        given.check_header(*header)
    given.check_header(talk_spurt=True, end_of_turn=False, timestamp=2**40)


@pytest.mark.parametrize(
    "value", [{}, {"a": None}, OrderedDict(a=1), UserDict(a=[1.5]), MappingProxyType({"a": "null"})]
)
def test_objects(value: Mapping[str, object]) -> None:
    assert json.loads(given.take_object(value, 100)) == dict(value)


def test_what_is_json_already_goes_as_it_is() -> None:
    assert given.take_object({"a": msgspec.Raw(b'{"b": [1]}')}, 100) == b'{"a":{"b": [1]}}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have(number: float) -> None:
    for value in ({"a": number}, {"a": [{"b": number}]}, {"a": Named(number)}, {number: 1}):
        with pytest.raises(ApiMisuse, match="neither NaN nor infinity"):
            given.take_object(value, 100)


@pytest.mark.parametrize("wrong", [[], [("a", 1)], "", "{}", b"{}", 1, None, Named(1.0)])
def test_what_is_no_object(wrong: object) -> None:
    with pytest.raises(ApiMisuse, match=r"^json: \w+ is no object: give a mapping"):
        given.take_object(wrong, 100)


def test_what_json_has_not() -> None:
    endless: dict[str, object] = {}
    endless["a"] = endless
    odd = {"a": object()}, {"a": "\ud800"}, {None: 1}, {"a": msgspec.Raw(b"NaN")}, {"a": msgspec.Raw(b"{")}, endless
    for value in (*odd, {"a": "a" * 100}):
        with pytest.raises(ApiMisuse, match=r"^json: .*: (give|send) "):
            given.take_object(value, 100)


@cases(st.dictionaries(st.text(st.characters(codec="utf-8")), st.none() | st.floats() | st.lists(st.floats())))
def test_an_object_arrives_as_it_was_given_or_is_refused(value: dict[str, object]) -> None:
    flat = [each for one in value.values() for each in (one if isinstance(one, list) else [one])]
    try:
        taken = given.take_object(value, 10**6)
    except ApiMisuse:
        assert any(isinstance(each, float) and not math.isfinite(each) for each in flat)
    else:
        assert json.loads(taken) == value
