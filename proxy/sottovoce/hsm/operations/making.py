"""How keys come to be and end: on several nodes, with an entry in the inventory before and after.

A new key is usable once as many nodes as the quorum says have made it and had it prove itself.  Nodes that were down
then do without it until `complete` is called.  What fails half-way is destroyed where it can be; what cannot be reached
keeps its entry, and `mend` destroys it later.
"""

from collections.abc import Callable, Iterable

import msgspec
import trio
from msgspec.structs import replace

from sottovoce.hsm.errors import KeyAbsent, OperationRefused, QuorumMissing
from sottovoce.hsm.inventory import Inventory, KeyState, PublishedKey
from sottovoce.hsm.kinds import KeyUse, NewKey
from sottovoce.hsm.messages import Operation, Question
from sottovoce.hsm.operations.changes import ChangeKind, KeyChange, Tell
from sottovoce.hsm.operations.messages import (
    DESTROY,
    GENERATE,
    IMPORT,
    UNWRAP,
    Destroy,
    Generate,
    Import,
    Made,
    Unwrap,
)
from sottovoce.hsm.operations.placing import KeyPool, Terms, nodes_up, on_each, see_quorum
from sottovoce.hsm.operations.results import WrappedBy
from sottovoce.hsm.operations.syncing import KeySynced, KeySyncing
from sottovoce.primitives import Secret


class Ended(msgspec.Struct, frozen=True):
    """Where a key is gone, and which nodes could not be asked and may still have it."""

    gone: tuple[str, ...]
    left: tuple[str, ...]


