"""All metrics of one proxy, and their text."""

from collections.abc import Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import choose_encoder

from sottovoce.observe.metrics.calls import CallMetrics
from sottovoce.observe.metrics.keys import KeyMetrics
from sottovoce.observe.metrics.loop import LoopLag
from sottovoce.observe.metrics.readings import Read, ReadingsCollector
from sottovoce.observe.metrics.reloads import ReloadMetrics
from sottovoce.observe.metrics.snapshot import Snapshot, counted, take_snapshot


class Metrics:
    """One for each proxy; whoever counts is given the part that is his.

    Everything belongs to the event loop's thread: counting, and the exposition that reads the parts.
    """

    def __init__(self, versions: Mapping[str, str]) -> None:
        """Begin with nothing counted; `versions` become labels of `sottovoce_build_info`."""
        # When a counter was first touched is of no use here, and would double the length of a scrape.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated there
        self._registry = CollectorRegistry()
        self.calls = CallMetrics(self._registry)
        self.keys = KeyMetrics(self._registry)
        self.reloads = ReloadMetrics(self._registry)
        self.loop_lag = LoopLag(self._registry)
        build = Gauge("sottovoce_build_info", "What runs here; always 1.", tuple(versions), registry=self._registry)
        build.labels(**versions).set(1)
        ProcessCollector(registry=self._registry)
        self._readings: ReadingsCollector | None = None

    def watch(self, read: Read) -> None:
        """Have the exposition read these numbers, too; once, when the parts are there."""
        self._readings = ReadingsCollector(read)
        self._registry.register(self._readings)

    def snapshot(self) -> Snapshot:
        """Give all numbers as data: what a worker tells its supervisor.  In the event loop's thread, as below."""
        return take_snapshot(self._registry)

    def happened(self) -> Snapshot:
        """Give what was counted as it happened: nothing that is read off the parts or off the process."""
        read = () if self._readings is None else self._readings.collect()
        elsewhere = {metric.name for metric in read}
        families = (each for each in counted(self.snapshot()).families if each.name not in elsewhere)
        return Snapshot(tuple(each for each in families if not each.name.startswith("process_")))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Give the text of all metrics and its content type, in the format that an Accept header asks for.

        OpenMetrics if it is asked for, else Prometheus' own text.  In the event loop's thread; takes a millisecond.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
