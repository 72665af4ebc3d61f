import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.edge.gate import Gate, GateLimits, HalfOpen
from sottovoce.edge.gate.floods import BAD_HELLO, MAX_PLACES
from sottovoce.edge.gate.networks import place_of
from sottovoce.wire import Code

ADDRESS_RATE = "max_handshakes_per_second is reached"
PREFIX_RATE = "max_prefix_handshakes_per_second is reached"
ADDRESS = "max_handshakes_per_address is reached"
PREFIX = "max_handshakes_per_prefix is reached"
TOTAL = "max_handshakes is reached, most of it by this prefix"

WIDE = GateLimits(
    address_at_once=1000,
    address_per_second=1000,
    prefix_at_once=1000,
    prefix_per_second=1000,
    at_once=1000,
    bad_hello_weight=10,
)


def gate(**limits: float) -> Gate:
    """Give a gate that is wide but for `limits`."""
    return Gate(msgspec.structs.replace(WIDE, **limits))


class Door:
    """Comes through a gate, and keeps what it was told."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.evicted: list[str] = []

    def come(self, host: str, now: float = 0.0) -> HalfOpen | str:
        return self.gate.begin(host, now, lambda: self.evicted.append(host))

    def reasons(self, host: str, count: int, now: float = 0.0) -> list[str | None]:
        came = [self.come(host, now) for _ in range(count)]
        return [each if isinstance(each, str) else None for each in came]


@pytest.mark.protocol("P11.36")
def test_an_address_begins_so_many_a_second() -> None:
    door = Door(gate(address_per_second=5))
    assert door.reasons("192.0.2.1", 11) == [None] * 10 + [ADDRESS_RATE]
    assert door.reasons("192.0.2.1", 6, now=1.0) == [None] * 5 + [ADDRESS_RATE]
    assert door.reasons("192.0.2.2", 1, now=1.0) == [None]


@pytest.mark.protocol("P11.36")
def test_a_prefix_begins_so_many_a_second() -> None:
    door = Door(gate(prefix_per_second=5))
    assert [door.reasons(f"192.0.2.{number}", 1)[0] for number in range(11)] == [None] * 10 + [PREFIX_RATE]
    assert door.reasons("192.0.3.1", 1) == [None]


def test_one_address_at_full_speed_leaves_its_neighbours_the_rest() -> None:
    door = Door(gate(address_per_second=5, prefix_per_second=10))
    assert door.reasons("192.0.2.1", 100).count(None) == 10
    assert door.reasons("192.0.2.2", 100).count(None) == 10


@pytest.mark.parametrize(
    ("one", "other", "is_same_address", "is_same_prefix"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True, True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False, True),
        ("2001:db8:1::1", "2001:db8:2::1", False, False),
        ("fe80::1%eth0", "fe80::2%eth0", True, True),
        ("192.0.2.1", "192.0.2.2", False, True),
        ("192.0.2.1", "192.0.3.1", False, False),
        ("::ffff:192.0.2.1", "192.0.2.1", True, True),
        ("::ffff:192.0.2.1", "::ffff:198.51.100.1", False, False),
    ],
)
def test_what_counts_as_one(one: str, other: str, *, is_same_address: bool, is_same_prefix: bool) -> None:
    first, second = place_of(one), place_of(other)
    assert (first.address == second.address) is is_same_address
    assert (first.prefix == second.prefix) is is_same_prefix


def test_a_subscribers_ipv6_addresses_count_as_one() -> None:
    door = Door(gate(address_at_once=1))
    assert isinstance(door.come("2001:db8::1"), HalfOpen)
    assert door.come("2001:db8::2") == ADDRESS
    assert isinstance(door.come("2001:db8:0:1::1"), HalfOpen)


@pytest.mark.parametrize(("limit", "reason"), [("address_at_once", ADDRESS), ("prefix_at_once", PREFIX)])
def test_a_handshake_that_ends_makes_room(limit: str, reason: str) -> None:
    door = Door(gate(**{limit: 2}))
    first, second = door.come("192.0.2.1"), door.come("192.0.2.1")
    assert door.come("192.0.2.1") == reason
    for half_open in (first, second):
        assert isinstance(half_open, HalfOpen)
        door.gate.end(half_open)
        door.gate.end(half_open)
    assert len(door.gate) == 0
    assert door.reasons("192.0.2.1", 3) == [None, None, reason]


@pytest.mark.protocol("P11.36")
def test_a_flood_of_bad_hellos_from_one_prefix_leaves_another_prefix_served() -> None:
    door = Door(gate(address_per_second=20, prefix_per_second=40, bad_hello_weight=10))
    bad = 0
    for tick in range(2000):
        now = tick / 200
        half_open = door.come(f"192.0.2.{tick % 250}", now)
        if isinstance(half_open, HalfOpen):
            door.gate.refused(half_open, Code.BAD_RECORD, now)
            bad += 1
        if tick % 20 == 0:
            good = door.come("198.51.100.1", now)
            assert isinstance(good, HalfOpen)
            door.gate.end(good)
    assert bad < 60, "ten seconds: eight in the first burst, then less than four a second"


def test_a_debt_is_bounded_and_paid_off() -> None:
    door = Door(gate(address_per_second=10, bad_hello_weight=15))
    came = [door.come("192.0.2.1") for _ in range(20)]
    for half_open in came:
        assert isinstance(half_open, HalfOpen)
        door.gate.refused(half_open, Code.AUTH_FAILED, 0.0)
    assert door.reasons("192.0.2.1", 1, now=2.0) == [ADDRESS_RATE]
    assert door.reasons("192.0.2.1", 1, now=2.2) == [None]


@pytest.mark.parametrize("code", [1006, Code.EXPIRED, Code.INTERNAL, Code.DRAINING, Code.BACKEND_DOWN])
def test_what_is_no_fault_of_the_client_costs_nothing_extra(code: int) -> None:
    door = Door(gate(address_per_second=1, bad_hello_weight=100))
    half_open = door.come("192.0.2.1")
    assert isinstance(half_open, HalfOpen)
    door.gate.refused(half_open, code, 0.0)
    assert code not in BAD_HELLO
    assert door.reasons("192.0.2.1", 2) == [None, ADDRESS_RATE]


def test_when_all_places_are_taken_the_largest_prefix_gives_its_oldest() -> None:
    door = Door(gate(at_once=5))
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1", "203.0.113.1"):
        assert isinstance(door.come(host), HalfOpen)
    assert door.come("192.0.2.4") == TOTAL
    assert isinstance(door.come("203.0.113.2"), HalfOpen)
    assert door.evicted == ["192.0.2.1"]
    assert door.come("203.0.113.3") == TOTAL, "it has as many as the largest"
    assert isinstance(door.come("100.64.0.1"), HalfOpen)
    assert door.evicted[1:] in (["192.0.2.2"], ["203.0.113.1"])
    assert len(door.gate) == 5


def test_an_evicted_one_is_counted_out_once() -> None:
    door = Door(gate(at_once=2))
    first = door.come("192.0.2.1")
    assert isinstance(first, HalfOpen)
    door.come("192.0.2.1")
    door.come("198.51.100.1")
    assert len(door.gate) == 2
    door.gate.end(first)
    assert len(door.gate) == 2


def test_other_limits_take_the_place_of_the_old_ones() -> None:
    door = Door(gate(address_at_once=1))
    door.come("192.0.2.1")
    door.gate.limits = msgspec.structs.replace(WIDE, address_at_once=2)
    assert door.reasons("192.0.2.1", 2) == [None, ADDRESS]


def test_memory_is_bounded() -> None:
    door = Door(gate())
    for number in range(MAX_PLACES + 10):
        half_open = door.come(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number / 100)
        assert isinstance(half_open, HalfOpen)
        door.gate.end(half_open)
    assert door.gate.remembered == MAX_PLACES
    assert not door.gate._at_address


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=60))
def test_the_counts_agree_whatever_happens(steps: list[tuple[str, bool]]) -> None:
    door, under_way = Door(gate(at_once=6, prefix_at_once=4)), list[HalfOpen]()
    for letter, comes in steps:
        prefix = ord(letter)
        if comes:
            came = door.gate.begin(f"192.0.{prefix}.1", 0.0, lambda: None)
            under_way = [each for each in under_way if each in _members(door.gate)]
            under_way += [came] if isinstance(came, HalfOpen) else []
        elif under_way:
            door.gate.end(under_way.pop(prefix % len(under_way)))
        counts = [sum(each.place.prefix == f"192.0.{ord(one)}" for each in under_way) for one in "abcd"]
        assert len(door.gate) == len(under_way) <= 6
        assert door.gate._crowd.most == max(counts)


def _members(gate: Gate) -> set[HalfOpen]:
    return {each for members in gate._crowd._by_prefix.values() for each in members}
