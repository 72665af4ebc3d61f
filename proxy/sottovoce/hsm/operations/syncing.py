"""Gives one node the keys that another has: which came there, how, and what did not and why.

    a key of each node's own    the target makes one of its own under that label
    one key on all nodes        it is wrapped on the source and unwrapped on the target, under a key that both share

Keys that a token process has for itself are no matter of this; they never move.
"""

from enum import StrEnum

import msgspec
import trio
from msgspec.structs import replace

from sottovoce.hsm.errors import HsmError
from sottovoce.hsm.inventory import Inventory, KeyState, PublishedKey
from sottovoce.hsm.kinds import KeyKind, NewKey, WrapMechanism
from sottovoce.hsm.messages import Answer, Operation, Question
from sottovoce.hsm.operations.changes import ChangeKind, KeyChange, Tell
from sottovoce.hsm.operations.messages import (
    DESTROY,
    GENERATE,
    PROVE,
    UNWRAP,
    WRAP,
    Destroy,
    Generate,
    Made,
    Prove,
    Unwrap,
    Wrap,
)
from sottovoce.hsm.operations.placing import KeyPool, Terms, on_each


class SyncOutcome(StrEnum):
    """What became of a key."""

    ALREADY = "there already"
    MADE = "made anew"
    MOVED = "moved"
    STAYS = "stays"


class KeySynced(msgspec.Struct, frozen=True):
    """What became of one key."""

    label: str
    outcome: SyncOutcome
    reason: str = ""
    """How it came there, or why it could not."""


class KeySyncing:
    """Copies keys between two nodes of a pool, one at a time.  Nobody else changes the inventory meanwhile."""

    def __init__(  # noqa: PLR0913  what, from where, where to, and on what terms
        self, pool: KeyPool, inventory: Inventory, *, source: str, target: str, terms: Terms, tell: Tell
    ) -> None:
        """Take the two nodes' names, and how long one answer may take."""
        self._pool = pool
        self._inventory = inventory
        self._source = source
        self._target = target
        self._terms = terms
        self._tell = tell

    async def run(self) -> list[KeySynced]:
        """Give the target whatever it can have; what wraps others comes first."""
        keys = [key for key in self._inventory.keys if self._source in key.nodes or key.state is not KeyState.USABLE]
        keys.sort(key=lambda key: (key.kind is not KeyKind.AES_256_WRAP, key.label))
        return [await self._sync(key) for key in keys]

    async def _sync(self, key: PublishedKey) -> KeySynced:
        try:
            if key.state is not KeyState.USABLE:
                return _stays(key, "it is half made or half destroyed: destroy it first")
            if self._target in key.nodes:
                await self._ask(self._target, PROVE, Prove(key.label))
                return KeySynced(key.label, SyncOutcome.ALREADY)
            if not key.is_shared:
                return await self._make(key)
            return await self._move(key)
        except HsmError as error:
            return _stays(key, str(error))

    async def _make(self, key: PublishedKey) -> KeySynced:
        new = NewKey(key.label, key.kind, key.is_extractable)
        public = await self._fresh(key, GENERATE, Generate(new))
        await self._tell((KeyChange(ChangeKind.MADE, key.label, key.kind, self._target, public),))
        await self._put(key, public)
        return KeySynced(key.label, SyncOutcome.MADE, f"{self._target} has a key of its own under this label")

    async def _move(self, key: PublishedKey) -> KeySynced:
        if not key.is_extractable:
            return _stays(key, "it is not to leave its token: import it anew")
        wrapping = next((each for each in self._inventory.keys if self._wraps(each, key)), None)
        if wrapping is None:
            return _stays(key, "there is no wrapping key that both tokens share")
        question = Wrap(wrapping.label, key.label, WrapMechanism.AES_KWP)
        wrapped = (await self._ask(self._source, WRAP, question)).wrapped
        new = NewKey(key.label, key.kind, key.is_extractable)
        public = await self._fresh(key, UNWRAP, Unwrap(wrapping.label, wrapped, new))
        await self._tell((KeyChange(ChangeKind.COPIED, key.label, key.kind, self._target, source=self._source),))
        await self._put(key, public)
        return KeySynced(key.label, SyncOutcome.MOVED, f"wrapped under {wrapping.label}")

    def _wraps(self, each: PublishedKey, key: PublishedKey) -> bool:
        is_usable = each.state is KeyState.USABLE and each.kind is KeyKind.AES_256_WRAP and each.is_shared
        return is_usable and each.label != key.label and {self._source, self._target} <= set(each.nodes)

    async def _fresh(self, key: PublishedKey, operation: Operation[Question, Made], question: Question) -> bytes:
        """Have the target make a key; what it may have under this label is of a call whose outcome nobody heard of."""
        await self._ask(self._target, DESTROY, Destroy(key.label))
        return (await self._ask(self._target, operation, question)).facts.public

    async def _ask(self, node: str, operation: Operation[Question, Answer], question: Question) -> Answer:
        outcome = await on_each(self._pool, [node], operation, lambda _: question, self._terms)
        for error in outcome.failed.values():
            raise error
        return outcome.done[node]

    async def _put(self, key: PublishedKey, public: bytes) -> None:
        fresh = replace(key, nodes={**key.nodes, self._target: public})
        await trio.to_thread.run_sync(self._inventory.put, fresh)


def _stays(key: PublishedKey, reason: str) -> KeySynced:
    return KeySynced(key.label, SyncOutcome.STAYS, reason)
