"""One exposition for several processes: the supervisor's own numbers and what its workers have counted.

    worker: Metrics.snapshot ──▶ supervisor: MergedMetrics.took ──▶ exposition, as of one process

A worker's snapshot replaces its last one.  When it ends, what it has counted stays in the sum, as far as it was told:
so no counter goes backwards when a worker dies and another begins at nothing.  A worker that is about to end and can
still speak gives a last snapshot; then nothing is missing.  docs/decisions/0017-metrics-of-workers.md says why this is
not the multiprocess mode of prometheus_client.
"""

from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sottovoce.observe.metrics.metrics import Metrics
from sottovoce.observe.metrics.snapshot import MOST_OF, NOTHING, Family, Merge, Sample, Snapshot, counted

_Series = tuple[str, tuple[tuple[str, str], ...]]


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Make one of several, by each metric's own rule.  Metrics and series come as they are first met."""
    families: dict[str, Family] = {}
    values: dict[str, dict[_Series, float]] = {}
    for snapshot in snapshots:
        for family in snapshot.families:
            known = families.setdefault(family.name, family)
            series = values.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.suffix, sample.labels
                series[key] = _both(known.merge, series[key], sample.value) if key in series else sample.value
    return Snapshot(
        tuple(
            msgspec.structs.replace(family, samples=tuple(Sample(*key, value) for key, value in values[name].items()))
            for name, family in families.items()
        )
    )


def _both(rule: Merge, one: float, other: float) -> float:
    match rule:
        case Merge.MAX | Merge.MOST:
            return max(one, other)
        case Merge.MIN:
            return min(one, other)
        case Merge.SUM | Merge.LIVING:
            return one + other


class MergedMetrics:
    """Metrics of a supervisor and its workers.  A worker's number names one process, and never another one later."""

    def __init__(self, own: Metrics, past: Snapshot = NOTHING) -> None:
        """Begin with what the supervisor counts itself, and what the one before `handed_over`."""
        self._own = own
        self._living: dict[int, Snapshot] = {}
        self._past = past
        self._most = dict.fromkeys(MOST_OF, 0.0)
        self._now: dict[str, dict[int, float]] = {name: {} for name in MOST_OF}
        """Of what each is the most of: how many each worker has."""
        self._registry = CollectorRegistry()
        self._registry.register(_Merged(self))

    def began(self, worker: int) -> None:
        """Know a worker, which has counted nothing yet."""
        self._living[worker] = NOTHING

    def took(self, worker: int, snapshot: Snapshot) -> None:
        """Take a worker's numbers; of one that is not known, or has ended, they are ignored."""
        if worker in self._living:
            self._living[worker] = snapshot
            for most, now in self._now.items():
                now[worker] = sum(_values(snapshot, MOST_OF[most]))
                self._most[most] = max(self._most[most], sum(now.values()))

    def ended(self, worker: int) -> None:
        """Keep what a worker had counted when it was last heard."""
        last = self._living.pop(worker, NOTHING)
        self._past = merge((self._past, counted(last)))
        for now in self._now.values():
            now.pop(worker, None)

    def handed_over(self) -> Snapshot:
        """Give what a successor begins with, which has the same living workers: what all others have counted.

        Numbers that are read off the supervisor's parts are not in it: the successor's own parts tell them.
        """
        most = Snapshot(tuple(each for each in self.merged().families if each.merge is Merge.MOST))
        return merge((self._own.happened(), self._past, most))

    def merged(self) -> Snapshot:
        """Give all together."""
        merged = merge((self._own.snapshot(), *self._living.values(), self._past))
        return Snapshot(tuple(self._at_least(each) if each.merge is Merge.MOST else each for each in merged.families))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Give the text of all metrics and its content type, as `Metrics.exposition` does for one process."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _at_least(self, family: Family) -> Family:
        most = self._most[family.name]
        raised = (msgspec.structs.replace(each, value=max(each.value, most)) for each in family.samples)
        return msgspec.structs.replace(family, samples=tuple(raised))


def _values(snapshot: Snapshot, name: str) -> Iterator[float]:
    for family in snapshot.families:
        if family.name == name:
            yield from (sample.value for sample in family.samples)


class _Merged(Collector):
    """Shows the library what was merged."""

    def __init__(self, merged: MergedMetrics) -> None:
        self._merged = merged

    def describe(self) -> Iterator[Metric]:
        """Name nothing: so that registering reads nothing."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Give everything; called when somebody asks."""
        for family in self._merged.merged().families:
            metric = Metric(family.name, family.documentation, family.kind)
            for sample in family.samples:
                metric.add_sample(family.name + sample.suffix, dict(sample.labels), sample.value)
            yield metric
