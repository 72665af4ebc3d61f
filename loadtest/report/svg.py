"""One chart as inline SVG, drawn without a library: axes, curves, and what a pointer over a place is told.

Colours are classes, so that the page decides them for light and dark; curves differ in their dashes as well, and each
is named in the legend.
"""

from collections.abc import Callable, Sequence
from html import escape

import msgspec

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 860.0, 64.0, 16.0, 12.0, 40.0
_LEGEND_LINE = 18.0
_LEGEND_SWATCH = 26.0
_LETTER = 6.6
_GAP = 22.0
_MARK_ROWS = 3

Scale = Callable[[float], float]


class Curve(msgspec.Struct, frozen=True):
    """A line of the chart; `style` is its number: colour and dash."""

    label: str
    style: int
    points: Sequence[tuple[float, float]]


class Axis(msgspec.Struct, frozen=True):
    """One axis: what it shows, its ends, its marks with their text, and how a value is laid on it."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    place: Scale = float
    """Turns a value into what is linear on the paper: the logarithm, for instance."""

    def share(self, value: float) -> float:
        """Give how far along the axis a value is, 0 to 1."""
        low, high = self.place(self.low), self.place(self.high)
        return min(max((self.place(value) - low) / (high - low), 0.0), 1.0) if high > low else 0.0


class Note(msgspec.Struct, frozen=True):
    """What a pointer is told that rests between two values of the x axis."""

    start: float
    end: float
    text: str


class Mark(msgspec.Struct, frozen=True):
    """An instant, or a place of the x axis, that has a name."""

    at: float
    text: str


def chart(  # noqa: PLR0913  what a chart consists of
    x: Axis,
    y: Axis,
    curves: Sequence[Curve],
    *,
    height: float,
    title: str,
    notes: Sequence[Note] = (),
    marks: Sequence[Mark] = (),
) -> str:
    """Draw.  `title` is read out where nothing is seen."""
    drawn = _Drawing(x, y, height, _legend_lines(curves))
    parts = [
        f'<svg viewBox="0 0 {WIDTH:g} {drawn.whole_height:g}" role="img" aria-label="{escape(title)}">',
        *drawn.grid(),
        *(drawn.mark(mark, row % _MARK_ROWS) for row, mark in enumerate(marks)),
        *(drawn.curve(curve) for curve in curves),
        *(drawn.note(note) for note in notes),
        *drawn.legend(curves),
        "</svg>",
    ]
    return "\n".join(parts)


def _legend_lines(curves: Sequence[Curve]) -> list[list[Curve]]:
    lines: list[list[Curve]] = [[]]
    used = 0.0
    for curve in curves:
        width = _legend_width(curve)
        if lines[-1] and used + width > WIDTH - LEFT - RIGHT:
            lines.append([])
            used = 0.0
        lines[-1].append(curve)
        used += width
    return lines


def _legend_width(curve: Curve) -> float:
    return _LEGEND_SWATCH + _LETTER * len(curve.label) + _GAP


class _Drawing:
    def __init__(self, x: Axis, y: Axis, height: float, legend: list[list[Curve]]) -> None:
        self._x, self._y = x, y
        self._legend = legend
        self._top = TOP + _LEGEND_LINE * len(legend)
        self._bottom = self._top + height
        self.whole_height = self._bottom + BOTTOM

    def _across(self, value: float) -> float:
        return LEFT + self._x.share(value) * (WIDTH - LEFT - RIGHT)

    def _down(self, value: float) -> float:
        return self._bottom - self._y.share(value) * (self._bottom - self._top)

    def grid(self) -> list[str]:
        parts: list[str] = []
        for value, text in self._y.ticks:
            at = self._down(value)
            parts += [
                f'<line class="grid" x1="{LEFT:g}" y1="{at:.1f}" x2="{WIDTH - RIGHT:g}" y2="{at:.1f}"/>',
                f'<text class="tick end" x="{LEFT - 8:g}" y="{at + 4:.1f}">{escape(text)}</text>',
            ]
        for value, text in self._x.ticks:
            at = self._across(value)
            parts += [
                f'<line class="mark" x1="{at:.1f}" y1="{self._bottom:g}" x2="{at:.1f}" y2="{self._bottom + 4:g}"/>',
                f'<text class="tick middle" x="{at:.1f}" y="{self._bottom + 18:g}">{escape(text)}</text>',
            ]
        turned = f"translate(14 {(self._top + self._bottom) / 2:g}) rotate(-90)"
        centred = f"translate({(LEFT + WIDTH - RIGHT) / 2:g} {self._bottom + 34:g})"
        parts += [
            f'<line class="axis" x1="{LEFT:g}" y1="{self._bottom:g}" x2="{WIDTH - RIGHT:g}" y2="{self._bottom:g}"/>',
            f'<text class="label middle" transform="{turned}">{escape(self._y.label)}</text>',
            f'<text class="label middle" transform="{centred}">{escape(self._x.label)}</text>',
        ]
        return parts

    def curve(self, curve: Curve) -> str:
        if len(curve.points) == 1:
            ((x, y),) = curve.points
            return f'<circle class="dot c{curve.style}" cx="{self._across(x):.1f}" cy="{self._down(y):.1f}" r="3"/>'
        points = " ".join(f"{self._across(x):.1f},{self._down(y):.1f}" for x, y in curve.points)
        return f'<polyline class="curve c{curve.style}" points="{points}"/>'

    def mark(self, mark: Mark, row: int) -> str:
        """Draw a line across, its name beside it, in one of a few rows as neighbours may be near."""
        at, down = self._across(mark.at), self._top + 11 + 12 * row
        return (
            f'<line class="event" x1="{at:.1f}" y1="{self._top:g}" x2="{at:.1f}" y2="{self._bottom:g}"/>'
            f'<text class="event" x="{at + 3:.1f}" y="{down:g}">{escape(mark.text)}</text>'
        )

    def note(self, note: Note) -> str:
        start, end = self._across(note.start), self._across(note.end)
        middle = (start + end) / 2
        return (
            f'<g class="note"><rect x="{start:.1f}" y="{self._top:g}" width="{max(end - start, 1):.1f}" '
            f'height="{self._bottom - self._top:g}"/><line x1="{middle:.1f}" y1="{self._top:g}" x2="{middle:.1f}" '
            f'y2="{self._bottom:g}"/><title>{escape(note.text)}</title></g>'
        )

    def legend(self, curves: Sequence[Curve]) -> list[str]:
        if not curves:
            return []
        parts: list[str] = []
        for row, line in enumerate(self._legend):
            left, at = LEFT, TOP + _LEGEND_LINE * row
            for curve in line:
                end = left + 20
                parts += [
                    f'<line class="curve c{curve.style}" x1="{left:.1f}" y1="{at:g}" x2="{end:.1f}" y2="{at:g}"/>',
                    f'<text class="tick" x="{left + _LEGEND_SWATCH:.1f}" y="{at + 4:g}">{escape(curve.label)}</text>',
                ]
                left += _legend_width(curve)
        return parts
