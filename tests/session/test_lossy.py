"""The lossy carrier's receiving chain alone, against records of the reference: what opens, what does not, moves."""

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sottovoce.primitives import ApiMisuse, Secret, Suite
from sottovoce.session import LossyChain
from sottovoce.wire import sframe
from tests.session.dialogue import flipped
from tests.session.foreign_bytes import Chain

BASE, NEXT = bytes(range(64)), bytes(range(64, 128))
SUITES = [Suite.X25519MLKEM768_AES256GCM, Suite.X25519MLKEM768_CHACHA20POLY1305]
PER_KEY = 16


def peer(epoch: int = 1, per_key: int = PER_KEY, suite: Suite = SUITES[0], base: bytes = BASE) -> Chain:
    return Chain(base, epoch, int(suite), per_key)


def chain(epoch: int = 1, per_key: int = PER_KEY, suite: Suite = SUITES[0]) -> LossyChain:
    return LossyChain(Secret("c2s", BASE), epoch, suite, per_key)


def state(ours: LossyChain) -> tuple[object, ...]:
    """Everything that a record may move, but the count of failures."""
    kept: Any = ours._kept
    seen = bytes(ours._window.seen), ours._window.kid, kept and (kept.kid, bytes(kept.seen))
    return ours.epoch, ours.generation, bytes(ours._base.expose()), *seen


@pytest.mark.protocol("P7.38", "P8.3")
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("epoch", [1, 15, 16, 0xFFFFFFFF])
def test_records_of_many_generations_in_order(suite: Suite, epoch: int) -> None:
    theirs, ours = peer(epoch, suite=suite), chain(epoch, suite=suite)
    for number in range(PER_KEY * 18):
        record = theirs.seal(number.to_bytes(2))
        assert ours.open(record, 0.0) == number.to_bytes(2)
        assert ours.open(record, 0.0) is None
        assert ours.generation == number // PER_KEY
    assert (ours.failures, ours.lost) == (0, 0)


@pytest.mark.protocol("P7.38")
@pytest.mark.parametrize("per_key", [16, 17, 300, 65_536])
def test_counters_of_every_width_and_in_any_order_each_once(per_key: int) -> None:
    theirs, ours = peer(per_key=per_key), chain(per_key=per_key)
    counters = sorted({0, 1, 7, 8, 15, 255 % per_key, 256 % per_key, 299 % per_key, per_key - 1})
    random.Random(1).shuffle(counters)  # noqa: S311  an order
    records = [theirs.seal_at(0, counter, counter.to_bytes(4)) for counter in counters]
    for record, counter in zip(records, counters, strict=True):
        assert ours.open(record, 0.0) == counter.to_bytes(4)
    assert [ours.open(record, 0.0) for record in records] == [None] * len(records)
    assert ours.failures == 0


@pytest.mark.protocol("P7.38", "P7.41")
@given(order=st.lists(st.integers(0, 3 * PER_KEY - 1), max_size=200))
@settings(deadline=None, max_examples=50)
def test_whatever_the_order_no_record_opens_twice_and_none_of_the_newest_two_generations_is_missed(
    order: list[int],
) -> None:
    theirs, ours = peer(), chain()
    records = [theirs.seal(bytes([number])) for number in range(3 * PER_KEY)]
    opened: set[int] = set()
    newest, kept, failures = 0, -1, 0
    for number in order:
        generation = number // PER_KEY
        plaintext = ours.open(records[number], 0.0)
        may_open = generation >= newest or generation == kept
        assert (plaintext is not None) is (may_open and number not in opened)
        if plaintext is not None:
            assert plaintext == bytes([number])
            opened.add(number)
            if generation > newest:
                newest, kept = generation, newest if generation == newest + 1 else -1
        failures += newest - generation == 2  # reads as fourteen ahead, where its tag is wrong
    assert ours.failures == failures


