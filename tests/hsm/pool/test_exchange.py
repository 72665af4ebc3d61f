"""What is left of an exchange when its process goes."""

from typing import TYPE_CHECKING, cast

import msgspec
import trio

from sottovoce.hsm import HsmConfig
from sottovoce.hsm.messages import Reply
from sottovoce.hsm.pool.calls import Attempt, Call
from sottovoce.hsm.pool.exchange import Exchange

if TYPE_CHECKING:
    from sottovoce.hsm.pool.child import TokenChild


class Unread:
    """A process that reads nothing, and then ends."""

    pid = 1

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.has_ended = trio.Event()

    async def send(self, frame: bytes) -> None:
        self.frames.append(frame)
        await trio.sleep_forever()

    async def receive(self) -> bytes | None:
        await self.has_ended.wait()
        return None

    def kill(self) -> None:
        """It has ended."""


class Nobody:
    def answered(self, attempt: Attempt, reply: Reply, body: bytes) -> None:
        """Nothing is answered."""

    def slow(self, attempt: Attempt) -> None:
        """As above."""

    def late(self, attempt: Attempt) -> None:
        """As above."""


async def test_what_was_not_sent_is_overwritten(autojump_clock: trio.testing.MockClock) -> None:
    child = Unread()
    exchange = Exchange("a", cast("TokenChild", child), HsmConfig(), Nobody())
    question = msgspec.Raw(msgspec.msgpack.encode({"value": b"a secret"}))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run)
        for _ in range(2):
            exchange.send(Call("import", lambda _: question, is_idempotent=False, answer_seconds=60), question)
        waiting = list(exchange._outbox)
        await trio.testing.wait_all_tasks_blocked()
        assert len({*map(id, waiting), *map(id, child.frames)}) == 2
        assert all(b"a secret" in frame for frame in waiting)
        child.has_ended.set()
    assert not any(map(any, waiting))
