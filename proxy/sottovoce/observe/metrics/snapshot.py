"""What a process has counted and measured, as plain data: for whoever adds up those of several (`merging`)."""

from enum import StrEnum
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry


class Merge(StrEnum):
    """How one value is made of those of several processes."""

    SUM = "sum"
    """All together, and those of processes that have gone: a counter, a histogram."""
    LIVING = "living"
    """All together of those that live: a gauge of something that each has its own of."""
    MOST = "most"
    """The highest, also of processes that have gone, and of what MOST_OF names, added up: so much was there at once."""
    MAX = "max"
    MIN = "min"


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One value of a metric."""

    suffix: str
    """Behind the metric's name: `_total`, `_bucket`."""
    labels: tuple[tuple[str, str], ...]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric."""

    name: str
    documentation: str
    kind: str
    """As Prometheus calls it: counter, gauge, histogram."""
    merge: Merge
    samples: tuple[Sample, ...]


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """All metrics of a process at one moment."""

    families: tuple[Family, ...]


NOTHING: Final = Snapshot(())

GAUGES: Final = {
    "process_virtual_memory_bytes": Merge.LIVING,
    "process_resident_memory_bytes": Merge.LIVING,
    "process_start_time_seconds": Merge.MIN,
    "process_open_fds": Merge.MAX,
    "process_max_fds": Merge.MIN,
    "sottovoce_build_info": Merge.MAX,
    "sottovoce_live_sessions": Merge.LIVING,
    "sottovoce_peak_sessions": Merge.MOST,
    "sottovoce_half_open_handshakes": Merge.LIVING,
    "sottovoce_loop_lag_max_seconds": Merge.MAX,
    "sottovoce_loop_tasks": Merge.LIVING,
    "sottovoce_workers": Merge.MAX,
    "sottovoce_token_up": Merge.MIN,
    "sottovoce_token_breaker": Merge.MAX,
    "sottovoce_token_sessions": Merge.MAX,
    "sottovoce_hsm_in_flight_calls": Merge.LIVING,
    "sottovoce_hsm_waiting_calls": Merge.LIVING,
    "sottovoce_hsm_quorum_up": Merge.MIN,
    "sottovoce_hsm_unsealed_up": Merge.MIN,
    "sottovoce_leaf_expiry_seconds": Merge.MIN,
    "sottovoce_leaf_life_ratio": Merge.MIN,
    "sottovoce_voice_certificate_expiry_seconds": Merge.MIN,
    "sottovoce_voice_certificate_life_ratio": Merge.MIN,
    "sottovoce_ticket_key_age_seconds": Merge.MAX,
    "sottovoce_audit_waiting_records": Merge.LIVING,
    "sottovoce_audit_up": Merge.MIN,
    "sottovoce_ready_up": Merge.MIN,
}
"""Of gauges: what is read in one process only is the same by any rule, and what several may see the worst counts.

`process_open_fds` is that of the process that has most of them open: each has a limit of its own.
"""

MOST_OF: Final = {"sottovoce_peak_sessions": "sottovoce_live_sessions"}
"""What each MOST is the most of."""


def take_snapshot(registry: CollectorRegistry) -> Snapshot:
    """Read everything that is registered."""
    return Snapshot(
        tuple(
            Family(
                metric.name,
                metric.documentation,
                metric.type,
                GAUGES.get(metric.name, Merge.MAX) if metric.type == "gauge" else Merge.SUM,
                tuple(
                    Sample(each.name.removeprefix(metric.name), tuple(each.labels.items()), each.value)
                    for each in metric.samples
                ),
            )
            for metric in registry.collect()
        )
    )


def counted(snapshot: Snapshot) -> Snapshot:
    """Give what stays of a process that has gone."""
    return Snapshot(tuple(family for family in snapshot.families if family.merge in {Merge.SUM, Merge.MOST}))
