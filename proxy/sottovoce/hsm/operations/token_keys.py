"""`TokenKeys`: keys in tokens, as the packages above use them, whichever of the nodes are up.

A node is asked only for keys that the inventory says it has, so a key that is missing on one is served by the others.
Each call has a deadline and a tenant, whose turn it is among others'.  All raise HsmError as `Pool.call_on` does,
KeyAbsent for a key that is not there or not ready, and OperationRefused for what a key is not for.
"""

import os
from collections.abc import Callable, Iterable

import trio

from sottovoce.hsm.calling import Answered
from sottovoce.hsm.errors import HsmError, KeyAbsent, OperationRefused
from sottovoce.hsm.inventory import Inventory, KeyState, PublishedKey
from sottovoce.hsm.kinds import KeyFacts, KeyUse, NewKey, TokenHealth, WrapMechanism
from sottovoce.hsm.messages import Answer, Operation, Question
from sottovoce.hsm.operations.changes import Tell, tell_nobody
from sottovoce.hsm.operations.making import Ended, KeyMaking
from sottovoce.hsm.operations.messages import (
    DECRYPT,
    DERIVE,
    ENCRYPT,
    FIND,
    HEALTH,
    PROVE,
    RANDOM,
    SIGN,
    VERIFY,
    WRAP,
    Decrypt,
    Derive,
    Encrypt,
    Find,
    Health,
    Prove,
    Random,
    Sign,
    Verify,
    Wrap,
)
from sottovoce.hsm.operations.placing import KeyPool, Terms, nodes_up, on_each
from sottovoce.hsm.operations.results import DataKey, SealedBy, Signature, WrappedBy
from sottovoce.hsm.operations.syncing import KeySynced
from sottovoce.primitives import Secret, verify_spki

DATA_KEY_BYTES = 32
_DATA_KEY_ID_BYTES = 16
_DATA_KEY = b"sottovoce data key 1\x00"
"""Authenticated with a data key, before its id."""


