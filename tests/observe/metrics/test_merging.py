"""Several processes' metrics become those of one that did everything."""

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.observe.metrics import MergedMetrics, Metrics, Snapshot
from sottovoce.observe.metrics.merging import merge
from sottovoce.observe.metrics.snapshot import GAUGES, Merge
from tests.observe.metrics.exercised import OPENMETRICS, VERSIONS, exercised

Tell = Callable[[Metrics], None]
HAPPENINGS: tuple[Tell, ...] = (
    lambda each: each.calls.tls_refused("not_tls"),
    lambda each: each.calls.session_refused(4401),
    lambda each: each.calls.session_established("bot", "X25519", "X25519_AES256GCM", is_resumed=True),
    lambda each: each.calls.session_established("echo", "X25519MLKEM768", "X25519_AES256GCM", is_resumed=False),
    lambda each: each.calls.session_ended(1000, "client", is_truncated=True),
    lambda each: each.calls.handshake_took(0.125),
    lambda each: each.calls.handshake_took(4.0),
    lambda each: each.calls.backend_connected("bot", 0.5, succeeded=True),
    lambda each: each.calls.signature_late(),
    lambda each: each.keys.call_took("a", "sign_root", "answered", 0.25),
    lambda each: each.keys.root_signed("server_verify", 5),
)
"""Seconds are such that their sums are exact in any order."""
OF_THE_PROCESS = re.compile(r"process_|sottovoce_peak|sottovoce_build")


