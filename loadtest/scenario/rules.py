"""What one key of a scenario means for another, as far as it can be said of a file that has other mistakes.  Pure.

So a table is looked at as it was read: what is not there, or is no number that it may be, is left out, and so is a
group with a key that nobody knows, as that may be the one that is missing.  A fault has the form `key: reason; remedy`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import cast

from sottovoce.settings.explain import join

FRAME_MS = (10, 20, 40, 60)
JOINING_PER_SECOND = 50.0
_MOST = 1e9
"""No number that a key may hold is larger."""
_TOGETHER = (
    ("talks_seconds", "pauses_seconds", "turns have silences between"),
    ("pauses_seconds", "talks_seconds", "silences are between turns, of which there are none"),
    ("stalls_seconds", "reads_seconds", "nothing would ever be read"),
    ("reads_seconds", "stalls_seconds", "there is no stall between"),
)
"""A key, the one that it needs beside it, and why."""

_Section = Mapping[str, object]


def faults_of(table: _Section, group_keys: frozenset[str]) -> Iterator[str]:
    """Give every fault of a whole file; `group_keys` are those that a group may have."""
    groups, outages, phases = _sections(table, "groups"), _sections(table, "outages"), _named(table, "phases")
    spelt = {name: group for name, group in groups.items() if group.keys() <= group_keys}
    for name, group in spelt.items():
        yield from (f"{join('groups', name)}.{fault}" for fault in faults_of_group(group))
    for name, outage in outages.items():
        yield from (f"{join('outages', name)}.{fault}" for fault in faults_of_outage(outage))
    if table.get("groups") == {}:
        yield "groups: there is none; write [groups.callers] with calls = 10"
    yield from _faults_of_phases(phases)
    seconds = _number(table, "seconds")
    if seconds is not None:
        yield from _beyond(table, phases, seconds)
        yield from _too_many(spelt, seconds)
    if groups and all(_number(group, "at_seconds") for group in groups.values()):
        yield "groups: all of them join later; leave at_seconds out of one"
    yield from _overlapping(outages)


def faults_of_group(group: _Section) -> Iterator[str]:
    """Give the faults of a `[groups.NAME]` by itself."""
    frame_ms = group.get("frame_ms")
    if isinstance(frame_ms, int) and FRAME_MS[0] <= frame_ms <= FRAME_MS[-1] and frame_ms not in FRAME_MS:
        yield f"frame_ms: is {frame_ms}, which no call has; write 10, 20, 40 or 60"
    for key, other, why in _TOGETHER:
        if _number(group, key) and _number(group, other, absent=0.0) == 0:
            yield f"{key}: {why}; write {other} too, or neither"


def faults_of_outage(outage: _Section) -> Iterator[str]:
    """Give the faults of an `[outages.NAME]` by itself."""
    begins, ends = _number(outage, "at_seconds"), _number(outage, "until_seconds")
    if begins is not None and ends is not None and ends <= begins:
        yield "until_seconds: is not after at_seconds; write a later instant"


def _faults_of_phases(phases: _Section) -> Iterator[str]:
    starts = [each for name in phases if (each := _number(phases, name)) is not None]
    if not starts or len(starts) < len(phases):
        return
    if starts[0] != 0 or sorted(set(starts)) != starts or any(each % 1 for each in starts):
        yield "phases: are not whole seconds that rise from 0; write them so"


def _beyond(table: _Section, phases: _Section, seconds: float) -> Iterator[str]:
    """Give what would never come."""
    instants = [
        (join(join(kind, name), key), _number(section, key))
        for kind, key in (("groups", "at_seconds"), ("outages", "until_seconds"))
        for name, section in _sections(table, kind).items()
    ]
    instants += [(join("phases", name), _number(phases, name)) for name in phases]
    for key, instant in instants:
        if instant is not None and instant >= seconds:
            yield f"{key}: is not before the end; write less than seconds, which is {seconds:g}"


def _too_many(groups: Mapping[str, _Section], seconds: float) -> Iterator[str]:
    """Give the groups of which not all calls would come."""
    for name, group in groups.items():
        begins, calls = _number(group, "at_seconds"), _number(group, "calls")
        rate = _number(group, "per_second", absent=JOINING_PER_SECOND)
        if begins and begins < seconds and calls and rate:
            coming = math.ceil(round((seconds - begins) * rate, 6))
            if coming < calls:
                yield (
                    f"{join('groups', name)}.calls: only {coming} of {calls:g} begin before the end; "
                    "write no more than that, or have more per_second"
                )


def _overlapping(outages: Mapping[str, _Section]) -> Iterator[str]:
    """Give outages that begin while another lasts: the backend would be back when the first of them ends."""
    times = [
        (begins, ends, name)
        for name, outage in outages.items()
        if (begins := _number(outage, "at_seconds")) is not None
        and (ends := _number(outage, "until_seconds")) is not None
        and begins < ends
    ]
    lasting: tuple[float, float, str] | None = None
    for begins, ends, name in sorted(times):
        if lasting is not None and begins <= lasting[1]:
            yield (
                f"{join('outages', name)}.at_seconds: is {begins:g}, when {join('outages', lasting[2])} "
                f"({lasting[0]:g} to {lasting[1]:g}) is not over; write a later instant, or one outage for both"
            )
        if lasting is None or ends > lasting[1]:
            lasting = (begins, ends, name)


def _sections(table: _Section, kind: str) -> dict[str, _Section]:
    named = _named(table, kind)
    return {name: cast("_Section", section) for name, section in named.items() if isinstance(section, dict)}


def _named(table: _Section, kind: str) -> _Section:
    found = table.get(kind)
    return cast("_Section", found) if isinstance(found, dict) else {}


def _number(section: _Section, key: str, absent: float | None = None) -> float | None:
    value = section.get(key, absent)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST else None
