"""What becomes of keys is told before the inventory says so: what nobody was told of is not so."""

import pytest

from sottovoce.hsm import Inventory, KeyKind, KeyState, NewKey, TokenKeys
from sottovoce.hsm.operations import ChangeKind, KeyChange
from tests.hsm.operations import nss
from tests.hsm.operations.conftest import DEADLINE
from tests.hsm.operations.test_token_keys import Three, three

__all__ = ["three"]
pytestmark = [pytest.mark.interop(tool="softhsm2-util"), pytest.mark.interop(tool=nss.SOFTOKN)]
ONE = NewKey("key/one", KeyKind.ECDSA_P256)


class FullDiskError(Exception):
    """What an audit log may raise."""


class Account:
    """Keeps account, with what the inventory said of the key at that moment."""

    def __init__(self, inventory: Inventory) -> None:
        self.told: list[tuple[ChangeKind, str, KeyState | None]] = []
        self.publics: set[bytes] = set()
        self.is_full = False
        self._inventory = inventory

    async def tell(self, changes: tuple[KeyChange, ...]) -> None:
        if self.is_full:
            raise FullDiskError
        for each in changes:
            key = self._inventory.get(each.label)
            self.told.append((each.what, each.node, key and key.state))
            self.publics.add(each.public)


def keys_and_account(three: Three) -> tuple[TokenKeys, Account]:
    account = Account(three.inventory)
    return TokenKeys(three.pool, three.inventory, lambda: 1_800_000_000.0, account.tell), account


async def test_keys_that_are_made_and_destroyed_are_told_before_they_are_in_use_and_forgotten(three: Three) -> None:
    keys, account = keys_and_account(three)
    made = await keys.generate(ONE, deadline_seconds=DEADLINE)
    assert account.told == [(ChangeKind.MADE, node, KeyState.MAKING) for node in "abc"]
    assert account.publics == set(made.nodes.values())
    account.told.clear()
    await keys.destroy(ONE.label, deadline_seconds=DEADLINE)
    assert account.told == [(ChangeKind.DESTROYED, node, KeyState.ENDING) for node in "abc"]


async def test_a_key_whose_making_was_not_told_is_not_used_and_its_end_is_not_told_either(three: Three) -> None:
    keys, account = keys_and_account(three)
    account.is_full = True
    with pytest.raises(FullDiskError):
        await keys.generate(ONE, deadline_seconds=DEADLINE)
    left = three.inventory.get(ONE.label)
    assert left is not None
    assert left.state is KeyState.MAKING
    account.is_full = False
    await keys.mend(deadline_seconds=DEADLINE)
    assert (account.told, three.inventory.keys) == ([], ())


async def test_an_end_that_was_not_told_is_told_by_whoever_ends_it_again(three: Three) -> None:
    keys, account = keys_and_account(three)
    await keys.generate(ONE, deadline_seconds=DEADLINE)
    account.told.clear()
    account.is_full = True
    with pytest.raises(FullDiskError):
        await keys.destroy(ONE.label, deadline_seconds=DEADLINE)
    account.is_full = False
    assert three.inventory.get(ONE.label) is not None
    await keys.destroy(ONE.label, deadline_seconds=DEADLINE)
    assert account.told == [(ChangeKind.DESTROYED, node, KeyState.ENDING) for node in "abc"]
    assert three.inventory.keys == ()


async def test_what_a_token_gets_from_another_is_told_or_it_has_not_got_it(three: Three) -> None:
    keys, account = keys_and_account(three)
    await three.take_away("a")
    await keys.generate(ONE, deadline_seconds=DEADLINE)
    await three.bring_back("a")
    account.is_full = True
    with pytest.raises(FullDiskError):
        await keys.synchronize("b", "a", deadline_seconds=DEADLINE)
    assert set(keys.export(ONE.label).nodes) == {"b", "c"}
    account.is_full = False
    account.told.clear()
    await keys.synchronize("b", "a", deadline_seconds=DEADLINE)
    assert account.told == [(ChangeKind.MADE, "a", KeyState.USABLE)]
    assert set(keys.export(ONE.label).nodes) == {"a", "b", "c"}
