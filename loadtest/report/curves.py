"""What the drawings share: where a percentile stands on the axis of nines, and where ticks go.  Pure.

The axis of nines is logarithmic in what is left: 90 %, 99 %, 99.9 % are as far from each other, so that the tail, which
callers hear, has as much room as the middle.
"""

import math

from loadtest.replay.outcome import Outcome

_LAST_NINES = 6.0
_HUNDRED = 100.0
_STEPS = (1.0, 2.0, 5.0, 10.0)


def nines(percentile: float) -> float:
    """Give how many nines a percentile has: 0 for 0, 1 for 90, 2 for 99; what is beyond 99.9999 stands there."""
    left = max(_HUNDRED - percentile, 0.0) / _HUNDRED
    return _LAST_NINES if left <= 10**-_LAST_NINES else -math.log10(left)


def distribution_points(outcome: Outcome) -> list[tuple[float, float]]:
    """Give (nines, milliseconds), rising; of a latency of 0 the least that a logarithm can show.

    The last percentile, 100, has infinitely many nines: it is put as far out as one frame of all of them.
    """
    frames = max(outcome.latency.count, 1)
    end = min(math.log10(frames), _LAST_NINES) if frames > 1 else 1.0
    points = [(min(nines(percentile), end), max(value, 1e-3)) for percentile, value in outcome.distribution]
    return sorted(points)


def nines_ticks(last: float) -> list[tuple[float, str]]:
    """Give the axis of nines its marks, up to `last`."""
    half = (nines(_HUNDRED / 2), "50 %")
    wholes = [(float(count), f"{_HUNDRED - _HUNDRED * 10.0**-count:.{max(count - 2, 0)}f} %") for count in range(1, 7)]
    return [tick for tick in ((0.0, "0 %"), half, *wholes) if tick[0] <= last + 0.01]


def round_up(value: float) -> float:
    """Give the next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


def linear_ticks(top: float) -> list[float]:
    """Give the marks of an axis from 0 to `top`, four or five of them."""
    step = round_up(top / 5)
    return [index * step for index in range(int(top / step * (1 + 1e-9)) + 1)]


def decades(lowest: float, highest: float) -> list[float]:
    """Give the powers of ten that hold both between them, each a mark of a logarithmic axis."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
