"""Handshakes go through one by one, with everybody else's turn between."""

from collections import Counter
from typing import TYPE_CHECKING, cast

import pytest
import trio

from sottovoce.edge.gate import Queueing, Turnstile
from sottovoce.transport import TlsCore
from tests.edge.proxy import Proxy
from tests.transport.ends import client

if TYPE_CHECKING:
    from sottovoce.plane import Flow


class Turns:
    """Counts the turns of the event loop: it has one in each, as a call that is running does."""

    def __init__(self) -> None:
        self.now = 0

    async def count(self) -> None:
        while True:
            self.now += 1
            await trio.lowlevel.checkpoint()


async def test_one_goes_through_in_a_turn() -> None:
    turns, turnstile, passed = Turns(), Turnstile(), Counter[int]()

    async def go() -> None:
        await turnstile.go_through()
        passed[turns.now] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.count)
        async with trio.open_nursery() as going:
            for _ in range(50):
                going.start_soon(go)
        nursery.cancel_scope.cancel()
    assert passed.total() == 50
    assert max(passed.values()) <= 2, "the counter may have its turn at the end of one and at the beginning of the next"
    assert len(passed) >= 25


async def test_one_that_is_cancelled_holds_up_nobody() -> None:
    turnstile = Turnstile()
    for place in range(5):
        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(5)]

            async def go(scope: trio.CancelScope) -> None:
                with scope:
                    await turnstile.go_through()

            for scope in scopes:
                nursery.start_soon(go, scope)
            for _ in range(place):
                await trio.lowlevel.checkpoint()
            for scope in scopes[:4]:
                scope.cancel()
        with trio.fail_after(1):
            await turnstile.go_through()


@pytest.mark.protocol("P11.36")
async def test_a_hundred_hellos_at_once_leave_a_turn_between_each_two(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, shaken = Turns(), Counter[int]()
    shake = TlsCore._shake_hands

    def count(core: TlsCore, data: bytes) -> bytes:
        shaken[turns.now] += 1
        return shake(core, data)

    proxy, hello = Proxy(), TlsCore(client()).to_send()
    async with trio.open_nursery() as nursery:
        streams = [proxy.connect(nursery) for _ in range(100)]
        await trio.testing.wait_all_tasks_blocked()
        monkeypatch.setattr(TlsCore, "_shake_hands", count)
        nursery.start_soon(turns.count)
        for stream in streams:
            nursery.start_soon(stream.send_all, hello)
        while shaken.total() < 100:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert max(shaken.values()) <= 2
    assert len(shaken) >= 50


async def test_a_call_that_is_agreed_on_queues_no_more(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called():
        await trio.testing.wait_all_tasks_blocked()
        assert not isinstance(cast("Flow", proxy.calls[0]._flow)._line._stream.transport, Queueing)


async def test_a_queueing_stream_is_the_stream_behind_it() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    queueing = Queueing(theirs, Turnstile())
    await ours.send_all(b"hello")
    assert await queueing.receive_some(2) == b"he"
    assert await queueing.receive_some() == b"llo"
    await queueing.wait_send_all_might_not_block()
    await queueing.send_all(b"answer")
    await queueing.aclose()
    assert await ours.receive_some() == b"answer"
    assert await ours.receive_some() == b""
