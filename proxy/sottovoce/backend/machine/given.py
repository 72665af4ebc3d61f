"""What a handler gives to be sent, looked at before any of it is written.  Pure.

Bytes are whatever is contiguous by the buffer protocol, and count as bytes, not as items: an array of 320 samples of 16
bits is 640.  Everything of another type is its author's mistake and raises ApiMisuse there, with the remedy: written,
it would end the call, or with `mux` all calls of the connection.
"""

import json
from collections.abc import Mapping
from typing import cast

import msgspec

from sottovoce.primitives import ApiMisuse, one_line

_encoder = msgspec.json.Encoder()


def take_bytes(what: str, given: object) -> bytes:
    """Give the bytes of what was given.  Raises ApiMisuse."""
    if type(given) is bytes:
        return given
    try:
        view = memoryview(given)  # type: ignore[arg-type]  # which is what it says
    except (TypeError, ValueError, BufferError):  # no buffer, or one that was released
        remedy = "give bytes, or a bytearray, memoryview or array that holds them"
        raise ApiMisuse(f"{what}: {_name(given)} has no bytes: {remedy}") from None
    with view:
        if not view.c_contiguous:
            raise ApiMisuse(f"{what}: the bytes of this {_name(given)} do not lie together: give a copy, bytes(…)")
        return view.tobytes()


def take_integer(what: str, given: object, most: int) -> int:
    """Give a number from 0 on, as an int and nothing that looks like one.  Raises ApiMisuse."""
    if not isinstance(given, int) or isinstance(given, bool):
        raise ApiMisuse(f"{what} is {_name(given)}: give an int, 0 to {most}")
    if not 0 <= given <= most:
        raise ApiMisuse(f"{what} is out of range: give an int, 0 to {most}")
    return int(given)


def check_text(what: str, given: object) -> str:
    """Give what is a text, whatever stands in it.  Raises ApiMisuse."""
    if not isinstance(given, str):
        raise ApiMisuse(f"{what} is {_name(given)}: give a str")
    return given


def take_text(what: str, given: object) -> str:
    """Give a text that can be sent.  Raises ApiMisuse."""
    try:
        return check_text(what, given).encode().decode()
    except UnicodeEncodeError as error:  # a lone surrogate
        raise ApiMisuse(f"{what} is no text: {one_line(str(error))}: give what can be written as UTF-8") from None


def check_header(talk_spurt: object, end_of_turn: object, timestamp: object) -> None:
    """Look at what an audio frame has beside its bytes.  Raises ApiMisuse."""
    for name, flag in (("talk_spurt", talk_spurt), ("end_of_turn", end_of_turn)):
        if not isinstance(flag, bool):
            raise ApiMisuse(f"audio: {name} is {_name(flag)}: give True or False, bool(…) of other things")
    if timestamp is not None and (not isinstance(timestamp, int) or isinstance(timestamp, bool)):
        raise ApiMisuse(f"audio: timestamp is {_name(timestamp)}: give an int of samples, or None")


def take_object(given: object, most: int) -> bytes:
    """Give a JSON object as bytes.  Raises ApiMisuse, also for numbers that JSON does not have."""
    if not isinstance(given, Mapping):
        raise ApiMisuse(f"json: {_name(given)} is no object: give a mapping, a dict say")
    value = dict(cast("Mapping[object, object]", given))
    try:
        encoded = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ApiMisuse(f"json: {one_line(str(error))}: give what JSON has") from None
    if len(encoded) > most:
        raise ApiMisuse(f"json: {len(encoded)} bytes, {most} are allowed: send less")
    try:  # msgspec writes null for NaN and the infinities
        json.dumps(msgspec.to_builtins(value, enc_hook=_parsed), allow_nan=False)
    except (TypeError, ValueError, RecursionError, msgspec.DecodeError) as error:
        remedy = "give numbers that JSON has, neither NaN nor infinity, or None for null"
        raise ApiMisuse(f"json: {one_line(str(error))}: {remedy}") from None
    return encoded


def _parsed(given: object) -> object:
    """What was JSON already."""
    if isinstance(given, msgspec.Raw):
        return msgspec.json.decode(given)
    raise TypeError(f"objects of type {_name(given)} are unsupported")


def _name(given: object) -> str:
    return one_line(type(given).__name__)
