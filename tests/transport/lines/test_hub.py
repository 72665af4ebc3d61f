"""The hub where Trio waits: what of Trio it relies on, and that Trio does its own work as before."""

import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.transport.lines import hub as hubs
from sottovoce.transport.lines.sockets import SocketLine
from tests.transport.lines.ends import User, ends, settle

PATIENCE_SECONDS = 20
"""On a machine that has much else to do."""


def runner() -> Any:
    return cast("Any", trio)._core._run.GLOBAL_RUN_CONTEXT.runner


@asynccontextmanager
async def ring(members: int, rounds: float = float("inf")) -> AsyncGenerator[list[int]]:
    """Send a byte around between sockets that are served without a task's turn; give what counts its steps."""
    steps = [0]
    lines: list[SocketLine] = []
    streams: list[trio.SocketStream] = []

    def passing_on(line: SocketLine) -> Callable[[bytes], None]:
        def pass_on(data: bytes) -> None:
            steps[0] += 1
            if steps[0] < rounds:
                line.write(data)

        return pass_on

    for _ in range(members):
        pair = [trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair()]
        first, second = map(SocketLine, pair)
        for line in (first, second):
            user = User()
            user.on_received = passing_on(line)
            line.begin(user)
            line.resume()
        lines += first, second
        streams += pair
    for line in lines[::2]:
        line.write(b"x")
    try:
        yield steps
    finally:
        with trio.CancelScope(shield=True):
            for line in lines:
                await line.release()
            for stream in streams:
                await trio.aclose_forcefully(stream)


# What of Trio it relies on.


async def test_the_private_names_are_what_we_take_them_for() -> None:
    ours = runner()
    manager = ours.io_manager
    assert type(manager._epoll) is select.epoll
    assert type(ours.runq) is deque
    assert ours.is_guest is False
    async with trio.open_nursery() as nursery:
        assert len(ours.runq) == 0
        nursery.start_soon(trio.lowlevel.checkpoint)
        assert len(ours.runq) == 1  # whoever may go on stands there
        assert ours.runq is runner().runq
    hub = hubs.current_hub()
    assert type(manager._epoll) is hubs.StandIn
    assert hubs.current_hub() is hub


async def test_trio_asks_what_stands_there_for_events_and_takes_their_truth_for_all_is_quiet() -> None:
    asked: list[tuple[float, int]] = []
    manager = runner().io_manager

    class Quiet:
        def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
            asked.append((timeout, maxevents))
            return hubs._SERVED if len(asked) < 3 else []

    theirs, manager._epoll = manager._epoll, Quiet()
    try:
        await wait_all_tasks_blocked()
    finally:
        manager._epoll = theirs
    assert len(asked) >= 3  # not idle before
    assert all(timeout >= 0 and events >= 1 for timeout, events in asked)


async def test_where_trio_is_not_what_it_was_the_hub_is_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_arguments: object) -> None:
        raise AttributeError

    monkeypatch.setattr(hubs, "StandIn", changed)
    async with ring(2) as steps:
        await wait_until(lambda: steps[0] > 100)
        assert type(runner().io_manager._epoll) is select.epoll


def test_as_a_guest_the_hub_is_a_task() -> None:
    """A guest waits in a thread, where nobody may be told anything."""
    to_run: deque[Callable[[], object]] = deque()
    outcome: list[Any] = []

    async def main() -> int:
        async with ring(2) as steps:
            await wait_until(lambda: steps[0] > 100)
            assert type(runner().io_manager._epoll) is select.epoll
            return steps[0]

    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=to_run.append,
        done_callback=outcome.append,
        host_uses_signal_set_wakeup_fd=False,
    )
    while not outcome:
        if to_run:
            to_run.popleft()()
        else:
            time.sleep(0.0005)
    assert outcome[0].unwrap() > 100


# Trio's own work while sockets are busy all the time.


@pytest.fixture(params=[1, 100], ids=["two sockets", "more than are handled at once"])
def members(request: pytest.FixtureRequest) -> int:
    """Say how many pairs of sockets are busy."""
    return request.param


