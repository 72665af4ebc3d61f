"""What was heard of each item, when its tail is cut off."""

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay.realtime.spoken import MAX_PARTS, Spoken


def spoken(*parts: tuple[str, int, int]) -> Spoken:
    made = Spoken(48_000)
    for part in parts:
        made.add(*part)
    return made


def test_the_last_item_is_cut_where_it_was_heard() -> None:
    assert spoken(("a", 0, 48_000), ("b", 1, 24_000), ("b", 1, 24_000)).cut(12_000) == [("b", 1, 750)]


def test_items_that_nothing_was_heard_of_are_cut_at_their_beginning() -> None:
    assert spoken(("a", 0, 48_000), ("b", 0, 960), ("c", 2, 960)).cut(24_000) == [
        ("a", 0, 540),
        ("b", 0, 0),
        ("c", 2, 0),
    ]


def test_all_heard_is_nothing_to_cut_and_forgotten() -> None:
    made = spoken(("a", 0, 48_000))
    assert made.cut(0) == []
    assert made.cut(48_000) == []


def test_an_item_without_an_id_cannot_be_told() -> None:
    assert spoken(("a", 0, 96), ("", 0, 96), ("c", 0, 96)).cut(300) == [("a", 0, 0), ("c", 0, 0)]


def test_only_so_many_are_remembered() -> None:
    made = spoken(*((f"{number}", 0, 96) for number in range(MAX_PARTS + 5)))
    assert len(made.cut(10_000_000)) == MAX_PARTS


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 100_000)), max_size=20),
    st.integers(0, 10**6),
)
def test_no_more_is_told_than_was_said(parts: list[tuple[str, int, int]], unplayed_bytes: int) -> None:
    for item, part, milliseconds in spoken(*parts).cut(unplayed_bytes):
        assert 0 <= milliseconds * 48 <= sum(said for name, index, said in parts if (name, index) == (item, part))
