"""`TokenKeys` over three real tokens of two vendors: made by a quorum, used while any is up, ended everywhere."""

import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec.structs import replace

from sottovoce.hsm import Cluster, HsmUnavailable, OperationRefused, TokenState
from sottovoce.hsm.errors import KeyAbsent, QuorumMissing
from sottovoce.hsm.inventory import Inventory, KeyState, PublishedKey
from sottovoce.hsm.kinds import KeyFacts, KeyKind, NewKey, TokenHealth, WrapMechanism
from sottovoce.hsm.operations import TokenKeys
from sottovoce.primitives import Secret, verify_spki
from tests.hsm.operations import nss
from tests.hsm.operations.conftest import NSS, SOFTHSM, OpenTokens
from tests.hsm.operations.test_conformance import spki_of

DEADLINE = 30.0
SHORT = 1.0
pytestmark = pytest.mark.interop(tool=nss.SOFTOKN)


class Three:
    """Three tokens, of which a and b are SoftHSM's and can be taken away, and what is kept of their keys."""

    def __init__(self, pool: Cluster, folder: Path) -> None:
        self.pool = pool
        self.folder = folder
        self.inventory = Inventory(folder / "inventory.json")
        self.keys = TokenKeys(pool, self.inventory, lambda: 1_800_000_000.0)

    def with_keys_anew(self) -> None:
        """As after a restart of the proxy."""
        self.inventory = Inventory(self.folder / "inventory.json")
        self.keys = TokenKeys(self.pool, self.inventory, lambda: 1_800_000_000.0)

    async def take_away(self, *nodes: str) -> None:
        for node in nodes:
            (self.folder / node / "tokens").rename(self.folder / node / "away")
            os.kill(next(each.pid or 0 for each in self.pool.status.nodes if each.name == node), signal.SIGKILL)
        await self.until(lambda up: not set(nodes) & up)

    async def bring_back(self, *nodes: str) -> None:
        for node in nodes:
            (self.folder / node / "away").rename(self.folder / node / "tokens")
        await self.until(lambda up: set(nodes) <= up)

    async def until(self, holds: Callable[[set[str]], bool]) -> None:
        with trio.fail_after(60):
            while not holds({each.name for each in self.pool.status.nodes if each.state is TokenState.UP}):  # noqa: ASYNC110  a state has no event
                await trio.sleep(0.02)


@asynccontextmanager
async def opened_three(opened: OpenTokens, tmp_path: Path) -> AsyncGenerator[Three]:
    async with opened(SOFTHSM, SOFTHSM, NSS) as pool:
        three = Three(pool, tmp_path)
        await three.until(lambda up: up == {"a", "b", "c"})
        yield three


@pytest.fixture
async def three(opened: OpenTokens, tmp_path: Path) -> AsyncGenerator[Three]:
    async with opened_three(opened, tmp_path) as three:
        yield three


async def test_each_node_has_a_key_of_its_own_and_any_signs(three: Three) -> None:
    key = await three.keys.generate(NewKey("key/one", KeyKind.ECDSA_P384), deadline_seconds=DEADLINE)
    assert three.keys.export("key/one") == key
    assert set(key.nodes) == {"a", "b", "c"}
    assert len(set(key.nodes.values())) == 3
    seen: set[str] = set()

    async def sign(message: bytes) -> None:
        signature = await three.keys.sign("key/one", message, deadline_seconds=DEADLINE, tenant="t")
        seen.add(signature.node)
        assert verify_spki(key.nodes[signature.node], message, signature.signature)
        assert await three.keys.verify("key/one", message, signature, deadline_seconds=DEADLINE)
        for wrong in (replace(signature, node="d"), replace(signature, signature=bytes(96))):
            assert not await three.keys.verify("key/one", message, wrong, deadline_seconds=DEADLINE)

    async with trio.open_nursery() as nursery:
        for number in range(24):
            nursery.start_soon(sign, f"message {number}".encode())
    assert len(seen) > 1
    assert await three.keys.prove("key/one", deadline_seconds=DEADLINE) == {}
    found = await three.keys.find("key/", deadline_seconds=DEADLINE)
    assert found == {node: (KeyFacts("key/one", key.kind, public),) for node, public in key.nodes.items()}


