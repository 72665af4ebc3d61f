import pytest

from sottovoce.edge.gate.floods import MAX_ADDRESSES, HandshakeLimits

SECOND = "max_handshakes_per_second is reached"
AT_ONCE = "max_handshakes_per_address is reached"


@pytest.mark.protocol("P11.36")
def test_an_address_begins_so_many_a_second() -> None:
    limits = HandshakeLimits(per_second=5, at_once=100)
    assert [limits.begin("a", 0.0) for _ in range(11)] == [None] * 10 + [SECOND]
    assert [limits.begin("a", 1.0) for _ in range(6)] == [None] * 5 + [SECOND]


def test_one_address_costs_another_nothing() -> None:
    limits = HandshakeLimits(per_second=1, at_once=1)
    assert limits.begin("a", 0.0) is None
    assert limits.begin("a", 0.0) == AT_ONCE
    assert limits.begin("b", 0.0) is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_a_subscribers_ipv6_addresses_count_as_one(one: str, other: str, *, is_same: bool) -> None:
    limits = HandshakeLimits(per_second=100, at_once=1)
    assert limits.begin(one, 0.0) is None
    assert limits.begin(other, 0.0) == (AT_ONCE if is_same else None)
    limits.end(one)
    assert limits.begin(one, 0.0) is None


def test_a_handshake_that_ends_makes_room() -> None:
    limits = HandshakeLimits(per_second=100, at_once=2)
    assert [limits.begin("a", 0.0) for _ in range(3)] == [None, None, AT_ONCE]
    limits.end("a")
    assert limits.begin("a", 0.0) is None
    limits.end("a")
    limits.end("a")
    assert [limits.begin("a", 0.0) for _ in range(3)] == [None, None, AT_ONCE]


def test_a_refused_one_is_not_counted() -> None:
    limits = HandshakeLimits(per_second=1, at_once=10)
    assert [limits.begin("a", 0.0) for _ in range(3)] == [None, None, SECOND]
    limits.end("a")
    limits.end("a")
    with pytest.raises(KeyError):
        limits.end("a")


def test_memory_is_bounded() -> None:
    limits = HandshakeLimits(per_second=1, at_once=1)
    for number in range(MAX_ADDRESSES + 10):
        assert limits.begin(str(number), 0.0) is None
        limits.end(str(number))
    assert len(limits) == MAX_ADDRESSES