async def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await trio.lowlevel.checkpoint()


async def test_tasks_have_their_turns(members: int) -> None:
    async with ring(members) as steps:
        with trio.fail_after(PATIENCE_SECONDS):
            for _ in range(100):
                before = steps[0]
                await trio.lowlevel.checkpoint()
                assert steps[0] - before <= 2 * hubs._EVENTS_AT_ONCE


async def test_deadlines_come(members: int) -> None:
    async with ring(members) as steps:
        with trio.fail_after(PATIENCE_SECONDS):
            for _ in range(5):
                await trio.sleep(0.01)
            with trio.move_on_after(0.02) as limit:
                await trio.sleep_forever()
            assert limit.cancelled_caught
        assert steps[0] > 10


async def test_time_is_not_up_for_who_waits_for_a_socket_that_has_something() -> None:
    hub = hubs.current_hub()
    pairs = [socket.socketpair() for _ in range(3 * hubs._EVENTS_AT_ONCE)]
    theirs, *rest = (ours for ours, _ in pairs)
    try:
        for _, peer in pairs:
            peer.send(b"x")
        for ours in rest:  # telling all takes a while
            hub.add(ours.fileno(), hubs.READABLE, lambda _: time.sleep(0.001))
        for _ in range(6):
            with trio.fail_after(0.05):
                await trio.lowlevel.wait_readable(theirs)
    finally:
        for each in chain.from_iterable(pairs):
            hub.users.pop(each.fileno(), None)
            each.close()


async def test_a_deadline_set_while_being_told_comes(members: int) -> None:
    async with ring(members):
        async with ends("socket") as both:
            with trio.fail_after(PATIENCE_SECONDS), trio.CancelScope() as scope:
                both.user.on_received = lambda _data: setattr(scope, "deadline", trio.current_time() + 0.01)
                both.say(b"hurry")
                await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_a_quiet_hub_does_not_miss_a_deadline_set_while_being_told() -> None:
    async with ends("socket") as both:
        with trio.fail_after(PATIENCE_SECONDS), trio.CancelScope() as scope:
            both.user.on_received = lambda _data: setattr(scope, "deadline", trio.current_time() + 0.02)
            both.say(b"hurry")
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_threads_come_back(members: int) -> None:
    async with ring(members):
        with trio.fail_after(PATIENCE_SECONDS):
            assert await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(lambda: 7)) == 7


async def test_signals_are_received(members: int) -> None:
    async with ring(members):
        with trio.fail_after(PATIENCE_SECONDS), trio.open_signal_receiver(signal.SIGTERM) as signals:
            await trio.to_thread.run_sync(os.kill, os.getpid(), signal.SIGTERM)
            async for number in signals:
                assert number == signal.SIGTERM
                break


async def test_connections_are_accepted(members: int) -> None:
    async with ring(members):
        with trio.fail_after(PATIENCE_SECONDS):
            for kind in ("tcp", "tls on socket"):
                async with ends(kind) as both:
                    both.say(b"hello")
                    await wait_until(lambda both=both: both.user.data == b"hello")


async def test_who_takes_his_time_does_not_keep_tasks_from_theirs() -> None:
    async with ends("socket") as both:
        both.user.on_received = lambda _data: time.sleep(3 * hubs._TURN_SECONDS)
        both.say(bytes(20_000))
        turns = 0
        with trio.fail_after(PATIENCE_SECONDS):
            while len(both.user.data) < 20_000:
                await trio.sleep(hubs._TURN_SECONDS)
                turns += 1
        assert turns >= 4


async def test_what_is_done_while_being_told_is_done() -> None:
    """Tasks are started and woken, scopes cancelled: where no task has its turn."""
    async with ends("socket") as both, trio.open_nursery() as nursery:
        started, woken, lot = trio.Event(), trio.Event(), trio.lowlevel.ParkingLot()
        scope = trio.CancelScope()

        async def start() -> None:
            started.set()
            with scope:
                await trio.sleep_forever()

        async def wait() -> None:
            await lot.park()
            woken.set()

        nursery.start_soon(wait)
        both.user.on_received = lambda data: {
            b"1": lambda: nursery.start_soon(start),
            b"2": lambda: (lot.unpark(), scope.cancel()),
        }[data]()
        with trio.fail_after(PATIENCE_SECONDS):
            both.say(b"1")
            await started.wait()
            both.say(b"2")
            await woken.wait()