@pytest.mark.protocol("P7.40", "P11.31", "P11.32")
@pytest.mark.parametrize("steps", range(1, 15))
def test_a_jump_of_up_to_14_generations(steps: int) -> None:
    """Tried aside: with a wrong tag nothing moves; with a right one the chain goes there."""
    theirs, ours = peer(), chain()
    assert ours.open(theirs.seal_at(0, 3, b"before"), 0.0) == b"before"
    record = theirs.seal_at(steps, 5, b"ahead")
    was = state(ours)
    assert ours.open(flipped(record, len(record) - 1), 0.0) is None
    assert state(ours) == was
    assert ours.failures == 1
    assert ours.open(record, 0.0) == b"ahead"
    assert ours.generation == steps
    assert ours.open(record, 0.0) is None
    assert ours.open(theirs.seal_at(steps, 4, b"late"), 0.0) == b"late"


@pytest.mark.protocol("P7.40", "P7.41", "P7.42", "P11.31")
def test_a_jump_beyond_14() -> None:
    """15 ahead is named like one behind: dropped.  16 and more are named like 0 and more: their tags are wrong."""
    theirs, ours = peer(), chain()
    was = state(ours)
    assert ours.open(theirs.seal_at(15, 0, b"x"), 0.0) is None
    assert ours.failures == 0
    for steps in (16, 17, 30):
        assert ours.open(theirs.seal_at(steps, 0, b"x"), 0.0) is None
    assert ours.failures == 3
    assert state(ours) == was
    assert ours.open(theirs.seal_at(31, 0, b"x"), 0.0) is None
    assert ours.failures == 3


@pytest.mark.protocol("P7.39")
def test_the_generation_before_is_kept_after_a_step_of_one_for_two_seconds() -> None:
    theirs, ours = peer(), chain()
    ours.open(theirs.seal_at(0, 0, b"first"), 9.0)
    assert ours.forget_at is None
    assert ours.open(theirs.seal_at(1, 0, b"step"), 10.0) == b"step"
    assert ours.forget_at == 12.0
    assert ours.open(theirs.seal_at(0, 1, b"late"), 11.999) == b"late"
    assert ours.open(theirs.seal_at(0, 1, b"late"), 11.999) is None
    assert ours.open(theirs.seal_at(0, 0, b"first"), 11.999) is None
    assert ours.open(theirs.seal_at(0, 2, b"too late"), 12.0) is None
    assert ours._kept is ours.forget_at is None
    assert ours.failures == 0


@pytest.mark.protocol("P7.39")
def test_the_kept_key_goes_when_its_time_comes_without_a_record() -> None:
    theirs, ours = peer(), chain()
    ours.open(theirs.seal_at(1, 0, b"step"), 10.0)
    kept: Any = ours._kept
    ours.forget(11.9)
    assert ours._kept is kept
    ours.forget(12.0)
    assert ours._kept is None
    with pytest.raises(ApiMisuse):
        kept.keys.cipher.decrypt(b"", b"", b"")


@pytest.mark.protocol("P7.39", "P7.41")
@pytest.mark.parametrize("steps", [2, 3, 14])
def test_after_a_longer_step_no_key_is_kept(steps: int) -> None:
    theirs, ours = peer(), chain()
    ours.open(theirs.seal_at(1, 0, b"x"), 0.0)
    assert ours._kept is not None
    ours.open(theirs.seal_at(1 + steps, 0, b"x"), 0.1)
    assert ours._kept is ours.forget_at is None
    assert ours.open(theirs.seal_at(steps, 1, b"just before"), 0.1) is None
    assert ours.failures == 0


# Epochs


