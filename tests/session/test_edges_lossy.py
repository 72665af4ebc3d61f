"""Protocol §7, the lossy carrier at its limits: counters, epochs and keys just inside and just outside."""

import pytest

from sottovoce.primitives import Secret
from sottovoce.session import LossyChain
from sottovoce.wire import sframe
from tests.session.foreign_bytes import Chain
from tests.session.test_lossy import BASE, NEXT, PER_KEY, chain, peer

KEY_ID_OF_EPOCH_0 = 0x09


def _in(generation: int, per_key: int) -> tuple[Chain, LossyChain]:
    """A peer, and our chain, which stands in epoch 1 and has heard one record of that generation."""
    theirs, ours = peer(per_key=per_key), chain(per_key=per_key)
    assert ours.open(theirs.seal_at(generation, 1, b"first"), 0.0) == b"first"
    return theirs, ours


@pytest.mark.protocol("P7.33", "P7.38", "P7.42")
@pytest.mark.parametrize("per_key", [16, 17, 23, 300])
@pytest.mark.parametrize("generation", [0, 1, 2, 3])
def test_the_last_counter_of_a_generation_opens_and_the_next_does_not(per_key: int, generation: int) -> None:
    """Whatever its tag: of the current generation, of the one that is kept, and of two ahead."""
    for beyond in (per_key, per_key + 1, per_key + 8, 1_000, 65_535):
        theirs, ours = _in(1, per_key)
        assert ours.open(theirs.seal_at(2, 1, b"current"), 0.0) == b"current"
        forgotten = generation == 0
        assert ours.open(theirs.seal_at(generation, beyond, b"x"), 0.0) is None
        assert (ours.generation, ours.failures) == (2, 1)
        record = theirs.seal_at(generation, per_key - 1, b"last")
        assert ours.open(record, 0.0) == (None if forgotten else b"last")


@pytest.mark.protocol("P7.33", "P7.42")
def test_a_counter_that_is_too_high_does_not_begin_an_epoch() -> None:
    theirs, ours = peer(2, base=NEXT), chain()
    ours.prepare(Secret("next", NEXT))
    for generation in (0, 1):
        assert ours.open(theirs.seal_at(generation, PER_KEY, b"x"), 0.0) is None
    assert (ours.epoch, ours.failures) == (1, 2)
    assert ours.open(theirs.seal_at(0, PER_KEY - 1, b"x"), 0.0) == b"x"


@pytest.mark.protocol("P7.38", "P7.44")
@pytest.mark.parametrize("counter", [0, 7, 8, 255, 256, 299])
def test_a_record_of_nothing_but_header_and_tag_is_a_record(counter: int) -> None:
    """Its plaintext is empty, which is for the frame's own rules to refuse; one byte less is no record."""
    theirs, ours = peer(per_key=300), chain(per_key=300)
    record = theirs.seal_at(0, counter, b"")
    assert ours.open(record[:-1], 0.0) is None
    assert ours.failures == 0
    assert ours.open(record, 0.0) == b""
    assert ours.open(record, 0.0) is None


@pytest.mark.protocol("P7.41", "P7.42")
def test_there_is_no_epoch_before_the_first() -> None:
    """Epoch 0 is not one whose key is gone: a record that names it counts."""
    ours = chain()
    assert ours.open(sframe.encode_header(KEY_ID_OF_EPOCH_0, 0) + bytes(20), 0.0) is None
    assert ours.failures == 1


@pytest.mark.protocol("P7.39", "P7.41")
def test_a_late_record_is_tried_under_no_key_but_its_own() -> None:
    """One key is kept, of generation 3; a record of any other one of that epoch is dropped, and does not count."""
    theirs, following = peer(), peer(2, base=NEXT)
    ours = chain()
    ours.open(theirs.seal_at(3, 0, b"x"), 0.0)
    ours.prepare(Secret("next", NEXT))
    assert ours.open(following.seal_at(0, 0, b"new"), 0.0) == b"new"
    for generation in (0, 1, 2, 4, 15):
        assert ours.open(theirs.seal_at(generation, 5, b"x"), 0.0) is None
        assert ours.failures == 0
    assert ours.open(theirs.seal_at(3, 5, b"late"), 0.0) == b"late"


@pytest.mark.protocol("P7.40", "P7.42")
@pytest.mark.parametrize("generation", [0, 14, 15])
def test_an_epoch_behind_the_next_is_unknown(generation: int) -> None:
    """Though the next one's key is there: of that one only a fifteenth generation is dropped without being counted."""
    ours = chain()
    ours.prepare(Secret("next", NEXT))
    assert ours.open(peer(3, base=BASE).seal_at(generation, 0, b"x"), 0.0) is None
    assert (ours.epoch, ours.failures) == (1, 1)
