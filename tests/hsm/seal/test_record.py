"""The seal's file and the state's: read back as they were written, and refused as anything else."""

import json
from typing import Any

import msgspec
import pytest

from sottovoce.hsm.seal import KeptState, SealDamaged, SealRefused
from sottovoce.hsm.seal.record import read_kept_state, read_record
from sottovoce.primitives import Secret
from tests.hsm.seal.made import Chance, made

RECORD = made(seed=1).record
STATE = KeptState(seal=RECORD.id, is_sealed=True, since=1_700_000_000, reason="a drill")


def test_they_read_back() -> None:
    assert read_record(RECORD.to_file()) == RECORD
    assert read_kept_state(STATE.to_file()) == STATE


def test_the_record_tells_no_lengths_of_pins() -> None:
    assert {len(pin.sealed) for pin in RECORD.pins.values()} == {1 + 255 + 16}


@pytest.mark.parametrize(
    "change",
    [
        {"format": "sottovoce.seal.2"},
        {"id": "AAAA"},
        {"set_name": 1 << 15},
        {"threshold": 1},
        {"threshold": 6},
        {"commitments": []},
        {"pins": {}},
        {"pins": {"A B": {"nonce": "", "sealed": ""}}},
        {"more": 1},
    ],
)
def test_a_record_of_another_shape_is_refused_in_one_line(change: dict[str, Any]) -> None:
    data = json.dumps(json.loads(RECORD.to_file()) | change).encode()
    with pytest.raises(SealDamaged, match=r"is no seal .*: restore it from its backup") as raised:
        read_record(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", STATE.to_file()[:-9], RECORD.to_file()])
def test_what_is_no_state(data: bytes) -> None:
    with pytest.raises(SealDamaged, match="tells no state"):
        read_kept_state(data)


@pytest.mark.parametrize("pin", [b"", b"x" * 256])
def test_a_pin_that_no_token_has_is_refused(pin: bytes) -> None:
    with pytest.raises(SealRefused, match="node a's PIN has"):
        RECORD.seal_pin(Secret("key", bytes(32)), "a", Secret("PIN", pin), Chance(1))


def test_what_is_authenticated_with_a_pin() -> None:
    """Whatever of the record changes, and whatever node is asked for, under the same key the PIN does not open."""
    key = Secret("key", bytes(range(32)))
    sealed = RECORD.seal_pin(key, "a", Secret("PIN", b"1234"), Chance(1))
    record = msgspec.structs.replace(RECORD, pins={"a": sealed, "b": sealed})
    assert record.open_pin(key, "a") == Secret("PIN", b"1234")
    swapped = (RECORD.commitments[1], RECORD.commitments[0], *RECORD.commitments[2:])
    others = [{"id": bytes(16)}, {"set_name": RECORD.set_name ^ 1}, {"threshold": 2}, {"commitments": swapped}]
    others += [{"commitments": RECORD.commitments[:4]}]
    for change in others:
        with pytest.raises(SealDamaged, match="node a's PIN does not open"):
            msgspec.structs.replace(record, **change).open_pin(key, "a")
    with pytest.raises(SealDamaged, match="node b's PIN does not open"):
        record.open_pin(key, "b")
    with pytest.raises(SealDamaged):
        record.open_pin(Secret("key", bytes(32)), "a")