@pytest.mark.protocol("P7.39", "P7.40", "P7.42")
@pytest.mark.parametrize("generation", range(15))
def test_the_next_epoch_begins_with_any_of_its_first_generations(generation: int) -> None:
    """Only once its base key is there; before that it is unknown."""
    theirs, following, ours = peer(), peer(2, base=NEXT), chain()
    ours.open(theirs.seal_at(3, 0, b"x"), 0.0)
    first = following.seal_at(generation, 1, b"new")
    assert ours.open(first, 1.0) is None
    assert ours.failures == 1
    ours.prepare(Secret("next", NEXT))
    was = state(ours)
    assert ours.open(flipped(first, len(first) - 1), 1.0) is None
    assert state(ours) == was
    assert ours.failures == 2
    assert ours.open(first, 1.0) == b"new"
    assert (ours.epoch, ours.generation, ours.failures) == (2, generation, 0)
    assert ours.open(theirs.seal_at(3, 1, b"late"), 2.9) == b"late"
    assert ours.open(theirs.seal_at(2, 1, b"earlier"), 2.9) is None
    assert ours.open(theirs.seal_at(4, 1, b"never seen"), 2.9) is None
    assert ours.open(theirs.seal_at(3, 2, b"too late"), 3.0) is None
    assert ours.failures == 0


@pytest.mark.protocol("P7.40", "P7.41")
def test_the_fifteenth_generation_of_the_next_epoch_is_dropped() -> None:
    ours = chain()
    ours.prepare(Secret("next", NEXT))
    assert ours.open(peer(2, base=NEXT).seal_at(15, 0, b"x"), 0.0) is None
    assert (ours.epoch, ours.failures) == (1, 0)


@pytest.mark.protocol("P7.39")
def test_the_other_carrier_begins_the_epoch() -> None:
    theirs, following, ours = peer(), peer(2, base=NEXT), chain()
    ours.begin_epoch(0.0)
    assert ours.epoch == 1
    ours.prepare(Secret("next", NEXT))
    ours.begin_epoch(5.0)
    assert (ours.epoch, ours.generation, ours.forget_at) == (2, 0, 7.0)
    assert ours.open(theirs.seal_at(0, 0, b"late"), 6.0) == b"late"
    assert ours.open(following.seal_at(0, 0, b"new"), 6.0) == b"new"
    ours.begin_epoch(6.5)
    assert (ours.epoch, ours.forget_at) == (2, 7.0)
    assert ours.open(following.seal_at(1, 0, b"step"), 6.6) == b"step"
    assert ours.open(theirs.seal_at(0, 1, b"one key is kept, not two"), 6.6) is None
    assert ours.open(following.seal_at(0, 1, b"late"), 6.6) == b"late"


@pytest.mark.protocol("P7.42")
def test_an_epoch_that_nobody_agreed_on() -> None:
    theirs, ours = peer(5), chain(5)
    for number, epoch in enumerate((0, 1, 3, 6, 7, 2**32 - 1, 2**59), start=1):
        assert ours.open(sframe.encode_header(epoch << 4 | 9, 0) + bytes(20), 0.0) is None
        assert ours.failures == number
    assert ours.open(sframe.encode_header(4 << 4, 0) + bytes(20), 0.0) is None
    assert ours.failures == 7, "the epoch just before is known, its keys are gone"
    assert ours.open(theirs.seal(b"x"), 0.0) == b"x"


# What is dropped, what counts


@pytest.mark.protocol("P7.41", "P7.42", "P7.44")
@pytest.mark.parametrize("already", [0, 1, 15, 16, 17])
def test_what_is_dropped_and_what_counts(already: int) -> None:
    theirs, ours = peer(per_key=300), chain(per_key=300)
    for number in range(already):
        assert ours.open(theirs.seal(bytes([number])), 0.0) is not None
    record = theirs.seal(b"next")
    header = sframe.decode_header_untrusted(record)[2]
    wide = theirs.seal_at(0, 256, b"wide")
    silent = [
        b"",
        b"\x10" + bytes(30),
        b"\x00" * 40,
        b"\x7f" + bytes(40),
        b"\xf0" + bytes(30),
        record[: header + 15],
        record[:1],
        record[:2],
        wide[:3],
        wide[:4],
        b"\x89\x10\x00\x20" + bytes(30),
        b"\x88\x10\x07" + bytes(30),
        b"\x90\x00\x10" + bytes(30),
        b"\x89\x10\x01\x2c",
        sframe.encode_header(0x1F, 0) + bytes(30),
    ]
    counted = [
        flipped(record, len(record) - 1),
        flipped(record, header),
        record + b"\0",
        wide[:-1] + b"\0\0",
        sframe.encode_header(0x10, 300) + bytes(16),
        sframe.encode_header(0x11, 300) + bytes(16),
        sframe.encode_header(0x99, 2**63) + bytes(16),
        sframe.encode_header(0x40, 0) + bytes(16),
        sframe.encode_header(0x12, 0) + bytes(16),
    ]
    was = state(ours)
    for bad in silent:
        assert ours.open(bad, 0.0) is None
        assert ours.failures == 0, bad
    for number, bad in enumerate(counted, start=1):
        assert ours.open(bad, 0.0) is None
        assert ours.failures == number, bad
    assert state(ours) == was
    assert ours.open(record, 0.0) == b"next"
    assert ours.open(wide, 0.0) == b"wide"


