"""Trials on tokens of two vendors: each says what it does, nothing of it stays, and nothing stands in the way."""

import pytest

from sottovoce.hsm import KeyKind, OperationRefused, WrapMechanism
from sottovoce.hsm.operations.messages import FIND, Find
from sottovoce.hsm.trials import NEEDED, TRIALS, TRY, Outcome, Tried, Try
from tests.hsm.operations.conftest import DEADLINE, NSS, SOFTHSM, VENDORS, OpenTokens

DIFFERENT = {
    SOFTHSM: {str(WrapMechanism.AES_KWP): Tried(Outcome.WORKS, "0x210A")},
    NSS: {
        str(WrapMechanism.AES_KWP): Tried(Outcome.WORKS, "0x210B"),
        str(KeyKind.ED25519): Tried(Outcome.ABSENT),
    },
}


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.parametrize("vendor", VENDORS)
async def test_each_thing_is_tried_and_nothing_of_it_stays(opened: OpenTokens, vendor: str) -> None:
    async with opened(vendor) as token:
        found = {what: await token.call(TRY, Try(what), deadline_seconds=DEADLINE) for what in TRIALS}
        left = await token.call(FIND, Find("key/"), deadline_seconds=DEADLINE)
    expected = dict.fromkeys(TRIALS, Tried(Outcome.WORKS)) | {
        "gcm nonce": Tried(Outcome.WORKS, "the caller's is used"),
        str(WrapMechanism.AES_KW): Tried(Outcome.WORKS, "0x2109"),
    }
    assert found == expected | DIFFERENT[vendor]
    assert left.keys == ()


@pytest.mark.interop(tool="softhsm2-util")
async def test_what_nobody_knows_of_is_refused(opened: OpenTokens) -> None:
    async with opened(SOFTHSM) as token:
        with pytest.raises(OperationRefused, match="'nonsense' is nothing that can be tried"):
            await token.call(TRY, Try("nonsense"), deadline_seconds=DEADLINE)


def test_what_is_needed_is_tried() -> None:
    assert set(TRIALS) >= NEEDED
