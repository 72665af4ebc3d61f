"""Records of used tickets: one suite for both kinds, and a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from sottovoce.identity.tickets import NoRecord, RecordsHere, SharedRecords, TicketRecords, UsedTickets
from sottovoce.identity.tickets.shared import BLOCK, PLACES

KEY, OTHER = b"k" * 8, b"o" * 8
Opened = Callable[..., TicketRecords]


@contextmanager
def shared(max_tickets: int = 1_000) -> Iterator[SharedRecords]:
    records = SharedRecords.create(max_tickets=max_tickets)
    try:
        yield records
    finally:
        records.close()


@pytest.fixture(params=["here", "shared"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    made: list[SharedRecords] = []

    def open_(max_tickets: int = 1_000) -> TicketRecords:
        if request.param == "here":
            return RecordsHere(max_tickets=max_tickets)
        made.append(SharedRecords.create(max_tickets=max_tickets))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def begun(records: TicketRecords, key_id: bytes = KEY) -> UsedTickets:
    return records.of(key_id, records.begin(key_id))


def taken(record: UsedTickets, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        assert record.has_room()
        numbers.append(record.next_number())
    return numbers


def test_each_number_is_taken_once_and_spent_once(opened: Opened) -> None:
    record = begun(opened())
    numbers = taken(record, 300)
    assert len(set(numbers)) == 300
    assert all(number < 1_000 for number in numbers)
    assert [record.spend(number) for number in numbers * 2] == [True] * 300 + [False] * 300
    assert (record.sealed, record.spent) == (300, 300)


def test_there_are_as_many_as_there_may_be_and_no_more(opened: Opened) -> None:
    record = begun(opened(max_tickets=300))
    numbers = taken(record, 300)
    assert sorted(numbers) == list(range(300))
    assert not record.has_room()
    assert all(record.spend(number) for number in numbers)


def test_what_was_not_taken_is_not_spent(opened: Opened) -> None:
    record = begun(opened())
    assert not record.spend(0)
    (number,) = taken(record, 1)
    assert not any(record.spend(other) for other in (*range(1_100), 2**32 - 1) if other != number)
    assert record.spend(number)


def test_asking_for_room_takes_nothing(opened: Opened) -> None:
    record = begun(opened())
    assert all(record.has_room() for _ in range(5))
    assert record.sealed == 0


def test_two_that_have_the_record_see_the_same(opened: Opened) -> None:
    records = opened()
    place = records.begin(KEY)
    one, two = records.of(KEY, place), records.of(KEY, place)
    numbers = [number for _ in range(200) for each in (one, two) for number in taken(each, 1)]
    assert len(set(numbers)) == 400
    assert [two.spend(number) for number in numbers[:10]] == [True] * 10
    assert [one.spend(number) for number in numbers[:10]] == [False] * 10
    assert (one.sealed, one.spent) == (two.sealed, two.spent) == (400, 10)


def test_the_records_of_two_keys_know_nothing_of_each_other(opened: Opened) -> None:
    records = opened()
    one, other = begun(records), begun(records, OTHER)
    numbers = taken(one, 5), taken(other, 5)
    assert all(one.spend(number) for number in numbers[0])
    assert all(other.spend(number) for number in numbers[1])


def test_an_erased_record_gives_and_spends_nothing(opened: Opened) -> None:
    records = opened()
    place = records.begin(KEY)
    record = records.of(KEY, place)
    numbers = taken(record, 3)
    assert record.spend(numbers[0])
    records.erase(place)
    for each in (record, records.of(KEY, place)):
        assert not each.has_room()
        assert not any(each.spend(number) for number in numbers)


def test_the_next_key_in_its_place_begins_with_all_numbers(opened: Opened) -> None:
    records = opened(max_tickets=300)
    for round_ in range(3 * PLACES):
        key_id = bytes([round_ + 1]) * 8
        place = records.begin(key_id)
        record = records.of(key_id, place)
        assert all(record.spend(number) for number in taken(record, 300))
        records.erase(place)


def test_whoever_holds_the_key_before_neither_sees_nor_spends_those_of_the_next() -> None:
    with shared() as records:
        before = records.of(KEY, records.begin(KEY))
        old = taken(before, 5)
        records.erase(0)
        assert records.begin(OTHER) == 0
        after = records.of(OTHER, 0)
        new = taken(after, 5)
        assert old == new
        assert not any(before.spend(number) for number in old)
        assert not before.has_room()


def test_there_is_a_place_for_four_keys() -> None:
    with shared() as records:
        assert [records.begin(bytes([number]) * 8) for number in range(PLACES)] == [0, 1, 2, 3]
        with pytest.raises(NoRecord, match="4 ticket keys live already"):
            records.begin(KEY)
        records.erase(2)
        assert records.begin(KEY) == 2


def test_a_key_id_of_zeros_is_a_key_id() -> None:
    with shared() as records:
        assert [records.begin(bytes(8)), records.begin(KEY)] == [0, 1]
        assert records.of(bytes(8), 0).has_room()


def test_a_file_that_another_version_made_is_known_by_its_size() -> None:
    usual = SharedRecords.create()
    try:
        with shared(max_tickets=1_000) as other:
            inherited = [SharedRecords(each.descriptor) for each in (usual, other)]
            assert [each.is_of_this_version for each in inherited] == [True, False]
    finally:
        usual.close()


class Model(RuleBasedStateMachine):
    """Two processes' views of a shared record, and one in memory, against a set."""

    numbers = Bundle("numbers")

    @initialize(max_tickets=st.integers(1, 3 * BLOCK))
    def begin(self, max_tickets: int) -> None:
        self.shared = SharedRecords.create(max_tickets=max_tickets)
        self.here = RecordsHere(max_tickets=max_tickets)
        self.max_tickets = max_tickets
        self.begin_key()

    def begin_key(self) -> None:
        place, here = self.shared.begin(KEY), self.here.begin(KEY)
        self.views = [self.shared.of(KEY, place), self.shared.of(KEY, place)]
        self.one = self.here.of(KEY, here)
        self.places = place, here
        self.taken: set[int] = set()
        self.spent: set[int] = set()
        self.taken_here: set[int] = set()
        self.spent_here: set[int] = set()

    @rule(target=numbers, which=st.integers(0, 1), count=st.integers(1, BLOCK + 1))
    def take(self, which: int, count: int) -> int:
        number = 0
        for _ in range(count):
            if not self.views[which].has_room():
                break
            number = self.views[which].next_number()
            assert number not in self.taken
            assert number < self.max_tickets
            self.taken.add(number)
        if self.one.has_room():
            self.taken_here.add(self.one.next_number())
        return number

    @rule(number=numbers | st.integers(0, 4 * BLOCK), which=st.integers(0, 1))
    def spend(self, number: int, which: int) -> None:
        assert self.views[which].spend(number) == (number in self.taken - self.spent)
        assert self.one.spend(number) == (number in self.taken_here - self.spent_here)
        self.spent |= {number} & self.taken
        self.spent_here |= {number} & self.taken_here

    @rule()
    def replace(self) -> None:
        before = [*self.views, self.one]
        self.shared.erase(self.places[0])
        self.here.erase(self.places[1])
        assert not any(each.has_room() for each in before)
        self.begin_key()

    @invariant()
    def counts(self) -> None:
        assert {each.sealed for each in self.views} == {len(self.taken)}
        assert {each.spent for each in self.views} == {len(self.spent)}
        assert (self.one.sealed, self.one.spent) == (len(self.taken_here), len(self.spent_here))

    def teardown(self) -> None:
        if hasattr(self, "shared"):
            self.shared.close()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=30)
