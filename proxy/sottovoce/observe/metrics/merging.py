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
from sottovoce.observe.metrics.snapshot import Family, Merge, Sample, Snapshot

_NOTHING = Snapshot(())
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
        case Merge.MAX:
            return max(one, other)
        case Merge.MIN:
            return min(one, other)
        case Merge.SUM | Merge.LIVING | Merge.MOST:
            return one + other


def counted(snapshot: Snapshot) -> Snapshot:
    """Give what stays of a process that has gone."""
    return Snapshot(tuple(family for family in snapshot.families if family.merge is Merge.SUM))


class MergedMetrics:
    """Metrics of a supervisor and its workers.  A worker's number names one process, and never another one later."""

    def __init__(self, own: Metrics) -> None:
        """Begin with what the supervisor counts itself."""
        self._own = own
        self._living: dict[int, Snapshot] = {}
        self._past = _NOTHING
        self._most: dict[tuple[str, _Series], float] = {}
        self._registry = CollectorRegistry()
        self._registry.register(_Merged(self))

    def began(self, worker: int) -> None:
        """Know a worker, which has counted nothing yet."""
        self._living[worker] = _NOTHING

    def took(self, worker: int, snapshot: Snapshot) -> None:
        """Take a worker's numbers; of one that is not known, or has ended, they are ignored."""
        if worker in self._living:
            self._living[worker] = snapshot

    def ended(self, worker: int) -> None:
        """Keep what a worker had counted when it was last heard."""
        last = self._living.pop(worker, _NOTHING)
        self._past = merge((self._past, counted(last)))

    def merged(self) -> Snapshot:
        """Give all together."""
        merged = merge((self._own.snapshot(), *self._living.values(), self._past))
        return Snapshot(tuple(self._at_most(each) if each.merge is Merge.MOST else each for each in merged.families))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Give the text of all metrics and its content type, as `Metrics.exposition` does for one process."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _at_most(self, family: Family) -> Family:
        samples: list[Sample] = []
        for sample in family.samples:
            key = family.name, (sample.suffix, sample.labels)
            most = self._most[key] = max(sample.value, self._most.get(key, sample.value))
            samples.append(Sample(sample.suffix, sample.labels, most))
        return msgspec.structs.replace(family, samples=tuple(samples))


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
