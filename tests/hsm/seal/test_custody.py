"""Making a seal and gathering its shares: any k of m open it, fewer never do, and each wrong share has its own name."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic.share import Share as Slip39Share

from sottovoce.hsm.seal import (
    Collector,
    SealDamaged,
    SealRefused,
    ShareForeign,
    ShareForged,
    ShareRepeated,
    SharesMissing,
    new_seal,
)
from sottovoce.hsm.seal.shares import words_of_set
from sottovoce.primitives import Secret
from tests.hsm.seal.made import PINS, Made, SystemEntropy, made, typed

SEAL = made(3, 5, seed=2)


def opened(collector: Collector) -> dict[str, bytes]:
    return {node: pin.copy_for_sealing() for node, pin in collector.open().items()}


def test_each_three_of_five_open_every_pin() -> None:
    for chosen in itertools.permutations(range(5), 3):
        with Collector(SEAL.record) as collector:
            assert [collector.add(typed(SEAL.texts[each])) for each in chosen] == [each + 1 for each in chosen]
            assert collector.is_complete
            assert opened(collector) == PINS
        assert collector.have == 0


@given(st.data())
def test_any_k_of_m_open_it_and_one_less_does_not(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 16))
    threshold = data.draw(st.integers(2, count))
    seal = made(threshold, count, pins={"main": b"1234"})
    chosen = data.draw(st.permutations(seal.texts))[:threshold]
    with Collector(seal.record) as collector:
        for text in chosen[:-1]:
            collector.add(typed(text))
        with pytest.raises(SharesMissing, match=f"^{threshold - 1} of the {threshold} shares .*: 1 more to come$"):
            collector.open()
        collector.add(typed(chosen[-1]))
        assert opened(collector) == {"main": b"1234"}


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 3), (0, 0), (3, 2), (2, 17), (17, 17)])
def test_numbers_that_make_no_sense(threshold: int, count: int) -> None:
    with pytest.raises(SealRefused, match=f"{threshold} of {count} shares cannot be: choose from 2 of 2 to 16 of 16"):
        made(threshold, count)


@pytest.mark.parametrize("nodes", [0, 17])
def test_a_seal_has_some_nodes(nodes: int) -> None:
    with pytest.raises(SealRefused, match=f"the PINs of {nodes} nodes cannot be sealed"):
        new_seal({f"n{each}": Secret("PIN", b"1") for each in range(nodes)}, 2, 3, SystemEntropy())


def test_a_share_of_another_set_names_both_sets() -> None:
    other = made(3, 5, seed=3)
    with Collector(SEAL.record) as collector:
        collector.add(typed(SEAL.texts[0]))
        with pytest.raises(ShareForeign) as raised:
            collector.add(typed(other.texts[1]))
        assert f"is of '{words_of_set(other.record.set_name)}'" in str(raised.value)
        assert f"begin with '{words_of_set(SEAL.record.set_name)}'" in str(raised.value)
        assert collector.have == 1


def test_a_share_of_another_form_is_of_another_set() -> None:
    """The same 15 bits, but with a passphrase's iterations, or in groups."""
    share = Slip39Share.from_mnemonic(SEAL.texts[0])
    for change in ({"iteration_exponent": 3}, {"group_count": 2}, {"extendable": False}):
        text = Slip39Share(**{**vars(share), **change}).mnemonic()
        with Collector(SEAL.record) as collector, pytest.raises(ShareForeign):
            collector.add(typed(text))


@pytest.mark.parametrize("change", [{"value": bytes(32)}, {"index": 7}, {"index": 1}, {"member_threshold": 2}])
def test_a_share_with_a_right_checksum_that_is_none_of_ours(change: dict[str, object]) -> None:
    text = Slip39Share(**{**vars(Slip39Share.from_mnemonic(SEAL.texts[0])), **change}).mnemonic()
    with Collector(SEAL.record) as collector:
        with pytest.raises(ShareForged, match=r"says that it is number \d of this seal's set and is not"):
            collector.add(typed(text))
        assert collector.have == 0


def test_the_same_share_twice_and_one_too_many() -> None:
    with Collector(SEAL.record) as collector:
        collector.add(typed(SEAL.texts[3]))
        with pytest.raises(ShareRepeated, match="share 4 was given already"):
            collector.add(typed(SEAL.texts[3].upper()))
        collector.add(typed(SEAL.texts[0]))
        collector.add(typed(SEAL.texts[1]))
        with pytest.raises(SealRefused, match="3 shares are there, which is enough"):
            collector.add(typed(SEAL.texts[2]))
        assert opened(collector) == PINS


def collected(seal: Made, **changes: object) -> Collector:
    """All shares that a changed record wants."""
    record = msgspec.structs.replace(seal.record, **changes)
    collector = Collector(record)
    for text in seal.texts[: record.threshold]:
        collector.add(typed(text))
    return collector


@pytest.mark.parametrize("threshold", [2, 4])
def test_a_record_that_asks_for_another_number_of_shares_opens_nothing(threshold: int) -> None:
    with collected(SEAL, threshold=threshold) as collector, pytest.raises(SealDamaged, match="do not give a key"):
        collector.open()


def test_pins_that_were_changed_for_one_another_do_not_open() -> None:
    pins = SEAL.record.pins | {"a": SEAL.record.pins["b"]}
    with collected(SEAL, pins=pins) as collector, pytest.raises(SealDamaged, match="node a's PIN does not open"):
        collector.open()
