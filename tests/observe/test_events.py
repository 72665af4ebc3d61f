"""Names of log events are an interface: unique, of one shape, and spelt like their constants."""

import re

from sottovoce.observe import events

NAMES = {constant: value for constant, value in vars(events).items() if constant.isupper()}


def test_each_name_is_a_thing_and_what_happened_to_it() -> None:
    assert [name for name in NAMES.values() if not re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", name)] == []


def test_each_constant_is_spelt_like_its_name() -> None:
    assert [constant for constant, name in NAMES.items() if name.replace(".", "_") != constant.lower()] == []


def test_no_name_is_there_twice() -> None:
    assert len(set(NAMES.values())) == len(NAMES) > 20
