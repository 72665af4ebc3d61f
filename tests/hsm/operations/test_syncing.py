"""One token gets the keys of another, of another vendor: its own where each has one, the same where they share it."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from sottovoce.hsm import Cluster, Inventory, KeyKind, KeyState, NewKey, TokenKeys
from sottovoce.hsm.operations import KeySynced, SyncOutcome
from sottovoce.primitives import Secret, verify_spki
from tests.hsm.operations import nss
from tests.hsm.operations.conftest import DEADLINE, NSS, SOFTHSM, OpenTokens

pytestmark = [pytest.mark.interop(tool="softhsm2-util"), pytest.mark.interop(tool=nss.SOFTOKN)]
ALREADY, MADE, MOVED, STAYS = SyncOutcome.ALREADY, SyncOutcome.MADE, SyncOutcome.MOVED, SyncOutcome.STAYS


async def keys_of(pool: Cluster, folder: Path) -> TokenKeys:
    """Those of the pool, once all its tokens are up."""
    with trio.fail_after(60):
        while pool.status.up < len(pool.nodes):  # noqa: ASYNC110  a state has no event
            await trio.sleep(0.02)
    return TokenKeys(pool, Inventory(folder / "inventory.json"), lambda: 1_800_000_000.0)


async def imported(keys: TokenKeys, label: str, kind: KeyKind, *, extractable: bool = True) -> None:
    with Secret.take("value", bytes(range(kind.value_bytes))) as value:
        new = NewKey(f"key/{label}", kind, is_extractable=extractable)
        await keys.import_key(new, value, deadline_seconds=DEADLINE)


async def made_on_one(opened: OpenTokens, folder: Path) -> None:
    async with opened(SOFTHSM) as pool:
        keys = await keys_of(pool, folder)
        for kind in (KeyKind.ECDSA_P256, KeyKind.ED25519, KeyKind.AES_256_GCM):
            await keys.generate(NewKey(f"key/{kind}", kind), deadline_seconds=DEADLINE)
        await imported(keys, "codes", KeyKind.HMAC_SHA384)
        await imported(keys, "fixed", KeyKind.HMAC_SHA384, extractable=False)


async def test_what_moves_what_is_made_anew_and_what_stays(opened: OpenTokens, tmp_path: Path) -> None:
    await made_on_one(opened, tmp_path)
    async with opened(SOFTHSM, NSS) as pool:
        keys = await keys_of(pool, tmp_path)
        await imported(keys, "wrapping", KeyKind.AES_256_WRAP)
        done = await keys.synchronize("a", "b", deadline_seconds=DEADLINE)
        own = "b has a key of its own under this label"
        assert done == [
            KeySynced("key/wrapping", ALREADY),
            KeySynced("key/aes-256-gcm", MADE, own),
            KeySynced("key/codes", MOVED, "wrapped under key/wrapping"),
            KeySynced("key/ecdsa-p256-sha256", MADE, own),
            KeySynced("key/ed25519", STAYS, "this token does not have ed25519"),
            KeySynced("key/fixed", STAYS, "it is not to leave its token: import it anew"),
        ]
        again = await keys.synchronize("a", "b", deadline_seconds=DEADLINE)
        assert [each.outcome for each in again] == [ALREADY] * 4 + [STAYS] * 2
        publics = keys.export("key/ecdsa-p256-sha256").nodes
        assert len(set(publics.values())) == 2
        codes = {(await keys.sign("key/codes", b"m", deadline_seconds=DEADLINE)).signature for _ in range(8)}
        assert len(codes) == 1, "it is the same key on both"
        signature = await keys.sign("key/ecdsa-p256-sha256", b"m", deadline_seconds=DEADLINE)
        assert verify_spki(publics[signature.node], b"m", signature.signature)


async def test_without_a_wrapping_key_that_both_share_what_is_shared_stays(opened: OpenTokens, tmp_path: Path) -> None:
    await made_on_one(opened, tmp_path)
    inventory = Inventory(tmp_path / "inventory.json")
    gcm = inventory.get("key/aes-256-gcm")
    assert gcm is not None
    inventory.put(replace(gcm, state=KeyState.ENDING))
    async with opened(SOFTHSM, NSS) as pool:
        done = await (await keys_of(pool, tmp_path)).synchronize("a", "b", deadline_seconds=DEADLINE)
    reasons = {each.label: each.reason for each in done if each.outcome is STAYS}
    assert reasons["key/codes"] == "there is no wrapping key that both tokens share"
    assert reasons["key/aes-256-gcm"] == "it is half made or half destroyed: destroy it first"


async def test_what_a_call_left_whose_outcome_nobody_heard_of_is_made_anew(opened: OpenTokens, tmp_path: Path) -> None:
    async with opened(SOFTHSM, SOFTHSM) as pool:
        keys = await keys_of(pool, tmp_path)
        key = await keys.generate(NewKey("key/one", KeyKind.ECDSA_P384), deadline_seconds=DEADLINE)
        Inventory(tmp_path / "inventory.json").put(replace(key, nodes={"a": key.nodes["a"]}))
        keys = await keys_of(pool, tmp_path)
        (done,) = await keys.synchronize("a", "b", deadline_seconds=DEADLINE)
        assert done.outcome is MADE
        assert keys.export("key/one").nodes["b"] not in {b"", key.nodes["b"]}
        assert await keys.prove("key/one", deadline_seconds=DEADLINE) == {}


async def test_a_data_key_is_sealed_anew_for_a_token_that_came_later(opened: OpenTokens, tmp_path: Path) -> None:
    async with opened(SOFTHSM) as pool:
        keys = await keys_of(pool, tmp_path)
        await keys.generate(NewKey("key/kek", KeyKind.AES_256_GCM), deadline_seconds=DEADLINE)
        value, before = await keys.new_data_key("key/kek", deadline_seconds=DEADLINE)
    async with opened(SOFTHSM, SOFTHSM) as pool:
        keys = await keys_of(pool, tmp_path)
        await keys.synchronize("a", "b", deadline_seconds=DEADLINE)
        after = await keys.seal_data_key_anew(before, deadline_seconds=DEADLINE)
        assert ([each.node for each in before.sealed], [each.node for each in after.sealed]) == (["a"], ["a", "b"])
        only_b = replace(after, sealed=after.sealed[1:])
        with await keys.open_data_key(only_b, deadline_seconds=DEADLINE) as opened_again, value:
            assert opened_again == value
