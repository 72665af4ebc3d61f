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


def compare_results(before: Result, after: Result, percent: float) -> Difference:
    """Judge every figure; one is worse when it is so by more than `percent` of what it was."""
    then, now = ({figure.name: figure for figure in result.figures} for result in (before, after))
    lines = tuple(_line(then.get(name), now.get(name), percent) for name in dict.fromkeys([*then, *now]))
    worse = [line.name for line in lines if line.verdict == WORSE]
    unsound = [
        f"{word} is no sound result: {result.unsound}"
        for word, result in (("the first", before), ("the second", after))
        if result.unsound is not None
    ]
    failed = f"worse by more than {percent:g} %: {'; '.join(worse)}" if worse else None
    return Difference(lines, tuple(_remarks(before, after)), f"no verdict, {unsound[0]}" if unsound else failed)


def _remarks(before: Result, after: Result) -> list[str]:
    remarks = [] if before.load == after.load else [f"NOT THE SAME LOAD: first {before.load}; then {after.load}"]
    if before.machine != after.machine:
        remarks.append(f"NOT THE SAME MACHINE: first {before.machine}; then {after.machine}")
    return remarks


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
