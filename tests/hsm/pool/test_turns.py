from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm.pool.turns import Turns

TENANTS = "abcdefgh"


def everything(_: object) -> bool:
    return True


def jain(shares: Iterable[float]) -> float:
    """Jain's index: 1 where all have the same, 1/n where one has all."""
    values = list(shares)
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def drained(turns: Turns[int]) -> list[int]:
    taken: list[int] = []
    while (item := turns.take(everything)) is not None:
        taken.append(item)
    return taken


def test_one_tenant_is_served_in_its_order() -> None:
    turns: Turns[int] = Turns(10)
    for item in range(5):
        assert turns.add(item, "a")
    assert drained(turns) == [0, 1, 2, 3, 4]


def test_a_tenant_with_much_delays_another_by_one_turn() -> None:
    turns: Turns[int] = Turns(100)
    for item in range(50):
        turns.add(item, "greedy")
    turns.take(everything)
    turns.add(100, "modest")
    assert [turns.take(everything), turns.take(everything)] == [1, 100]


def test_a_weight_is_so_many_turns_in_a_row() -> None:
    turns: Turns[int] = Turns(100, {"heavy": 3})
    for item in range(6):
        turns.add(item, "heavy")
        turns.add(10 + item, "light")
    assert drained(turns)[:8] == [0, 1, 2, 10, 3, 4, 5, 11]


def test_full_it_takes_no_more_and_stays_as_it_was() -> None:
    turns: Turns[int] = Turns(2)
    assert [turns.add(item, "a") for item in range(3)] == [True, True, False]
    assert (len(turns), 2 in turns, drained(turns)) == (2, False, [0, 1])


def test_what_is_given_back_goes_first_even_where_it_is_full() -> None:
    turns: Turns[int] = Turns(2)
    turns.add(0, "a")
    turns.add(1, "a")
    first = turns.take(everything)
    assert first == 0
    turns.add(2, "a")
    turns.give_back(first)
    assert (len(turns), turns.add(3, "a"), 0 in turns) == (3, False, True)
    assert drained(turns) == [0, 1, 2]


def test_what_may_not_go_keeps_its_place() -> None:
    turns: Turns[int] = Turns(10)
    for item in range(4):
        turns.add(item, "a")
    turns.give_back(9)
    assert turns.take(lambda item: item == 2) == 2
    assert turns.take(lambda item: item == 7) is None
    assert drained(turns) == [9, 0, 1, 3]


@given(st.lists(st.tuples(st.sampled_from(TENANTS), st.integers(1, 30)), min_size=1))
def test_with_equal_weights_those_that_wait_have_equal_shares(bursts: list[tuple[str, int]]) -> None:
    """However much more one wants than another: in any round nobody who waits has two turns more than anybody else."""
    turns: Turns[tuple[str, int]] = Turns(10_000)
    number = 0
    for tenant in TENANTS:
        for tenant_of_burst, size in [*bursts, (tenant, 60)]:
            for _ in range(size):
                number += 1
                turns.add((tenant_of_burst, number), tenant_of_burst)
    served: Counter[str] = Counter()
    for _ in range(len(TENANTS) * 50):
        item = turns.take(everything)
        assert item is not None
        served[item[0]] += 1
    assert jain(served[tenant] for tenant in TENANTS) >= 0.95
    assert max(served.values()) - min(served.values()) <= 1


@given(st.lists(st.sampled_from(TENANTS), min_size=200, max_size=400))
def test_eight_tenants_that_always_want_share_fairly_under_overload(arrivals: list[str]) -> None:
    """Two come for each that is served, from whom chance will have it; all eight want something always."""
    turns: Turns[tuple[str, int]] = Turns(1000)
    served: Counter[str] = Counter()
    number = 0
    for tenant in TENANTS * 40:
        number += 1
        turns.add((tenant, number), tenant)
    for tenant in arrivals:
        number += 1
        turns.add((tenant, number), tenant)
        if number % 2:
            item = turns.take(everything)
            assert item is not None
            served[item[0]] += 1
    assert jain(served[tenant] for tenant in TENANTS) >= 0.95


Step = tuple[str, int, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "take", "take_even", "give_back", "remove"]), st.integers(0, 30), st.sampled_from("abc")
    )
)


@pytest.mark.parametrize("limit", [1, 3, 100])
@given(steps=STEPS)
def test_nothing_is_lost_nothing_doubled_and_the_bound_holds(limit: int, steps: list[Step]) -> None:
    turns: Turns[int] = Turns(limit, {"b": 2})
    waiting: dict[int, str] = {}
    given_back: list[int] = []
    last_of: dict[str, list[int]] = {tenant: [] for tenant in "abc"}
    number = 0
    taken: list[int] = []
    for what, choice, tenant in steps:
        match what:
            case "add":
                number += 1
                let_in = turns.add(number, tenant)
                assert let_in == (len(waiting) < limit)
                if let_in:
                    waiting[number] = tenant
                    last_of[tenant].append(number)
            case "take" | "take_even":
                may = everything if what == "take" else is_even
                item = turns.take(may)
                assert (item is None) == (not any(map(may, waiting)))
                if item is None:
                    continue
                first_back = next((each for each in given_back if may(each)), None)
                if first_back is not None:
                    assert item == first_back
                    given_back.remove(item)
                else:
                    line = last_of[waiting[item]]
                    assert item == next(each for each in line if may(each))
                    line.remove(item)
                del waiting[item]
                taken.append(item)
            case "give_back" if taken:
                item = taken.pop(choice % len(taken))
                turns.give_back(item)
                waiting[item] = ""
                given_back.insert(0, item)
            case _:
                turns.remove(choice)
                tenant_of = waiting.pop(choice, None)
                if tenant_of == "":
                    given_back.remove(choice)
                elif tenant_of is not None:
                    last_of[tenant_of].remove(choice)
        assert len(turns) == len(waiting)
        assert all(item in turns for item in waiting)
    assert sorted(turns.clear()) == sorted(waiting)
    assert (len(turns), turns.take(everything)) == (0, None)


def is_even(item: int) -> bool:
    return item % 2 == 0