@pytest.mark.protocol("P7.38", "P11.32")
def test_a_duplicate_with_a_wrong_tag_is_no_failure_and_a_failure_no_duplicate() -> None:
    theirs, ours = peer(), chain()
    record = theirs.seal(b"x")
    assert ours.open(flipped(record, 5), 0.0) is None
    assert ours.open(record, 0.0) == b"x"
    assert ours.open(flipped(record, 5), 0.0) is None
    assert ours.failures == 1


@given(data=st.binary(max_size=60), already=st.integers(0, 40))
@settings(deadline=None, max_examples=80)
def test_arbitrary_bytes_raise_nothing_and_move_nothing(data: bytes, already: int) -> None:
    theirs, ours = peer(), chain()
    for _ in range(already):
        ours.open(theirs.seal(b"x"), 0.0)
    was = state(ours)
    assert ours.open(data, 0.0) is None
    assert state(ours) == was
    assert ours.open(theirs.seal(b"x"), 0.0) == b"x"


# Counts, and the end


def test_what_was_lost_is_counted_from_the_numbers() -> None:
    theirs, following, ours = peer(), peer(2, base=NEXT), chain()
    for counter in (0, 3, 9):
        ours.open(theirs.seal_at(0, counter, b"x"), 0.0)
    assert ours.lost == 7, "1, 2 and 4 to 8; what may come behind 9 nobody knows"
    ours.open(theirs.seal_at(1, 0, b"x"), 0.0)
    assert ours.lost == 13, "the sender has gone on: all sixteen were sealed"
    ours.open(theirs.seal_at(0, 15, b"late"), 0.0)
    assert ours.lost == 12
    ours.open(theirs.seal_at(4, 1, b"x"), 0.0)
    assert ours.lost == 12 + 15 + 2 * 16 + 1
    ours.prepare(Secret("next", NEXT))
    ours.open(following.seal_at(2, 0, b"x"), 0.0)
    assert ours.lost == 60 + 2 * 16
    ours.wipe()
    assert ours.lost == 60 + 2 * 16


@pytest.mark.protocol("P5.22", "P5.17")
def test_a_wiped_chain_holds_nothing_and_opens_nothing() -> None:
    theirs, ours = peer(), chain()
    first_base = ours._base
    ours.open(theirs.seal_at(1, 0, b"x"), 0.0)
    assert first_base.is_wiped
    following = Secret("next", NEXT)
    ours.prepare(following)
    base, kept, current = ours._base, ours._kept, ours._current
    ours.wipe()
    assert base.is_wiped
    assert following.is_wiped
    assert kept is not None
    for keys in (kept.keys, current):
        assert (keys.nonce_head, keys.nonce_tail) == (bytes(10), 0)
    with pytest.raises(ApiMisuse):
        ours.open(theirs.seal_at(1, 1, b"x"), 0.0)
    for epoch, generation in ((1, 2), (2, 0), (2, 1)):
        with pytest.raises(ApiMisuse):
            ours.open(peer(epoch, base=bytes(64)).seal_at(generation, 0, b"forged"), 0.0)
