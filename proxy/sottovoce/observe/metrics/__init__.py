"""What a running proxy counts and measures, for Prometheus: names, labels, and one exposition.

    edge, app, hsm ──▶ CallMetrics, KeyMetrics      once a call, a key, an HSM operation: counted as it happens
    app ────────────▶ ReloadMetrics                 once a reading of a file: likewise
    LoopLag                                         ten times a second
    Readings ◀── exposition                         numbers that the parts keep anyway, read when somebody asks
    Snapshot, MergedMetrics                         one text for a supervisor and its workers

The only home of prometheus_client.  A frame touches nothing of this: each call keeps plain integers (`CallCounts`),
which a scrape adds up.  Every label takes its values from a fixed set or from the configuration; what is in neither is
`other`.  No label tells of a call, a client or a key (`labels`).

Not imported by `sottovoce.observe` itself: whoever only logs need not load it.
"""

from sottovoce.observe.metrics import labels
from sottovoce.observe.metrics.calls import CallMetrics
from sottovoce.observe.metrics.keys import KeyMetrics
from sottovoce.observe.metrics.loop import LoopLag
from sottovoce.observe.metrics.merging import MergedMetrics
from sottovoce.observe.metrics.metrics import Metrics
from sottovoce.observe.metrics.readings import Readings, TokenReading
from sottovoce.observe.metrics.reloads import ReloadMetrics
from sottovoce.observe.metrics.snapshot import Snapshot

__all__ = [
    "CallMetrics",
    "KeyMetrics",
    "LoopLag",
    "MergedMetrics",
    "Metrics",
    "Readings",
    "ReloadMetrics",
    "Snapshot",
    "TokenReading",
    "labels",
]
