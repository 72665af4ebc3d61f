"""What the rounds of a comparison come to: medians with their ranges, and ratios to a yardstick.  Pure.

A round counts where its outcome is sound, and for a ratio where the yardstick's of the same round and the same arrivals
is sound too: what is divided was measured within the same minute, as machines change their speed.  Of a contender that
was saturated in a round, latency counts and cost does not: who is behind carries frames in batches, the cheaper the
later.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

from loadtest.replay import Outcome

SATURATED_MS = 20.0
"""A p99 beyond this: the load was not held."""


class Row(msgspec.Struct, frozen=True):
    """One run of one contender."""

    round: int
    """From 1."""
    version: str
    outcome: Outcome

    @property
    def is_sound(self) -> bool:
        """Whether its figures count: the generator kept up, the run went to its end, frames came back."""
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """Why they do not count."""
        if self.outcome.discarded is not None:
            return self.outcome.discarded
        if self.outcome.is_partial:
            return "stopped before its time"
        return None if self.outcome.latency.count else "no frame came back"

    @property
    def was_saturated(self) -> bool:
        """Whether the contender could not hold the load: then its cost is not that of this load."""
        return self.is_sound and self.outcome.latency.p99 > SATURATED_MS

    @property
    def cost(self) -> float | None:
        """What a frame cost the proxy, where that counts."""
        return self.outcome.cost.proxy_us_per_frame if self.is_sound and not self.was_saturated else None


class Spread(msgspec.Struct, frozen=True):
    """A figure over the rounds that count."""

    median: float
    lowest: float
    highest: float
    rounds: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A contender under one arrival model; None where no round gives the figure."""

    name: str
    version: str
    tick_us: int
    rounds: int
    discarded: int
    saturated: int
    """Of those that count: rounds whose cost does not."""
    proxy_us_per_frame: Spread | None
    ratio: Spread | None
    """Of `proxy_us_per_frame` to the yardstick's."""
    token_us_per_frame: Spread | None
    p99_ms: Spread | None
    rss_kib_per_call: Spread | None
    lost: int
    """In the rounds that count."""
    wrong: int


def spread(values: Iterable[float | None]) -> Spread | None:
    """Give median and range of what is there."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known), len(known)) if known else None


def standings(rows: Sequence[Row], yardstick: str) -> tuple[Standing, ...]:
    """Give each contender's standing, by arrival model and then in the order in which they first ran."""
    ticks = dict.fromkeys(row.outcome.tick_us for row in rows)
    names = dict.fromkeys(row.outcome.name for row in rows)
    groups = (
        (name, tick, [row for row in rows if (row.outcome.name, row.outcome.tick_us) == (name, tick)])
        for tick in ticks
        for name in names
    )
    return tuple(_standing(name, tick, group, _costs(rows, yardstick, tick)) for name, tick, group in groups if group)


def discarded(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Give the rows that do not count, each with its reason."""
    return [(row, row.reason) for row in rows if row.reason is not None]


def saturated(rows: Sequence[Row]) -> list[Row]:
    """Give the rows whose cost does not count."""
    return [row for row in rows if row.was_saturated]


def middle(rows: Sequence[Row]) -> list[Outcome]:
    """Give of each contender and arrival model the sound run whose cost is in the middle: the one to draw."""
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.outcome.tick_us, row.outcome.name), []).append(row)
    return [_middle_of(groups[key]) for key in sorted(groups, key=lambda key: key[0])]


def _middle_of(rows: Sequence[Row]) -> Outcome:
    candidates = [row for row in rows if row.is_sound] or rows
    ranked = sorted(candidates, key=lambda row: row.outcome.cost.proxy_us_per_frame or 0.0)
    return ranked[len(ranked) // 2].outcome


def _costs(rows: Sequence[Row], yardstick: str, tick_us: int) -> dict[int, float]:
    """Give the yardstick's cost in each round that counts."""
    return {
        row.round: cost
        for row in rows
        if (row.outcome.name, row.outcome.tick_us) == (yardstick, tick_us) and (cost := row.cost)
    }


def _standing(name: str, tick_us: int, rows: Sequence[Row], yardstick: dict[int, float]) -> Standing:
    sound = [row for row in rows if row.is_sound]

    def over(pick: Callable[[Outcome], float | None]) -> Spread | None:
        return spread(pick(row.outcome) for row in sound)

    ratios = (cost / yardstick[row.round] for row in sound if row.round in yardstick and (cost := row.cost) is not None)
    return Standing(
        name=name,
        version=rows[0].version,
        tick_us=tick_us,
        rounds=len(sound),
        discarded=len(rows) - len(sound),
        saturated=sum(row.was_saturated for row in sound),
        proxy_us_per_frame=spread(row.cost for row in sound),
        ratio=spread(ratios),
        token_us_per_frame=over(lambda outcome: outcome.cost.token_us_per_frame),
        p99_ms=over(lambda outcome: outcome.latency.p99),
        rss_kib_per_call=over(lambda outcome: outcome.cost.rss_kib_per_call),
        lost=sum(row.outcome.lost for row in sound),
        wrong=sum(route.wrong for row in sound for route in row.outcome.routes),
    )
