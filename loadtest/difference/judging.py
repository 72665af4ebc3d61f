"""Holds one result's figures against another's.  Pure.

What the first result has and the second has not may have become as bad as it likes: so it is no verdict, and not passed
over.  What only the second has is shown, and has nothing to be worse than.
"""

from collections.abc import Iterable, Mapping

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
    """False when it is no verdict: nothing follows from the two, and then no line has one either, or a figure is not in
    both, and the others are no worse."""


def compare_results(before: Result, after: Result, percent: float) -> Difference:
    """Judge every figure; one is worse when it is so by more than `percent` of what it was.

    Of other loads, or of a result that is not sound, nothing is judged.  A figure that is worse is so whatever else
    cannot be judged.
    """
    then, now = ({figure.name: figure for figure in result.figures} for result in (before, after))
    lines = tuple(_line(then.get(name), now.get(name), percent) for name in dict.fromkeys([*then, *now]))
    remarks = _remarks(before, after)
    if hindrance := _hindrance(before, after):
        unjudged = tuple(msgspec.structs.replace(line, verdict=UNJUDGED) for line in lines)
        return Difference(unjudged, remarks, f"no verdict, {hindrance}", is_judged=False)
    gaps = _gaps(then, now)
    if worse := [line.name for line in lines if line.verdict == WORSE]:
        unjudged_too = (f"NOT JUDGED: {gaps}",) if gaps else ()
        return Difference(lines, (*remarks, *unjudged_too), f"worse by more than {percent:g} %: {'; '.join(worse)}")
    return Difference(lines, remarks, f"no verdict, {gaps}" if gaps else None, is_judged=not gaps)


def _hindrance(before: Result, after: Result) -> str | None:
    """Say why nothing follows from the two; None if something does."""
    for word, result in (("the first", before), ("the second", after)):
        if result.unsound is not None:
            return f"{word} is no sound result: {result.unsound}"
    if before.load != after.load:
        return f"not the same load: first {before.load}; then {after.load}: give two results of one load"
    return None


def _gaps(then: Mapping[str, Figure], now: Mapping[str, Figure]) -> str:
    """Say what there should be a verdict on, and cannot be; nothing if there is one on all of it."""
    first, second = ([name for name, found in each.items() if _is_known(found)] for each in (then, now))
    lost = [name for name in first if name not in second]
    new = [name for name in second if name not in first and name in then and now[name].is_vital]
    lacking = (("the second", _whole(lost, first)), ("the first", _whole(new, new)))
    gaps = ", and ".join(f"{word} lacks {'; '.join(names)}" for word, names in lacking if names)
    return gaps or ("" if set(first) & set(second) else "no figure that is judged is in both")


def _is_known(figure: Figure) -> bool:
    return bool(figure.worse) and figure.value is not None


def _whole(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Name a contender, or a group, once where every figure of it is meant."""
    meant = set(names)
    kept = {_subject(name) for name in known if name not in meant} | {""}
    return list(dict.fromkeys(name if _subject(name) in kept else _subject(name) for name in names))


def _subject(name: str) -> str:
    return name.rpartition(": ")[0]


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
