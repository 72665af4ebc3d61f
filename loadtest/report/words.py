"""Figures as people read them: each with its unit, none left blank."""

from collections.abc import Mapping

from loadtest.replay.outcome import Outcome, Quantiles

NONE_BACK = "no frame came back"
NOT_SEEN = "not seen (a process of somebody else, or elsewhere)"
_FINE, _COARSE = 10, 100


def number(value: float) -> str:
    """Give three digits or so: 0.81, 12.3, 456, 12 345."""
    if abs(value) < _FINE:
        return f"{value:.2f}"
    if abs(value) < _COARSE:
        return f"{value:.1f}"
    return f"{value:,.0f}".replace(",", " ")


def milliseconds(value: float) -> str:
    """Give a latency."""
    return f"{number(value)} ms"


def count(value: int) -> str:
    """Give a whole number, in groups of three."""
    return f"{value:,}".replace(",", " ")


def share(part: int, whole: int) -> str:
    """Give a part in percent; what is small but there does not read as nothing."""
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.2g} %" if percent < _COARSE / 10 else f"{percent:.1f} %"


def measured(value: float | None, unit: str) -> str:
    """Give a figure that perhaps could not be taken."""
    return NOT_SEEN if value is None else f"{number(value)} {unit}"


def quantiles(found: Quantiles) -> str:
    """Give a distribution in a line."""
    if not found.count:
        return NONE_BACK
    return (
        f"p50 {milliseconds(found.p50)}  p99 {milliseconds(found.p99)}  "
        f"p99.9 {milliseconds(found.p999)}  highest {milliseconds(found.highest)}"
    )


def p99(found: Quantiles) -> str:
    """Give a distribution in a word."""
    return milliseconds(found.p99) if found.count else NONE_BACK


def arrivals(tick_us: int) -> str:
    """Name the arrival model."""
    return f"gathered to ticks of {tick_us} µs" if tick_us else "each frame at an instant of its own"


def load(outcome: Outcome) -> str:
    """Say what was offered."""
    if outcome.about:
        groups = len({route.group for route in outcome.routes})
        return (
            f"{outcome.about} ({count(outcome.sessions)} calls, {groups} group{'s' * (groups > 1)}, "
            f"{outcome.seconds:g} s, {arrivals(outcome.tick_us)})"
        )
    return (
        f"{count(outcome.sessions)} calls, {outcome.frames_per_second:g} frames/s each way, "
        f"{outcome.seconds:g} s, {arrivals(outcome.tick_us)}"
    )


def reasons(counted: Mapping[str, int]) -> str:
    """Say why calls failed, the commonest first."""
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{times} × {reason}" for reason, times in ranked)


def verdict(outcome: Outcome) -> str:
    """Say whether the figures count."""
    if outcome.discarded is not None:
        return f"DISCARDED: {outcome.discarded}"
    return "partial: the run was stopped before its time" if outcome.is_partial else "sound"
