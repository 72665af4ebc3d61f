"""One record as a line for people.  Pure.

    2026-11-24 19:50:10.123      7  call started              session=9f… route=echo identity="" client=127.0.0.1:5060

Names and reasons may come from a peer: what could steer a terminal is written as an escape.
"""

import json
from typing import cast

from sottovoce.audit.read import Record

_PLAIN_MARKS = frozenset("-_.:/@+[]*")


def format_event_line(record: Record) -> str:
    """Give a record as one line of printable text: when, its index, what, and the event's own fields."""
    date, _, clock = record.time.partition("T")
    fields = " ".join(f"{_show(name)}={_show(value)}" for name, value in record.fields.items())
    what = record.event.replace("_", " ")
    line = f"{_show(date)} {_show(clock[:12])} {record.index:>6}  {_show(what, is_heading=True):<25} {fields}"
    return line.rstrip()


def _show(value: object, *, is_heading: bool = False) -> str:
    """Write a value so that it is one word, and printable."""
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    if isinstance(value, list):
        return ",".join(_show(item) for item in cast("list[object]", value))
    text = str(value)
    marks = _PLAIN_MARKS | {" "} if is_heading else _PLAIN_MARKS
    if text and all(letter in marks or (letter.isascii() and letter.isalnum()) for letter in text):
        return text
    return json.dumps(text)
