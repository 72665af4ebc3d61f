"""Which leaves are signed together, and when."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.identity.gathering import COLLECT_SECONDS, MAX_LEAVES, MAX_LEAVES_PER_SOURCE, Gathering, Group
from sottovoce.session import LeafKind

VERIFY: Group = (LeafKind.SERVER_VERIFY, None)
REKEY: Group = (LeafKind.REKEY_VERIFY, b"an anchor")
REKEY_OF_OTHER: Group = (LeafKind.REKEY_VERIFY, b"another anchor")
GROUPS = (VERIFY, REKEY, REKEY_OF_OTHER)
LATE = 1e9


class Leaf(msgspec.Struct, frozen=True, eq=False):
    source: str
    deadline: float = LATE
    __hash__ = object.__hash__


def gathering_of(*leaves: Leaf, group: Group = VERIFY, now: float = 0.0) -> Gathering[Leaf]:
    gathering: Gathering[Leaf] = Gathering()
    for leaf in leaves:
        gathering.add(group, leaf, now)
    return gathering


def test_nothing_is_due_while_nothing_waits() -> None:
    gathering = gathering_of()
    assert (len(gathering), gathering.next_due(), gathering.cut(1.0)) == (0, None, None)


def test_a_batch_is_due_ten_milliseconds_after_its_first_leaf() -> None:
    first, second = Leaf("a"), Leaf("b")
    gathering = gathering_of(first)
    gathering.add(VERIFY, second, 0.009)
    assert gathering.next_due() == COLLECT_SECONDS
    assert gathering.cut(0.0099) is None
    assert gathering.cut(0.01) == (VERIFY, [first, second])
    assert gathering.next_due() is None


def test_a_full_batch_is_due_at_once() -> None:
    leaves = [Leaf(str(number)) for number in range(MAX_LEAVES)]
    gathering = gathering_of(*leaves[:-1])
    assert gathering.cut(0.001) is None
    gathering.add(VERIFY, leaves[-1], 0.001)
    assert gathering.cut(0.001) == (VERIFY, leaves)


def test_many_leaves_of_one_address_do_not_make_a_batch_full() -> None:
    gathering = gathering_of(*(Leaf("flood") for _ in range(MAX_LEAVES)))
    assert gathering.cut(0.001) is None


def test_one_address_gets_eight_places_and_the_rest_go_to_the_next_batches() -> None:
    flood = [Leaf("flood") for _ in range(20)]
    other = Leaf("other")
    gathering = gathering_of(*flood, other)
    assert gathering.cut(0.01) == (VERIFY, [*flood[:8], other])
    assert gathering.next_due() == 0.02
    assert gathering.cut(0.02) == (VERIFY, flood[8:16])
    assert gathering.cut(0.03) == (VERIFY, flood[16:])


def test_what_is_left_of_a_larger_crowd_is_due_at_once_if_it_fills_a_batch() -> None:
    leaves = [Leaf(str(number)) for number in range(2 * MAX_LEAVES)]
    gathering = gathering_of(*leaves)
    assert gathering.cut(0.0) == (VERIFY, leaves[:MAX_LEAVES])
    assert gathering.cut(0.0) == (VERIFY, leaves[MAX_LEAVES:])


def test_groups_do_not_mix_and_the_one_due_longer_comes_first() -> None:
    gathering = gathering_of(rekey := Leaf("a"), group=REKEY, now=0.001)
    gathering.add(VERIFY, verify := Leaf("a"), 0.002)
    gathering.add(REKEY_OF_OTHER, other := Leaf("a"), 0.003)
    assert (len(gathering), gathering.next_due()) == (3, 0.011)
    assert gathering.cut(0.02) == (REKEY, [rekey])
    assert gathering.cut(0.02) == (VERIFY, [verify])
    assert gathering.cut(0.02) == (REKEY_OF_OTHER, [other])
    assert gathering.cut(0.02) is None


def test_a_leaf_past_its_deadline_is_left_out_and_makes_room() -> None:
    late = [Leaf("a", deadline=0.005) for _ in range(8)]
    there = Leaf("a")
    gathering = gathering_of(*late, there)
    assert gathering.cut(0.01) == (VERIFY, [there])
    assert len(gathering) == 0


def test_a_batch_whose_owners_have_all_gone_is_empty() -> None:
    gathering = gathering_of(Leaf("a", deadline=0.005))
    assert gathering.cut(0.01) == (VERIFY, [])
    assert gathering.cut(0.01) is None


def test_removing_makes_room_and_is_harmless_twice() -> None:
    leaves = [Leaf("a") for _ in range(9)]
    gathering = gathering_of(*leaves)
    gathering.remove(VERIFY, leaves[0])
    gathering.remove(VERIFY, leaves[0])
    gathering.remove(REKEY, leaves[0])
    assert gathering.cut(0.01) == (VERIFY, leaves[1:])
    assert gathering.take_all() == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(GROUPS), st.booleans()), max_size=60))
def test_every_leaf_comes_once_in_its_order_within_the_limits(steps: list[tuple[str, Group, bool]]) -> None:
    gathering: Gathering[Leaf] = Gathering()
    added: dict[Group, list[Leaf]] = {group: [] for group in GROUPS}
    removed: set[Leaf] = set()
    for number, (source, group, is_removed) in enumerate(steps):
        leaf = Leaf(source)
        gathering.add(group, leaf, number / 1000)
        added[group].append(leaf)
        if is_removed:
            gathering.remove(group, leaf)
            removed.add(leaf)
    signed: dict[Group, list[Leaf]] = {group: [] for group in GROUPS}
    now = 1.0
    while (due := gathering.next_due()) is not None:
        now = max(now, due)
        cut = gathering.cut(now)
        assert cut is not None
        group, batch = cut
        assert 0 < len(batch) <= MAX_LEAVES
        assert max(Counter(leaf.source for leaf in batch).values()) <= MAX_LEAVES_PER_SOURCE
        signed[group] += batch
    for group in GROUPS:
        for source in "abc":
            stayed = [leaf for leaf in added[group] if leaf.source == source and leaf not in removed]
            assert [leaf for leaf in signed[group] if leaf.source == source] == stayed
