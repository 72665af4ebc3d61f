"""A connection that is had rest: its records are the same, and its ciphers are there while they are wanted."""

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import TlsError
from sottovoce.transport.records import RecordCore
from sottovoce.transport.records.limits import RESTING_RECORDS
from tests.transport.records.ends import Forged, forged
from tests.transport.records.forge import DATA, NAMES, Opened


def say(both: Forged, times: int) -> list[bytes]:
    """Have both ends say something, so often; give what ours wrote."""
    written: list[bytes] = []
    for _ in range(times):
        written.append(both.core.seal(b"said"))
        assert both.hears.read(written[-1])[-1] == Opened(DATA, b"said")
        record = both.says.record(b"heard")
        heard = both.core.receive_record(record)
        assert (both.core.receive(b"") if heard is None else heard) == b"heard"
    return written


def ciphers(core: RecordCore) -> list[bool]:
    return [isinstance(each, AESGCM) for each in (core._aead, core._rx_aead)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("every", [1, 2, RESTING_RECORDS, RESTING_RECORDS + 1])
def test_what_is_said_is_the_same(name: str, every: int) -> None:
    both = forged(name)
    written: list[bytes] = []
    for _ in range(4):
        both.core.rest()
        written += say(both, every)
    assert all(one != another for one, another in pairwise(sorted(written))), "no number was taken twice"


def test_ciphers_are_kept_while_records_pass() -> None:
    both = forged()
    assert ciphers(both.core) == [True, True]
    both.core.rest()
    assert ciphers(both.core) == [False, False]
    say(both, RESTING_RECORDS)
    assert ciphers(both.core) == [False, False]
    say(both, 1)
    assert ciphers(both.core) == [True, True]
    both.core.rest()
    assert ciphers(both.core) == [True, True]
    both.core.rest()
    assert ciphers(both.core) == [False, False]


def test_each_direction_rests_by_itself() -> None:
    both = forged()
    for _ in range(RESTING_RECORDS + 1):
        both.core.seal(b"said")
    both.core.rest()
    assert ciphers(both.core) == [True, False]


def test_keys_are_changed_at_rest() -> None:
    both = forged()
    both.core.rest()
    both.core.receive(both.says.key_update(1))
    say(both, 3)
    both.core.rest()
    both.core._ask_for_update()
    both.hears.read(both.core.to_send())
    say(both, 2 * RESTING_RECORDS)


def test_a_forged_record_is_the_end_at_rest_too() -> None:
    both = forged()
    both.core.rest()
    record = bytearray(both.says.record(b"heard"))
    record[-1] ^= 1
    assert both.core.receive_record(bytes(record)) is None
    with pytest.raises(TlsError, match="bad record mac"):
        both.core.receive(b"")
    assert both.sent_alert() == 20
    both.core.rest()


def test_what_was_released_does_not_wake() -> None:
    both = forged()
    both.core.rest()
    both.core.release()
    both.core.rest()
    both.core.close()
    with pytest.raises(ApiMisuse):
        both.core.seal(b"x")
    with pytest.raises(ApiMisuse):
        both.core.receive(both.says.record(b"x"))
    assert both.core.to_send() == b""
