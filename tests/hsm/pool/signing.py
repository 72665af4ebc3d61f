"""Signatures by a pool of real tokens, each checked against the keys of the token that made it."""

from pathlib import Path

import trio

from sottovoce.hsm import Cluster
from tests.hsm.conftest import Keys
from tests.hsm.token_child import SIGN, Sign, Signature

MadeThree = tuple[Path, dict[str, Keys]]
DEADLINE = 60.0


class Signing:
    """Signs on a pool, many at a time, and checks each signature against the keys of the node that made it."""

    def __init__(self, pool: Cluster, made_three: MadeThree) -> None:
        self.made: list[tuple[str, int]] = []
        """For each signature the node, and its process."""
        self._pool = pool
        self._keys = made_three[1]

    async def sign(self, text: str, *, delay_seconds: float = 0.0) -> str:
        answered = await self._pool.call_on(
            SIGN, lambda _: Sign(text, delay_seconds=delay_seconds), deadline_seconds=DEADLINE
        )
        self._check(answered.node, text, answered.answer)
        return answered.node

    async def many(self, count: int, *, delay_seconds: float = 0.0) -> set[str]:
        """Sign so many at once; give the nodes that did."""
        before = len(self.made)
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(lambda each: self.sign(each, delay_seconds=delay_seconds), f"root {number}")
        return {node for node, _ in self.made[before:]}

    def _check(self, node: str, text: str, answer: Signature) -> None:
        assert answer.public_key.key == self._keys[node].public_keys["sottovoce-serving"]
        assert answer.public_key.verify(text.encode(), answer.signature)
        self.made.append((node, answer.pid))


def on(pool: Cluster, node: str) -> int:
    """Give the process of a node."""
    pid = next(each.pid for each in pool.status.nodes if each.name == node)
    assert pid is not None
    return pid
