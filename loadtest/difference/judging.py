"""Holds one result's figures against another's.  Pure."""

import msgspec

from loadtest.difference.figures import Figure, Result
from loadtest.report import words

WORSE, BETTER, SAME, UNKNOWN, UNJUDGED = "WORSE", "better", "the same", "not in both", ""
HEADS = ["figure", "before", "after", "after / before", "verdict"]


class Line(msgspec.Struct, frozen=True):
    """One figure of both."""

    name: str
    unit: str
    before: float | None
    after: float | None
    ratio: float | None
    """None where there was nothing before, or one of the two is not there."""
    verdict: str

    def cells(self) -> list[str]:
        """Give its row; every cell says something."""
        ratio = "none" if self.ratio is None else f"{self.ratio:.2f} ×"
        return [self.name, self._shown(self.before), self._shown(self.after), ratio, self.verdict or "not judged"]

    def _shown(self, value: float | None) -> str:
        if value is None:
            return "none"
        return f"{words.number(value)} {self.unit}" if self.unit else words.count(round(value))


class Difference(msgspec.Struct, frozen=True):
    """What came of it."""

    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    failed: str | None
    """Why nothing shows that it is as good as before; None if it is."""
    is_judged: bool = True
    """False when nothing follows from holding these two against each other; then no line has a verdict."""


def compare_results(before: Result, after: Result, percent: float) -> Difference:
    """Judge every figure; one is worse when it is so by more than `percent` of what it was.

    Of other loads, or of a result that is not sound, nothing is judged.
    """
    then, now = ({figure.name: figure for figure in result.figures} for result in (before, after))
    lines = tuple(_line(then.get(name), now.get(name), percent) for name in dict.fromkeys([*then, *now]))
    remarks = _remarks(before, after)
    if hindrance := _hindrance(before, after):
        unjudged = tuple(msgspec.structs.replace(line, verdict=UNJUDGED) for line in lines)
        return Difference(unjudged, remarks, f"no verdict, {hindrance}", is_judged=False)
    worse = [line.name for line in lines if line.verdict == WORSE]
    return Difference(lines, remarks, f"worse by more than {percent:g} %: {'; '.join(worse)}" if worse else None)


def _hindrance(before: Result, after: Result) -> str | None:
    """Say why nothing follows from the two; None if something does."""
    for word, result in (("the first", before), ("the second", after)):
        if result.unsound is not None:
            return f"{word} is no sound result: {result.unsound}"
    if before.load != after.load:
        return f"not the same load: first {before.load}; then {after.load}: give two results of one load"
    return None


def _remarks(before: Result, after: Result) -> tuple[str, ...]:
    if before.machine == after.machine:
        return ()
    return (f"NOT THE SAME MACHINE: first {before.machine}; then {after.machine}",)


def _line(before: Figure | None, after: Figure | None, percent: float) -> Line:
    known = after or before
    if known is None:
        raise ValueError("a figure of neither")
    then, now = (None if each is None else each.value for each in (before, after))
    if then is None or now is None:
        return Line(known.name, known.unit, then, now, None, UNKNOWN if known.worse else UNJUDGED)
    ratio = now / then if then else None
    if not known.worse:
        return Line(known.name, known.unit, then, now, ratio, UNJUDGED)
    change = (now - then) * known.worse
    is_same = abs(change) <= known.least or abs(change) <= abs(then) * percent / 100
    verdict = SAME if is_same else WORSE if change > 0 else BETTER
    return Line(known.name, known.unit, then, now, ratio, verdict)