def test_an_interrupt_reaches_the_program_and_not_whoever_is_being_told() -> None:
    told: list[BaseException] = []

    async def main() -> None:
        async with ends("socket") as both:

            def interrupt(_data: bytes) -> None:
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                except BaseException as error:  # noqa: BLE001  it must not come here
                    told.append(error)

            both.user.on_received = interrupt
            both.say(b"interrupt")
            await trio.sleep(PATIENCE_SECONDS)

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)
    assert caught.group_contains(KeyboardInterrupt)
    assert told == []


# A virtual clock.


async def test_the_clock_jumps_when_all_is_quiet(autojump_clock: MockClock) -> None:
    async with ends("socket") as both:
        await trio.sleep(3_600)
        assert trio.current_time() == pytest.approx(3_600)
        both.say(b"then")
        await trio.sleep(3_600)
        assert both.user.data == b"then"


async def test_the_clock_stands_while_sockets_are_served(autojump_clock: MockClock) -> None:
    async with ring(3, rounds=5_000) as steps:
        await trio.sleep(1)
        assert steps[0] >= 5_000


async def test_all_tasks_are_blocked_only_when_sockets_are_served(autojump_clock: MockClock) -> None:
    async with ring(3, rounds=5_000) as steps:
        await wait_all_tasks_blocked()
        assert steps[0] >= 5_000
        assert trio.current_time() == pytest.approx(0)


@pytest.mark.parametrize("by_task", [False, True])
def test_what_comes_behind_a_turn_comes_once_all_have_been_told(
    monkeypatch: pytest.MonkeyPatch, *, by_task: bool
) -> None:
    if by_task:
        monkeypatch.setattr(hubs, "stand_in", lambda _hub: False)

    async def main() -> None:
        told: list[bytes] = []
        async with ends("socket") as first, ends("socket") as second:
            hub = hubs.current_hub()

            def received(data: bytes) -> None:
                told.append(data)
                hub.after_turn(lambda: told.append(b"behind"))

            for each in (first, second):
                each.user.on_received = received
                each.say(b"x")
            await settle()
            assert told == [b"x", b"x", b"behind", b"behind"]
            hub.after_turn(told.clear)
            assert told == []

    trio.run(main)


# Its life.


def test_a_run_behind_a_run() -> None:
    async def main() -> hubs.Hub:
        async with ring(2) as steps:
            await wait_until(lambda: steps[0] > 10)
            return hubs.current_hub()

    first, second = trio.run(main), trio.run(main)
    assert first is not second
    assert first.epoll.closed
    assert second.epoll.closed
    assert not first.users


@pytest.mark.parametrize("by_task", [False, True])
def test_a_line_that_outlives_its_run(monkeypatch: pytest.MonkeyPatch, *, by_task: bool) -> None:
    if by_task:
        monkeypatch.setattr(hubs, "stand_in", lambda _hub: False)
    first, second = socket.socketpair()
    kept: list[SocketLine] = []

    async def begin() -> None:
        line = SocketLine(trio.SocketStream(trio.socket.from_stdlib_socket(first)))
        line.begin(User())
        line.resume()
        kept.append(line)
        await settle()

    trio.run(begin)
    (line,) = kept
    line.write(b"still there")
    line.hold()
    trio.run(line.release)
    assert second.recv(100) == b"still there"
    for end in (first, second):
        end.close()


def test_a_stream_closed_under_a_line_harms_nobody_else() -> None:
    """Our own fault, and yet: the hub goes on."""

    async def main() -> None:
        async with ends("socket") as broken, ends("socket") as other:
            await trio.aclose_forcefully(broken.stream)
            broken.line.hold()
            broken.line.write(b"nobody hears it")
            await broken.line.release()
            other.say(b"served")
            await settle()
            assert other.user.data == b"served"

    trio.run(main)