def values(snapshot: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The series that are not those of a process, or bound to a moment."""
    return {
        (family.name + each.suffix, each.labels): each.value
        for family in snapshot.families
        if not OF_THE_PROCESS.match(family.name)
        for each in family.samples
    }


def fresh() -> Metrics:
    metrics = Metrics(VERSIONS)
    metrics.calls.know_routes(["bot"])
    metrics.calls.know_routes(["echo"])
    metrics.keys.know_nodes(["a"])
    return metrics


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(HAPPENINGS))))
@settings(max_examples=25)
def test_merged_they_are_as_one_that_did_everything(happened: list[tuple[int, Tell]]) -> None:
    several, one = [fresh() for _ in range(4)], fresh()
    for which, tell in happened:
        tell(several[which])
        tell(one)
    assert values(merge(each.snapshot() for each in several)) == values(one.snapshot())


class Processes:
    """A supervisor, workers that count, and what the sum has to be at least."""

    def __init__(self) -> None:
        self.merged = MergedMetrics(Metrics(VERSIONS))
        self.workers: dict[int, Metrics] = {}
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1
        self.workers[self.begun] = fresh()
        self.merged.began(self.begun)

    def told(self) -> None:
        for number, metrics in self.workers.items():
            self.merged.took(number, metrics.snapshot())

    def end(self, which: int) -> None:
        if self.workers:
            number = sorted(self.workers)[which % len(self.workers)]
            late = self.workers.pop(number).snapshot()
            self.merged.ended(number)
            self.merged.took(number, late)
            self.merged.ended(number)


STEPS = st.one_of(
    st.just(Processes.begin),
    st.just(Processes.told),
    st.integers(0, 3).map(lambda which: lambda processes: processes.end(which)),
    st.tuples(st.integers(0, 3), st.sampled_from(HAPPENINGS)).map(
        lambda drawn: (
            lambda processes: [drawn[1](each) for at, each in enumerate(processes.workers.values()) if at == drawn[0]]
        )
    ),
)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=30)
def test_no_counter_goes_backwards_whoever_dies(steps: list[Callable[[Processes], object]]) -> None:
    processes = Processes()
    before: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for step in steps:
        step(processes)
        snapshot = processes.merged.merged()
        kept = {family.name for family in snapshot.families if family.merge in {Merge.SUM, Merge.MOST}}
        now = {
            (family.name + each.suffix, each.labels): each.value
            for family in snapshot.families
            if family.name in kept and not family.name.startswith("process_")
            for each in family.samples
        }
        assert all(now[series] >= count for series, count in before.items())
        before = now


def test_gauges_are_those_of_who_lives() -> None:
    processes = Processes()
    for _ in range(2):
        processes.begin()
    one, two = processes.workers.values()
    for each in (one, two, two):
        each.calls.session_established("bot", "X25519", "X25519_AES256GCM", is_resumed=False)
    processes.told()
    assert merged_value(processes, "sottovoce_live_sessions") == 3
    assert merged_value(processes, "sottovoce_peak_sessions") == 3
    processes.end(1)
    assert merged_value(processes, "sottovoce_live_sessions") == 1
    assert merged_value(processes, "sottovoce_peak_sessions") == 3
    assert merged_value(processes, "sottovoce_calls", "_total", route="bot") == 3


def test_the_most_at_once_is_of_the_sum_and_not_the_sum_of_each_ones_most() -> None:
    processes = Processes()
    for _ in range(2):
        processes.begin()
    for each in processes.workers.values():
        each.calls.session_established("bot", "X25519", "X25519_AES256GCM", is_resumed=False)
        processes.told()
        each.calls.session_ended(1000, "client", is_truncated=False)
        processes.told()
    assert merged_value(processes, "sottovoce_peak_sessions") == 1
    processes.begin()
    for each in processes.workers.values():
        each.calls.session_established("bot", "X25519", "X25519_AES256GCM", is_resumed=False)
    processes.told()
    for each in processes.workers.values():
        each.calls.session_ended(1000, "client", is_truncated=False)
    processes.told()
    assert merged_value(processes, "sottovoce_peak_sessions") == 3
    processes.merged = MergedMetrics(Metrics(VERSIONS), processes.merged.handed_over())
    assert merged_value(processes, "sottovoce_peak_sessions") == 3


def merged_value(processes: Processes, name: str, suffix: str = "", **labels: str) -> float:
    (found,) = [
        each.value
        for family in processes.merged.merged().families
        if family.name == name
        for each in family.samples
        if (each.suffix, dict(each.labels)) == (suffix, labels)
    ]
    return found


@pytest.mark.parametrize("accept", [OPENMETRICS, ""])
def test_the_text_of_a_supervisor_and_a_worker_is_that_of_one_process(accept: str) -> None:
    """But for the numbers of the process itself."""
    own = exercised()
    merged = MergedMetrics(own)
    body, content_type = own.exposition(accept)
    assert lines(merged.exposition(accept)[0]) == lines(body)
    assert merged.exposition(accept)[1] == content_type
    merged.began(1)
    merged.took(1, own.snapshot())
    doubled = {line.rsplit(" ", 1)[0] for line in lines(merged.exposition(accept)[0])}
    assert doubled == {line.rsplit(" ", 1)[0] for line in lines(body)}


def lines(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if not line.startswith("process_")]


GOLDEN = """\
# HELP sottovoce_handshake_seconds From a connection's coming to the agreed voice session, the client's own time included.
# TYPE sottovoce_handshake_seconds histogram
sottovoce_handshake_seconds_bucket{le="0.01"} 0.0
sottovoce_handshake_seconds_bucket{le="0.025"} 0.0
sottovoce_handshake_seconds_bucket{le="0.05"} 0.0
sottovoce_handshake_seconds_bucket{le="0.075"} 0.0
sottovoce_handshake_seconds_bucket{le="0.1"} 0.0
sottovoce_handshake_seconds_bucket{le="0.15"} 2.0
sottovoce_handshake_seconds_bucket{le="0.25"} 2.0
sottovoce_handshake_seconds_bucket{le="0.5"} 2.0
sottovoce_handshake_seconds_bucket{le="1.0"} 2.0
sottovoce_handshake_seconds_bucket{le="2.5"} 2.0
sottovoce_handshake_seconds_bucket{le="5.0"} 3.0
sottovoce_handshake_seconds_bucket{le="10.0"} 3.0
sottovoce_handshake_seconds_bucket{le="+Inf"} 3.0
sottovoce_handshake_seconds_count 3.0
sottovoce_handshake_seconds_sum 4.25
# HELP sottovoce_calls_total Calls that were agreed on.
# TYPE sottovoce_calls_total counter
sottovoce_calls_total{route="bot"} 2.0
sottovoce_calls_total{route="echo"} 1.0
"""  # noqa: E501  as it is sent


def test_the_text_of_two_workers_one_of_them_dead() -> None:
    processes = Processes()
    for _ in range(2):
        processes.begin()
    for each, seconds in zip(processes.workers.values(), (0.125, 4.0), strict=True):
        each.calls.handshake_took(seconds)
        each.calls.session_established("bot", "X25519", "X25519_AES256GCM", is_resumed=False)
    first = processes.workers[1]
    first.calls.handshake_took(0.125)
    first.calls.session_established("echo", "X25519", "", is_resumed=False)
    processes.told()
    processes.end(0)
    text = processes.merged.exposition("")[0].decode()
    wanted = ("sottovoce_handshake_seconds", "sottovoce_calls_total")
    found = [line for line in text.splitlines(keepends=True) if any(name in line for name in wanted)]
    assert "".join(found) == GOLDEN


def test_a_supervisor_that_takes_over_goes_on_counting_where_the_one_before_was() -> None:
    own = exercised()
    before = MergedMetrics(own)
    for worker in (1, 2):
        before.began(worker)
        before.took(worker, exercised().snapshot())
    before.ended(1)
    handed = msgspec.json.decode(msgspec.json.encode(before.handed_over()), type=Snapshot)
    after = MergedMetrics(Metrics(VERSIONS), handed)
    after.began(2)
    after.took(2, exercised().snapshot())
    read = {"sottovoce_frames", "sottovoce_tickets", "sottovoce_token_renewals", "sottovoce_hsm_hedges"}
    kept = {family.name: family for family in after.merged().families if family.merge is Merge.SUM}
    for family in before.merged().families:
        if family.name in kept and family.name in {each.name for each in own.happened().families}:
            assert set(kept[family.name].samples) == set(family.samples)
    assert not read & {family.name for family in own.happened().families}
    assert len(own.happened().families) > 15


def test_each_gauge_has_a_rule_and_no_other_metric() -> None:
    snapshot = exercised().snapshot()
    assert {family.name for family in snapshot.families if family.kind == "gauge"} == set(GAUGES)
    assert {family.merge for family in snapshot.families if family.kind != "gauge"} == {Merge.SUM}


@pytest.mark.parametrize(
    ("rule", "together"), [(Merge.SUM, 5), (Merge.LIVING, 5), (Merge.MOST, 3), (Merge.MAX, 3), (Merge.MIN, 2)]
)
def test_what_each_rule_gives(rule: Merge, together: float) -> None:
    snapshots = [one_value(rule, number) for number in (2, 3)]
    (family,) = merge(snapshots).families
    assert family.samples[0].value == together


def one_value(rule: Merge, number: float) -> Snapshot:
    snapshot = exercised().snapshot()
    family = snapshot.families[0]
    sample = msgspec.structs.replace(family.samples[0], value=number)
    return Snapshot((msgspec.structs.replace(family, merge=rule, samples=(sample,)),))


def test_a_snapshot_crosses_as_bytes() -> None:
    snapshot = exercised().snapshot()
    encoded = msgspec.msgpack.encode(snapshot)
    assert msgspec.msgpack.decode(encoded, type=Snapshot) == snapshot
    assert len(encoded) < 40_000


def test_a_worker_that_nobody_knows_adds_nothing() -> None:
    merged = MergedMetrics(Metrics(VERSIONS))
    merged.took(7, exercised().snapshot())
    merged.ended(7)
    assert "sottovoce_calls_total{" not in merged.exposition("")[0].decode()
