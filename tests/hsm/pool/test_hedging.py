import random

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm.pool.hedging import Budget, Latencies


def test_there_is_no_percentile_of_a_few() -> None:
    latencies = Latencies()
    for _ in range(19):
        latencies.add("sign", 1.0)
    assert (latencies.p95("sign"), latencies.p95("other")) == (None, None)


def test_of_a_hundred_the_ninety_fifth() -> None:
    latencies = Latencies()
    numbers = list(range(1, 121))
    random.Random(1).shuffle(numbers)  # noqa: S311  an order
    for number in numbers:
        latencies.add("sign", float(number))
    assert latencies.p95("sign") == 115.0


def test_it_moves_with_the_token_and_is_kept_for_each_operation() -> None:
    latencies = Latencies()
    for _ in range(128):
        latencies.add("sign", 0.001)
        latencies.add("issue", 0.1)
    for _ in range(128):
        latencies.add("sign", 0.01)
    assert (latencies.p95("sign"), latencies.p95("issue")) == (0.01, 0.1)


@given(st.lists(st.sampled_from(["first", "first", "again", "urgent"]), max_size=500))
def test_second_sendings_are_a_twentieth_at_most(calls: list[str]) -> None:
    budget = Budget()
    sent = again = 0
    for what in calls:
        if what == "first":
            budget.earn()
            sent += 1
        else:
            again += budget.spend(is_urgent=what == "urgent")
        assert again * 20 <= sent


def test_a_quiet_time_saves_a_few_and_no_more() -> None:
    budget = Budget()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend(is_urgent=True) for _ in range(6)] == [True, True, True, True, False, False]


def test_the_last_one_is_for_urgent_calls() -> None:
    budget = Budget()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend(is_urgent=False) for _ in range(5)] == [True, True, True, False, False]
    assert [budget.spend(is_urgent=True), budget.spend(is_urgent=True)] == [True, False]
