"""A run as a PNG: latency over time, the generator's lateness beneath, the latency's distribution.

matplotlib draws it and is imported here only, when it is asked for: a run without a picture does without it.
"""
# pyright: reportUnknownMemberType=false
# matplotlib's own types leave every **kwargs open.

from pathlib import Path
from typing import TYPE_CHECKING

from loadtest.replay.outcome import Outcome
from loadtest.report import words
from loadtest.report.curves import distribution_points, nines_ticks
from sottovoce.primitives import SottovoceError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (9.0, 8.0)
_DOTS_PER_INCH = 110
_INK = ("#2a6fbb", "#c2571a", "#7a3b9a")
_DASHES = ("-", "--", ":")
_HEAD_ROOM = 1.25
"""The legend stands above the curves."""


class DrawingImpossible(SottovoceError):
    """The picture cannot be made; the text says why and what to do."""


def write_png(outcome: Outcome, path: Path) -> None:
    """Draw `outcome` into `path`.  Raises DrawingImpossible."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  only a picture needs it
        from matplotlib.figure import Figure  # noqa: PLC0415  likewise
    except ImportError as error:
        raise DrawingImpossible(
            f"a picture needs matplotlib, which does not load here ({error}): run `make setup` in the checkout, "
            "or take --html, which needs nothing"
        ) from None
    figure = Figure(figsize=_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(3, 1.5, 3))
    figure.suptitle(f"{outcome.name}: {words.load(outcome)}\n{words.verdict(outcome)}", fontsize=10)
    _draw_over_time(top, outcome)
    _draw_lateness(middle, outcome)
    _draw_distribution(bottom, outcome)
    figure.supxlabel(f"{outcome.started_at}, {outcome.machine}", fontsize=7)
    try:
        figure.savefig(path, format="png", dpi=_DOTS_PER_INCH)
    except OSError as error:
        raise DrawingImpossible(f"{path} cannot be written ({error.strerror}): name another file") from None


def _draw_over_time(axes: "Axes", outcome: Outcome) -> None:
    seconds = [second for second in outcome.seconds_of_run if second.latency.count]
    at = [second.at for second in seconds]
    curves = {
        "p50": [second.latency.p50 for second in seconds],
        "p99": [second.latency.p99 for second in seconds],
        "p99.9": [second.latency.p999 for second in seconds],
    }
    for (label, values), colour, dash in zip(curves.items(), _INK, _DASHES, strict=True):
        axes.plot(at, values, color=colour, linestyle=dash, marker=".", label=label)
    _finish(axes, "added latency, ms", "second of the run", has_curves=bool(at))


def _draw_lateness(axes: "Axes", outcome: Outcome) -> None:
    seconds = [second for second in outcome.seconds_of_run if second.lateness.count]
    at = [second.at for second in seconds]
    axes.plot(at, [second.lateness.p99 for second in seconds], color=_INK[0], marker=".", label="p99")
    _finish(axes, "generator's lateness, ms", "second of the run", has_curves=bool(at))


def _draw_distribution(axes: "Axes", outcome: Outcome) -> None:
    points = distribution_points(outcome)
    if points:
        axes.plot([x for x, _ in points], [y for _, y in points], color=_INK[0], label="share of frames that took less")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        ticks = nines_ticks(points[-1][0])
        axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
    _finish(axes, "added latency, ms", "share of frames (each step: a tenth of what is left)", has_curves=bool(points))


def _finish(axes: "Axes", y_label: str, x_label: str, *, has_curves: bool) -> None:
    axes.set_ylabel(y_label, fontsize=8)
    axes.set_xlabel(x_label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.3)
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, axes.get_ylim()[1] * _HEAD_ROOM)
    if has_curves:
        axes.legend(fontsize=8, loc="upper left", ncols=3)
    else:
        axes.text(0.5, 0.5, words.NONE_BACK, ha="center", va="center", transform=axes.transAxes)
