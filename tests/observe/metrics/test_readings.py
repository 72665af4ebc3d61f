import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.observe import CallCounts
from sottovoce.observe.metrics import Metrics
from sottovoce.observe.metrics.readings import ReadingsCollector
from tests.observe.metrics.exercised import READINGS, VERSIONS, exercised, samples, value

COUNTS = st.builds(CallCounts, **{name: st.integers(0, 1000) for name in CallCounts.__struct_fields__})


def test_frames_by_where_they_went() -> None:
    found = {
        (each.labels["direction"], each.labels["outcome"]): each.value
        for each in samples(exercised())
        if each.name == "sottovoce_frames_total"
    }
    assert found == {
        ("to_backend", "forwarded"): 7,
        ("to_backend", "dropped_oldest"): 2,
        ("to_backend", "lost"): 1,
        ("to_client", "forwarded"): 5,
        ("to_client", "dropped_oldest"): 4,
        ("to_client", "dropped_ahead"): 3,
        ("to_client", "oversize"): 6,
    }


def test_what_is_up_and_what_is_not() -> None:
    metrics, down = exercised(), Metrics(VERSIONS)
    down.watch(lambda: msgspec.structs.replace(READINGS, has_quorum=False, audit_is_up=False, is_ready=False))
    for name in ("hsm_quorum", "audit", "ready"):
        assert value(metrics, f"sottovoce_{name}_up") == 1
        assert value(down, f"sottovoce_{name}_up") == 0


def test_a_seal_that_is_closed_shows() -> None:
    metrics, sealed = exercised(), Metrics(VERSIONS)
    sealed.watch(lambda: msgspec.structs.replace(READINGS, is_sealed=True))
    assert [value(each, "sottovoce_hsm_unsealed_up") for each in (metrics, sealed)] == [1, 0]


def test_each_token_has_series_of_its_own() -> None:
    metrics = exercised()
    for node, up, busy, late in (("a", 1, 2, 1), ("b", 0, 0, 4)):
        assert value(metrics, "sottovoce_token_up", node=node) == up
        assert value(metrics, "sottovoce_hsm_in_flight_calls", node=node) == busy
        assert value(metrics, "sottovoce_token_suspicions_total", node=node) == late
    assert value(metrics, "sottovoce_hsm_hedges_total", outcome="won") == 2


def test_without_a_ticket_key_its_age_is_not_said() -> None:
    metrics = Metrics(VERSIONS)
    metrics.watch(lambda: msgspec.structs.replace(READINGS, ticket_key_seconds=None))
    assert not [each for each in samples(metrics) if each.name == "sottovoce_ticket_key_age_seconds"]


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_field_by_field(one: CallCounts, two: CallCounts, three: CallCounts) -> None:
    assert one + CallCounts() == one
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)


@given(st.lists(COUNTS))
def test_frames_never_go_backwards_whatever_is_read(seen: list[CallCounts]) -> None:
    read = iter(seen)
    collector = ReadingsCollector(lambda: msgspec.structs.replace(READINGS, carried=next(read)))
    before: dict[str, float] = {}
    for _ in seen:
        now = {
            f"{each.name} {each.labels}": each.value
            for family in collector.collect()
            if family.name in {"sottovoce_frames", "sottovoce_opened_frames", "sottovoce_generations"}
            for each in family.samples
        }
        assert len(now) == len(CallCounts.__struct_fields__)
        assert all(now[series] >= count for series, count in before.items())
        before = now