class TokenKeys:
    """Keys in the tokens of a pool."""

    def __init__(
        self, pool: KeyPool, inventory: Inventory, wall: Callable[[], float], tell: Tell = tell_nobody
    ) -> None:
        """Take the pool, the inventory, which is this one's from now on, and a clock: seconds since 1970.

        `tell` keeps account of keys that come to be and end.
        """
        self._pool = pool
        self._inventory = inventory
        self._making = KeyMaking(pool, inventory, wall, tell)

    async def sign(self, label: str, message: bytes, *, deadline_seconds: float, tenant: str = "") -> Signature:
        """Sign, or make an authentication code, as the key's kind says."""
        key = self._usable(label, KeyUse.SIGN, KeyUse.AUTHENTICATE)
        answered = await self._ask(SIGN, key.nodes, Sign(label, message), Terms(deadline_seconds, tenant))
        return Signature(answered.node, answered.answer.signature)

    async def verify(
        self, label: str, message: bytes, signature: Signature, *, deadline_seconds: float, tenant: str = ""
    ) -> bool:
        """Whether a signature or a code is right.  Signatures are checked here, so their node need not be up."""
        key = self._usable(label, KeyUse.SIGN, KeyUse.AUTHENTICATE)
        if signature.node not in key.nodes:
            return False
        if key.kind.use is KeyUse.SIGN:
            public = key.nodes[signature.node]
            return await trio.to_thread.run_sync(verify_spki, public, message, signature.signature)
        able = key.nodes if key.is_shared else {signature.node}
        question = Verify(label, message, signature.signature)
        return (await self._ask(VERIFY, able, question, Terms(deadline_seconds, tenant))).answer.is_right

    async def encrypt(
        self, label: str, content: Secret, associated_data: bytes, *, deadline_seconds: float, tenant: str = ""
    ) -> SealedBy:
        """Encrypt; the content stays the caller's to wipe."""
        key = self._usable(label, KeyUse.SEAL)
        question = Encrypt(label, content, associated_data)
        answered = await self._ask(ENCRYPT, key.nodes, question, Terms(deadline_seconds, tenant))
        return SealedBy(answered.node, answered.answer.nonce, answered.answer.sealed)

    async def decrypt(
        self, label: str, sealed: SealedBy, associated_data: bytes, *, deadline_seconds: float, tenant: str = ""
    ) -> Secret:
        """Decrypt, on the node that encrypted it, or any if they share the key; the caller wipes the content."""
        key = self._usable(label, KeyUse.SEAL)
        able = key.nodes if key.is_shared else {sealed.node} & set(key.nodes)
        question = Decrypt(label, sealed.nonce, sealed.sealed, associated_data)
        return (await self._ask(DECRYPT, able, question, Terms(deadline_seconds, tenant))).answer.content

    async def wrap(
        self,
        label: str,
        target: str,
        mechanism: WrapMechanism = WrapMechanism.AES_KWP,
        *,
        deadline_seconds: float,
        tenant: str = "",
    ) -> WrappedBy:
        """Wrap the key `target`, which was made extractable, under another."""
        able = set(self._usable(label, KeyUse.WRAP).nodes) & set(self._usable(target).nodes)
        question = Wrap(label, target, mechanism)
        answered = await self._ask(WRAP, able, question, Terms(deadline_seconds, tenant))
        return WrappedBy(answered.node, answered.answer.wrapped)

    async def unwrap(
        self, label: str, wrapped: WrappedBy, new: NewKey, *, deadline_seconds: float, tenant: str = ""
    ) -> PublishedKey:
        """Make a key of what was wrapped: on all nodes if they share the wrapping key.  Raises QuorumMissing."""
        wrapping = self._usable(label, KeyUse.WRAP)
        return await self._making.unwrap(wrapping, wrapped, new, Terms(deadline_seconds, tenant))

    async def derive(self, label: str, node: str, peer: bytes, *, deadline_seconds: float, tenant: str = "") -> Secret:
        """Derive the secret in common with a peer, who knows the public key of `node`; the caller wipes it."""
        able = {node} & set(self._usable(label, KeyUse.AGREE).nodes)
        return (await self._ask(DERIVE, able, Derive(label, peer), Terms(deadline_seconds, tenant))).answer.shared

    async def generate(self, new: NewKey, *, deadline_seconds: float, tenant: str = "") -> PublishedKey:
        """Have each node make a key of its own; it is usable once enough did.  Raises QuorumMissing."""
        return await self._making.generate(new, Terms(deadline_seconds, tenant))

    async def import_key(
        self, new: NewKey, value: Secret, *, deadline_seconds: float, tenant: str = ""
    ) -> PublishedKey:
        """Have each node hold this secret key, which stays the caller's to wipe.  Raises QuorumMissing."""
        return await self._making.import_key(new, value, Terms(deadline_seconds, tenant))

    async def complete(self, label: str, *, deadline_seconds: float, tenant: str = "") -> PublishedKey:
        """Have nodes that were down when a key was made get one of their own."""
        return await self._making.complete(label, Terms(deadline_seconds, tenant))

    async def destroy(self, label: str, *, deadline_seconds: float, tenant: str = "") -> Ended:
        """Destroy a key on all nodes; those that are down have it until `mend`."""
        return await self._making.destroy(label, Terms(deadline_seconds, tenant))

    async def mend(self, *, deadline_seconds: float, tenant: str = "") -> dict[str, Ended]:
        """Destroy what was left half made or half destroyed: a process was killed, nodes were down."""
        return await self._making.mend(Terms(deadline_seconds, tenant))

    def export(self, label: str) -> PublishedKey:
        """Give what may be known of a key: each node's public half.  What is secret leaves wrapped only."""
        return self._usable(label)

    async def find(
        self, prefix: str, *, deadline_seconds: float, tenant: str = ""
    ) -> dict[str, tuple[KeyFacts, ...] | HsmError]:
        """Ask every node for its keys whose label begins so; by node what it said, or why it said nothing."""
        outcome = await on_each(
            self._pool, self._pool.nodes, FIND, lambda _: Find(prefix), Terms(deadline_seconds, tenant)
        )
        return {**{node: found.keys for node, found in outcome.done.items()}, **outcome.failed}

    async def synchronize(
        self, source: str, target: str, *, deadline_seconds: float, tenant: str = ""
    ) -> list[KeySynced]:
        """Give `target` the keys that `source` has, as far as they can be there; by key what became of it."""
        return await self._making.synchronize(source, target, Terms(deadline_seconds, tenant))

    async def prove(self, label: str, *, deadline_seconds: float, tenant: str = "") -> dict[str, HsmError]:
        """Have a key prove itself on every node that should have it; by node why it did not."""
        key = self._usable(label)
        outcome = await on_each(self._pool, key.nodes, PROVE, lambda _: Prove(label), Terms(deadline_seconds, tenant))
        return outcome.failed

    async def random(self, length_bytes: int, *, deadline_seconds: float, tenant: str = "") -> Secret:
        """Give bytes of some token's random generator; the caller wipes them."""
        question = Random(length_bytes)
        return (await self._ask(RANDOM, self._pool.nodes, question, Terms(deadline_seconds, tenant))).answer.random

    async def health(self, *, deadline_seconds: float, tenant: str = "") -> dict[str, TokenHealth | HsmError]:
        """Ask every node what it is and can do; by node what it said, or why it said nothing."""
        outcome = await on_each(
            self._pool, self._pool.nodes, HEALTH, lambda _: Health(), Terms(deadline_seconds, tenant)
        )
        return {**outcome.done, **outcome.failed}

    async def new_data_key(self, label: str, *, deadline_seconds: float, tenant: str = "") -> tuple[Secret, DataKey]:
        """Make a key for the proxy's own use, sealed under every node's key `label`; the caller wipes it.

        Raises QuorumMissing when fewer nodes sealed it than it takes.
        """
        terms = Terms(deadline_seconds, tenant)
        key = self._usable(label, KeyUse.SEAL)
        value = (await self._ask(RANDOM, self._pool.nodes, Random(DATA_KEY_BYTES), terms)).answer.random
        try:
            return value, await self._seal_data_key(key, value, terms)
        except BaseException:
            value.wipe()
            raise

    async def open_data_key(self, data_key: DataKey, *, deadline_seconds: float, tenant: str = "") -> Secret:
        """Have any node open a data key; the caller wipes it."""
        key = self._usable(data_key.label, KeyUse.SEAL)
        by_node = {each.node: each for each in data_key.sealed if each.node in key.nodes}

        def ask(node: str) -> Decrypt | None:
            each = by_node.get(node)
            if each is None:
                return None
            return Decrypt(data_key.label, each.nonce, each.sealed, _DATA_KEY + data_key.id)

        answered = await self._pool.call_on(DECRYPT, ask, deadline_seconds=deadline_seconds, tenant=tenant)
        return answered.answer.content

    async def _seal_data_key(self, key: PublishedKey, value: Secret, terms: Terms) -> DataKey:
        id_, quorum = os.urandom(_DATA_KEY_ID_BYTES), self._pool.status.quorum
        question = Encrypt(key.label, value, _DATA_KEY + id_)
        up = [node for node in nodes_up(self._pool) if node in key.nodes]
        outcome = await on_each(self._pool, up, ENCRYPT, lambda _: question, terms)
        if len(outcome.done) < quorum:
            raise outcome.refusal(f"sealing a data key under {key.label}", quorum)
        sealed = tuple(SealedBy(node, each.nonce, each.sealed) for node, each in sorted(outcome.done.items()))
        return DataKey(key.label, id_, sealed)

    async def seal_data_key_anew(self, data_key: DataKey, *, deadline_seconds: float, tenant: str = "") -> DataKey:
        """Seal a data key under the keys of nodes that have come since as well.  Raises as the two above."""
        key = self._usable(data_key.label, KeyUse.SEAL)
        with await self.open_data_key(data_key, deadline_seconds=deadline_seconds, tenant=tenant) as value:
            return await self._seal_data_key(key, value, Terms(deadline_seconds, tenant))

    def _usable(self, label: str, *uses: KeyUse) -> PublishedKey:
        key = self._inventory.get(label)
        if key is None or key.state is not KeyState.USABLE:
            raise KeyAbsent(f"there is no key {label} that is in use")
        if uses and key.kind.use not in uses:
            raise OperationRefused(f"{label} is {key.kind}, which is not to {uses[0].value}")
        return key

    async def _ask(
        self, operation: Operation[Question, Answer], nodes: Iterable[str], question: Question, terms: Terms
    ) -> Answered[Answer]:
        able = frozenset(nodes)
        return await self._pool.call_on(
            operation,
            lambda node: question if node in able else None,
            deadline_seconds=terms.deadline_seconds,
            tenant=terms.tenant,
        )