class KeyMaking:
    """Makes, completes and destroys keys; one at a time."""

    def __init__(self, pool: KeyPool, inventory: Inventory, wall: Callable[[], float], tell: Tell) -> None:
        """Take the pool, the inventory, which is this one's from now on, and a clock: seconds since 1970."""
        self._pool = pool
        self._inventory = inventory
        self._wall = wall
        self._tell = tell
        self._turn = trio.Lock()

    async def generate(self, new: NewKey, terms: Terms) -> PublishedKey:
        """Have each node make a key of its own."""
        return await self._make(new, GENERATE, lambda _: Generate(new), terms)

    async def import_key(self, new: NewKey, value: Secret, terms: Terms) -> PublishedKey:
        """Have each node hold this value."""
        return await self._make(new, IMPORT, lambda _: Import(new, value), terms, is_shared=True)

    async def unwrap(self, wrapping: PublishedKey, wrapped: WrappedBy, new: NewKey, terms: Terms) -> PublishedKey:
        """Have each node that can unwrap a key and hold it: all that share the wrapping key, or the one it is of."""
        if wrapping.kind.use is not KeyUse.WRAP:
            raise OperationRefused(f"{wrapping.label} is {wrapping.kind}, which is not to {KeyUse.WRAP.value}")
        able = set(wrapping.nodes) if wrapping.is_shared else {wrapped.node} & set(wrapping.nodes)
        question = Unwrap(wrapping.label, wrapped.wrapped, new)
        return await self._make(new, UNWRAP, lambda _: question, terms, is_shared=True, only=able)

    async def complete(self, label: str, terms: Terms) -> PublishedKey:
        """Have nodes that were down when a key was made get one of their own.  Raises OperationRefused for a shared."""
        async with self._turn:
            key = self._inventory.get(label)
            if key is None or key.state is not KeyState.USABLE:
                raise KeyAbsent(f"there is no key {label} that is in use")
            if key.is_shared:
                raise OperationRefused(f"{label} is one key on all tokens: unwrap or import it anew")
            lacking = [node for node in nodes_up(self._pool) if node not in key.nodes]
            # What such a node may have under this label is of a call whose outcome nobody heard of.
            cleared = await on_each(self._pool, lacking, DESTROY, lambda _: Destroy(label), terms)
            new = NewKey(label, key.kind, key.is_extractable)
            made = await on_each(self._pool, cleared.done, GENERATE, lambda _: Generate(new), terms)
            await self._tell(_made(key, made.done))
            return await self._put(replace(key, nodes=key.nodes | _publics(made.done)))

    async def destroy(self, label: str, terms: Terms) -> Ended:
        """Destroy a key on all nodes; from the first moment on it is not used.  Raises KeyAbsent."""
        async with self._turn:
            key = self._inventory.get(label)
            if key is None:
                raise KeyAbsent(f"there is no key {label}")
            return await self._end(key, terms)

    async def mend(self, terms: Terms) -> dict[str, Ended]:
        """Destroy what was left half made or half destroyed, as far as nodes are up; by label what came of it."""
        async with self._turn:
            unfinished = [key for key in self._inventory.keys if key.state is not KeyState.USABLE]
            return {key.label: await self._end(key, terms) for key in unfinished}

    async def synchronize(self, source: str, target: str, terms: Terms) -> list[KeySynced]:
        """Give one node the keys that another has."""
        async with self._turn:
            syncing = KeySyncing(
                self._pool, self._inventory, source=source, target=target, terms=terms, tell=self._tell
            )
            return await syncing.run()

    async def _make(  # noqa: PLR0913  what makes it, and where
        self,
        new: NewKey,
        operation: Operation[Question, Made],
        question_for: Callable[[str], Question],
        terms: Terms,
        *,
        is_shared: bool = False,
        only: Iterable[str] | None = None,
    ) -> PublishedKey:
        new.check()
        async with self._turn:
            self._refuse_taken(new.label)
            up = see_quorum(self._pool, f"making {new.label}")
            nodes = [node for node in up if only is None or node in only]
            quorum = self._pool.status.quorum
            if len(nodes) < quorum:
                text = f"making {new.label} takes {quorum} tokens, {len(nodes)} of those that are up have what it takes"
                raise QuorumMissing(text)
            key = PublishedKey(
                label=new.label,
                kind=new.kind,
                state=KeyState.MAKING,
                made_at=int(self._wall()),
                nodes={},
                is_shared=is_shared,
                is_extractable=new.is_extractable,
            )
            await self._put(key)
            outcome = await on_each(self._pool, nodes, operation, question_for, terms)
            if len(outcome.done) < quorum:
                await self._end(key, terms)
                raise outcome.refusal(f"making {new.label}", quorum)
            await self._tell(_made(key, outcome.done))
            return await self._put(replace(key, state=KeyState.USABLE, nodes=_publics(outcome.done)))

    async def _end(self, key: PublishedKey, terms: Terms) -> Ended:
        """Destroy a key; of one that was never in use nobody is told."""
        await self._put(replace(key, state=KeyState.ENDING))
        outcome = await on_each(self._pool, nodes_up(self._pool), DESTROY, lambda _: Destroy(key.label), terms)
        left = tuple(node for node in self._pool.nodes if node not in outcome.done)
        if key.state is not KeyState.MAKING:
            gone = sorted(outcome.done)
            await self._tell(tuple(KeyChange(ChangeKind.DESTROYED, key.label, key.kind, node) for node in gone))
        if not left:
            await trio.to_thread.run_sync(self._inventory.remove, key.label)
        return Ended(tuple(sorted(outcome.done)), left)

    async def _put(self, key: PublishedKey) -> PublishedKey:
        await trio.to_thread.run_sync(self._inventory.put, key)
        return key

    def _refuse_taken(self, label: str) -> None:
        key = self._inventory.get(label)
        if key is None:
            return
        if key.state is KeyState.USABLE:
            raise OperationRefused(f"there is a key called {label} already: choose another name, or destroy it first")
        raise OperationRefused(f"a key called {label} is half made or half destroyed: mend that first")


def _made(key: PublishedKey, made: dict[str, Made]) -> tuple[KeyChange, ...]:
    publics = _publics(made)
    return tuple(KeyChange(ChangeKind.MADE, key.label, key.kind, node, publics[node]) for node in publics)


def _publics(made: dict[str, Made]) -> dict[str, bytes]:
    return {node: each.facts.public for node, each in sorted(made.items())}