async def test_what_only_some_vendors_have_is_made_where_they_are_enough(three: Three) -> None:
    key = await three.keys.generate(NewKey("key/one", KeyKind.ED25519), deadline_seconds=DEADLINE)
    assert set(key.nodes) == {"a", "b"}
    await three.take_away("a")
    with pytest.raises(QuorumMissing, match=r"has to be done by 2 tokens, 1 did it \(c: this token does not have ed"):
        await three.keys.generate(NewKey("key/two", KeyKind.ED25519), deadline_seconds=DEADLINE)
    assert await three.keys.find("key/two", deadline_seconds=SHORT) | {"a": ()} == {"a": (), "b": (), "c": ()}
    assert (await three.keys.sign("key/one", b"m", deadline_seconds=DEADLINE)).node == "b"


async def test_with_one_of_three_away_keys_are_made_and_used_and_completed_later(three: Three) -> None:
    first = await three.keys.generate(NewKey("key/first", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)
    await three.take_away("a")
    second = await three.keys.generate(NewKey("key/second", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)
    assert (set(first.nodes), set(second.nodes)) == ({"a", "b", "c"}, {"b", "c"})
    for label in ("key/first", "key/second"):
        assert (await three.keys.sign(label, b"m", deadline_seconds=DEADLINE)).node in {"b", "c"}
    await three.bring_back("a")
    # It is asked for the first key only: the second it does not have.
    assert {(await three.keys.sign("key/second", b"m", deadline_seconds=DEADLINE)).node for _ in range(8)} <= {"b", "c"}
    completed = await three.keys.complete("key/second", deadline_seconds=DEADLINE)
    assert {node: completed.nodes[node] for node in "bc"} == second.nodes
    assert set(completed.nodes) == {"a", "b", "c"}
    assert await three.keys.prove("key/second", deadline_seconds=DEADLINE) == {}
    assert three.pool.status.nodes[0].state is TokenState.UP


async def test_with_two_of_three_away_keys_are_used_and_none_is_made(three: Three) -> None:
    await three.keys.generate(NewKey("key/one", KeyKind.ECDSA_P384), deadline_seconds=DEADLINE)
    await three.keys.import_key(
        NewKey("key/shared", KeyKind.AES_256_GCM), Secret("k", os.urandom(32)), deadline_seconds=DEADLINE
    )
    await three.take_away("a", "b")
    for attempt in (
        three.keys.generate(NewKey("key/two", KeyKind.ECDSA_P384), deadline_seconds=DEADLINE),
        three.keys.import_key(
            NewKey("key/two", KeyKind.AES_256_GCM), Secret("k", os.urandom(32)), deadline_seconds=DEADLINE
        ),
    ):
        with (
            trio.fail_after(SHORT),
            pytest.raises(QuorumMissing, match=r"making key/two takes 2 tokens, 1 are up \(a: .*; b: .*\); keys that"),
        ):
            await attempt
    assert three.inventory.get("key/two") is None
    assert (await three.keys.sign("key/one", b"m", deadline_seconds=DEADLINE)).node == "c"
    assert (await three.keys.encrypt("key/shared", Secret("c", b"m"), b"", deadline_seconds=DEADLINE)).node == "c"


async def test_a_data_key_is_opened_by_whichever_node_is_up_and_by_no_other_name(three: Three) -> None:
    await three.keys.generate(NewKey("key/kek", KeyKind.AES_256_GCM), deadline_seconds=DEADLINE)
    value, data_key = await three.keys.new_data_key("key/kek", deadline_seconds=DEADLINE)
    other_value, other = await three.keys.new_data_key("key/kek", deadline_seconds=DEADLINE)
    assert {each.node for each in data_key.sealed} == {"a", "b", "c"}
    assert value != other_value
    for sealed in data_key.sealed:
        one = replace(data_key, sealed=(sealed,))
        with await three.keys.open_data_key(one, deadline_seconds=DEADLINE) as opened:
            assert opened == value
        with pytest.raises(OperationRefused, match="was not sealed so by key/kek"):
            await three.keys.open_data_key(replace(one, id=other.id), deadline_seconds=DEADLINE)
        misplaced = replace(sealed, node="b" if sealed.node == "a" else "a")
        with pytest.raises(OperationRefused, match="was not sealed so by key/kek"):
            await three.keys.open_data_key(replace(one, sealed=(misplaced,)), deadline_seconds=DEADLINE)
    await three.take_away("a", "b")
    with await three.keys.open_data_key(data_key, deadline_seconds=DEADLINE) as opened:
        assert opened == value
    with pytest.raises(QuorumMissing, match="sealing a data key under key/kek"):
        await three.keys.new_data_key("key/kek", deadline_seconds=DEADLINE)


async def test_a_shared_key_is_the_same_one_on_all_nodes(three: Three) -> None:
    new = NewKey("key/shared", KeyKind.AES_256_GCM)
    key = await three.keys.import_key(new, Secret("value", os.urandom(32)), deadline_seconds=DEADLINE)
    assert (key.is_shared, key.nodes) == (True, {"a": b"", "b": b"", "c": b""})
    sealed = await three.keys.encrypt("key/shared", Secret("c", b"content"), b"data", deadline_seconds=DEADLINE)
    for node in "abc":
        anywhere = replace(sealed, node=node)
        with await three.keys.decrypt("key/shared", anywhere, b"data", deadline_seconds=DEADLINE) as opened:
            assert opened.copy_for_sealing() == b"content"
    await three.take_away(*{"a", "b"} & {sealed.node})
    with await three.keys.decrypt("key/shared", sealed, b"data", deadline_seconds=DEADLINE) as opened:
        assert opened.copy_for_sealing() == b"content"


async def test_what_one_nodes_own_key_sealed_is_for_that_node(three: Three) -> None:
    await three.keys.generate(NewKey("key/own", KeyKind.AES_256_GCM), deadline_seconds=DEADLINE)
    await three.keys.generate(NewKey("key/code", KeyKind.HMAC_SHA384), deadline_seconds=DEADLINE)
    sealed = await three.keys.encrypt("key/own", Secret("c", b"content"), b"", deadline_seconds=DEADLINE)
    for _ in range(6):
        (await three.keys.decrypt("key/own", sealed, b"", deadline_seconds=DEADLINE)).wipe()
    code = await three.keys.sign("key/code", b"m", deadline_seconds=DEADLINE)
    others = [replace(code, node=node) for node in "abc" if node != code.node]
    assert await three.keys.verify("key/code", b"m", code, deadline_seconds=DEADLINE)
    assert not any([await three.keys.verify("key/code", b"m", each, deadline_seconds=DEADLINE) for each in others])


async def test_a_key_is_cloned_to_all_nodes_by_wrapping_under_one_they_share(three: Three) -> None:
    wrapping = NewKey("key/wrapping", KeyKind.AES_256_WRAP)
    await three.keys.import_key(wrapping, Secret("value", os.urandom(32)), deadline_seconds=DEADLINE)
    original = NewKey("key/original", KeyKind.HMAC_SHA384, is_extractable=True)
    await three.keys.import_key(original, Secret("value", os.urandom(48)), deadline_seconds=DEADLINE)
    for mechanism in WrapMechanism:
        wrapped = await three.keys.wrap("key/wrapping", "key/original", mechanism, deadline_seconds=DEADLINE)
        clone = await three.keys.unwrap(
            "key/wrapping", wrapped, NewKey("key/clone", KeyKind.HMAC_SHA384), deadline_seconds=DEADLINE
        )
        assert (clone.is_shared, clone.is_extractable, set(clone.nodes)) == (True, False, {"a", "b", "c"})
        code = await three.keys.sign("key/original", b"m", deadline_seconds=DEADLINE)
        assert await three.keys.verify("key/clone", b"m", code, deadline_seconds=DEADLINE)
        await three.keys.destroy("key/clone", deadline_seconds=DEADLINE)


async def test_under_one_nodes_own_key_a_clone_does_not_reach_the_quorum(three: Three) -> None:
    await three.keys.generate(NewKey("key/wrapping", KeyKind.AES_256_WRAP), deadline_seconds=DEADLINE)
    await three.keys.generate(
        NewKey("key/original", KeyKind.HMAC_SHA384, is_extractable=True), deadline_seconds=DEADLINE
    )
    wrapped = await three.keys.wrap("key/wrapping", "key/original", deadline_seconds=DEADLINE)
    with pytest.raises(QuorumMissing, match="takes 2 tokens, 1 of those that are up have what it takes"):
        await three.keys.unwrap(
            "key/wrapping", wrapped, NewKey("key/clone", KeyKind.HMAC_SHA384), deadline_seconds=DEADLINE
        )
    assert three.inventory.get("key/clone") is None


async def test_a_shared_secret_is_of_the_node_whose_public_key_the_peer_has(three: Three) -> None:
    key = await three.keys.generate(NewKey("key/agree", KeyKind.ECDH_P384), deadline_seconds=DEADLINE)
    peer = ec.generate_private_key(ec.SECP384R1())
    for node, public in key.nodes.items():
        ours = load_der_public_key(public)
        assert isinstance(ours, ec.EllipticCurvePublicKey)
        with await three.keys.derive("key/agree", node, spki_of(peer), deadline_seconds=DEADLINE) as shared:
            assert shared.copy_for_sealing() == peer.exchange(ec.ECDH(), ours)
    with pytest.raises(HsmUnavailable):
        await three.keys.derive("key/agree", "d", spki_of(peer), deadline_seconds=SHORT)


async def test_a_destroyed_key_is_used_no_more_and_goes_from_the_last_node_later(three: Three) -> None:
    await three.keys.generate(NewKey("key/one", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)
    await three.take_away("a")
    ended = await three.keys.destroy("key/one", deadline_seconds=DEADLINE)
    assert (ended.gone, ended.left) == (("b", "c"), ("a",))
    with pytest.raises(KeyAbsent, match="there is no key key/one that is in use"):
        await three.keys.sign("key/one", b"m", deadline_seconds=DEADLINE)
    with pytest.raises(OperationRefused, match="half made or half destroyed: mend that first"):
        await three.keys.generate(NewKey("key/one", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)
    await three.bring_back("a")
    assert (await three.keys.find("key/", deadline_seconds=DEADLINE))["a"] != ()
    mended = await three.keys.mend(deadline_seconds=DEADLINE)
    assert (mended["key/one"].gone, mended["key/one"].left) == (("a", "b", "c"), ())
    assert await three.keys.find("key/", deadline_seconds=DEADLINE) == {"a": (), "b": (), "c": ()}
    assert three.inventory.keys == ()
    with pytest.raises(KeyAbsent, match=r"there is no key key/one$"):
        await three.keys.destroy("key/one", deadline_seconds=DEADLINE)


async def test_what_a_proxy_left_half_made_is_destroyed_by_the_next(three: Three) -> None:
    with trio.CancelScope() as scope:

        async def cancel_when_begun() -> None:
            while not all(each.in_flight for each in three.pool.status.nodes):
                await trio.lowlevel.checkpoint()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when_begun)
            await three.keys.generate(NewKey("key/one", KeyKind.RSA_PSS_3072), deadline_seconds=DEADLINE)
    three.with_keys_anew()
    left = three.inventory.get("key/one")
    assert left is not None
    assert left.state is KeyState.MAKING
    with pytest.raises(KeyAbsent):
        await three.keys.sign("key/one", b"m", deadline_seconds=DEADLINE)
    await three.keys.mend(deadline_seconds=DEADLINE)
    assert three.inventory.keys == ()
    assert await three.keys.find("key/", deadline_seconds=DEADLINE) == {"a": (), "b": (), "c": ()}
    await three.keys.generate(NewKey("key/one", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)


async def test_keys_are_known_after_a_restart(three: Three) -> None:
    key = await three.keys.generate(NewKey("key/one", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)
    three.with_keys_anew()
    assert three.keys.export("key/one") == key
    assert isinstance(key, PublishedKey)
    await three.keys.sign("key/one", b"m", deadline_seconds=DEADLINE)


async def test_what_a_key_is_not_for_is_refused_before_a_token_is_asked(three: Three) -> None:
    await three.keys.generate(NewKey("key/pair", KeyKind.ECDSA_P256), deadline_seconds=DEADLINE)
    await three.keys.generate(NewKey("key/seal", KeyKind.AES_256_GCM), deadline_seconds=DEADLINE)
    sealed = await three.keys.encrypt("key/seal", Secret("c", b"m"), b"", deadline_seconds=DEADLINE)
    with pytest.raises(OperationRefused, match="is aes-256-gcm, which is not to sign and verify"):
        await three.keys.sign("key/seal", b"m", deadline_seconds=DEADLINE)
    for attempt in (
        three.keys.encrypt("key/pair", Secret("c", b"m"), b"", deadline_seconds=DEADLINE),
        three.keys.decrypt("key/pair", sealed, b"", deadline_seconds=DEADLINE),
        three.keys.new_data_key("key/pair", deadline_seconds=DEADLINE),
        three.keys.wrap("key/pair", "key/seal", deadline_seconds=DEADLINE),
        three.keys.derive("key/pair", "a", b"", deadline_seconds=DEADLINE),
    ):
        with pytest.raises(OperationRefused, match="is ecdsa-p256-sha256, which is not to"):
            await attempt
    with pytest.raises(OperationRefused, match="there is a key called key/pair already"):
        await three.keys.generate(NewKey("key/pair", KeyKind.AES_256_GCM), deadline_seconds=DEADLINE)
    for label in ("sottovoce-serving", "key/UP"):
        with pytest.raises(OperationRefused, match="a key's label is key/…"):
            await three.keys.generate(NewKey(label, KeyKind.AES_256_GCM), deadline_seconds=DEADLINE)
        assert three.inventory.get(label) is None
    new = NewKey("key/all", KeyKind.AES_256_GCM)
    await three.keys.import_key(new, Secret("v", bytes(range(32))), deadline_seconds=DEADLINE)
    with pytest.raises(OperationRefused, match="is one key on all tokens"):
        await three.keys.complete("key/all", deadline_seconds=DEADLINE)
    with pytest.raises(KeyAbsent):
        await three.keys.complete("key/none", deadline_seconds=DEADLINE)
    assert three.pool.replacements == 0


async def test_each_node_says_what_it_is(three: Three) -> None:
    health = await three.keys.health(deadline_seconds=DEADLINE)
    manufacturers = {node: each.manufacturer for node, each in health.items() if isinstance(each, TokenHealth)}
    assert manufacturers == {"a": "SoftHSM project", "b": "SoftHSM project", "c": "Mozilla Foundation"}
    await three.take_away("a")
    health = await three.keys.health(deadline_seconds=SHORT)
    assert isinstance(health["a"], HsmUnavailable)
    assert isinstance(health["c"], TokenHealth)
    assert len(await three.keys.random(16, deadline_seconds=DEADLINE)) == 16
