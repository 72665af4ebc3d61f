"""What is left of an exchange when its process goes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
import trio

from sottovoce.hsm import HsmConfig
from sottovoce.hsm.messages import FrameReader, Reply, Request, decode_message
from sottovoce.hsm.pool.calls import Attempt, Call
from sottovoce.hsm.pool.exchange import Exchange
from tests.hsm.pool.told import QUESTION

if TYPE_CHECKING:
    from sottovoce.hsm.pool.child import TokenChild


class Unread:
    """A process that reads nothing, and then ends."""

    pid = 1

    def __init__(self) -> None:
        self.seen: list[memoryview] = []
        self.has_ended = trio.Event()

    def write(self, data: memoryview) -> int:
        self.seen.append(data)
        return len(data) // 2 if len(self.seen) == 1 else 0

    async def writable(self) -> None:
        await trio.sleep_forever()

    async def receive(self) -> bytes | None:
        await self.has_ended.wait()
        return None

    def kill(self) -> None:
        """It has ended."""


class Slow(Unread):
    """One that takes a few bytes at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = bytearray()

    def write(self, data: memoryview) -> int:
        self.taken += data[:7]
        return min(7, len(data))

    async def writable(self) -> None:
        await trio.sleep(0.01)


class Nobody:
    def answered(self, attempt: Attempt, reply: Reply, body: bytes) -> None:
        """Nothing is answered."""

    def slow(self, attempt: Attempt) -> None:
        """As above."""

    def late(self, attempt: Attempt) -> None:
        """As above."""


async def test_what_was_not_sent_is_overwritten(autojump_clock: trio.testing.MockClock) -> None:
    child = Unread()
    exchange = Exchange("a", cast("TokenChild", child), HsmConfig(), Nobody(), most_out=2)
    question = msgspec.Raw(msgspec.msgpack.encode({"value": b"a secret"}))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run)
        for _ in range(2):
            exchange.send(Call("import", lambda _: question, is_idempotent=False, answer_seconds=60), question)
        waiting = list(exchange._outbox)
        await trio.testing.wait_all_tasks_blocked()
        assert (len(waiting), len(child.seen)) == (2, 1)
        assert all(b"a secret" in frame for frame in waiting)
        child.has_ended.set()
    assert not any(map(any, waiting))


async def test_what_is_taken_bit_by_bit_arrives_whole_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    child = Slow()
    exchange = Exchange("a", cast("TokenChild", child), HsmConfig(), Nobody(), most_out=2)
    questions = [msgspec.Raw(msgspec.msgpack.encode({"value": number})) for number in range(5)]
    async with trio.open_nursery() as nursery:
        for number, question in enumerate(questions):
            exchange.send(Call("sign", lambda _: QUESTION, is_idempotent=True, answer_seconds=60), question)
            if number == 2:
                nursery.start_soon(exchange.run)
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(10)
        bodies = [decode_message(body, Request) for body in FrameReader().receive(bytes(child.taken))]
        assert [bytes(body.fields) for body in bodies] == [bytes(question) for question in questions]
        assert not exchange._outbox
        child.has_ended.set()


class Answering(Unread):
    """One whose answers wait to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.say, self._said = trio.open_memory_channel[bytes](5)
        self.is_killed = False

    def write(self, data: memoryview) -> int:
        return len(data)

    async def receive(self) -> bytes | None:
        return await self._said.receive()

    def kill(self) -> None:
        self.is_killed = True


@asynccontextmanager
async def one_call_out(clock: trio.testing.MockClock) -> AsyncGenerator[tuple[Answering, Exchange]]:
    """Have a call out that is late after a second."""
    child = Answering()
    exchange = Exchange("a", cast("TokenChild", child), HsmConfig(), Nobody(), most_out=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run)
        exchange.send(Call("sign", lambda _: QUESTION, is_idempotent=True, answer_seconds=1), QUESTION)
        await trio.testing.wait_all_tasks_blocked()
        yield child, exchange
        nursery.cancel_scope.cancel()


async def test_who_is_late_because_we_stood_still_has_its_grace_from_then_on(
    mock_clock: trio.testing.MockClock,
) -> None:
    grace = HsmConfig().hang_grace_seconds
    async with one_call_out(mock_clock) as (child, exchange):
        mock_clock.jump(1 + 2 * grace)
        await trio.testing.wait_all_tasks_blocked()
        assert (exchange.suspects, child.is_killed) == (1, False)
        mock_clock.jump(grace)
        await trio.testing.wait_all_tasks_blocked()
        assert child.is_killed


@pytest.mark.parametrize("_again", range(8))  # who is woken first is left to chance
async def test_an_answer_that_came_while_we_stood_still_is_taken(
    mock_clock: trio.testing.MockClock, _again: int
) -> None:
    async with one_call_out(mock_clock) as (child, exchange):
        mock_clock.jump(1)
        await trio.testing.wait_all_tasks_blocked()
        assert exchange.suspects == 1
        child.say.send_nowait(msgspec.msgpack.encode(Reply(1)))
        mock_clock.jump(HsmConfig().hang_grace_seconds)
        await trio.testing.wait_all_tasks_blocked()
        assert (exchange.answers, exchange.suspects, child.is_killed) == (1, 0, False)
