"""What a doctor says: one line for each thing looked at, the worst first, one line a cause.

A check names the checks that it rests on.  Where one of those has failed, it is not made: its line says what it waits
for, and is not counted again.  Nothing here looks at anything.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from sottovoce.primitives import one_line

_MAX_CHARACTERS = 600


class State(StrEnum):
    """How a thing is; the worst first."""

    FAIL = "fail"
    WARN = "warn"
    WAITS = "waits"
    OK = "ok"


class Finding(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    state: State
    what: str
    remedy: str = ""
    waits_for: str = ""
    """The finding that has failed and on which this one rests."""


class Report(msgspec.Struct, frozen=True):
    """The table: the worst first."""

    findings: tuple[Finding, ...]

    @property
    def failed(self) -> int:
        """How many things fail."""
        return sum(each.state is State.FAIL for each in self.findings)

    @property
    def warned(self) -> int:
        """How many things an operator should know of although all works."""
        return sum(each.state is State.WARN for each in self.findings)


def ok(name: str, what: str) -> Finding:
    """Say that a thing is well."""
    return Finding(name, State.OK, _line(what))


def warn(name: str, what: str, remedy: str) -> Finding:
    """Say that a thing works and should be better."""
    return Finding(name, State.WARN, _line(what), _line(remedy))


def fail(name: str, what: str, remedy: str) -> Finding:
    """Say that a thing does not work."""
    return Finding(name, State.FAIL, _line(what), _line(remedy))


def told(name: str, error: Exception) -> Finding:
    """Take one of our own error lines apart, which end in their remedy."""
    text = str(error)
    for mark in ("; ", ": "):
        happened, found, remedy = text.rpartition(mark)
        if found:
            return fail(name, happened, remedy)
    return fail(name, text or type(error).__name__, "run it again with SOTTOVOCE_DEBUG=1 and report it")


Look = Callable[[], Awaitable[Iterable[Finding]]]


class Check(NamedTuple):
    """One look at something; what it finds may have other names than its own."""

    name: str
    look: Look
    rests_on: tuple[str, ...] = ()


async def examine(checks: Sequence[Check]) -> Report:
    """Make the checks, in their order; each is there for all that come after it to rest on."""
    found: list[Finding] = []
    causes: dict[str, str] = {}
    for check in checks:
        cause = next((causes[each] for each in check.rests_on if each in causes), "")
        if cause:
            causes[check.name] = cause
            found.append(Finding(check.name, State.WAITS, f"waits for {cause}", waits_for=cause))
            continue
        try:
            findings = list(await check.look())
        except OSError as error:
            remedy = "run as the user who owns the directory"
            findings = [warn(check.name, f"cannot be looked at ({error.strerror or 'the system refused'})", remedy)]
        found += findings
        for each in findings:
            if each.state is State.FAIL:
                causes.setdefault(check.name, each.name)
                causes.setdefault(each.name, each.name)
    return report_of(found)


def report_of(findings: Iterable[Finding]) -> Report:
    """Sort, the worst first; where something was found twice, the worse counts and is told once."""
    worst: dict[str, State] = {}
    rank = list(State).index
    everything = list(dict.fromkeys(findings))
    for each in everything:
        worst[each.name] = min(worst.get(each.name, State.OK), each.state, key=rank)
    kept = [each for each in everything if each.state is worst[each.name]]
    return Report(tuple(sorted(kept, key=lambda each: rank(each.state))))


def _line(text: str) -> str:
    return one_line(text, max_characters=_MAX_CHARACTERS)
