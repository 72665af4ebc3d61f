"""Calls that come again: when, with what, and what is lost.

A conversation under `pytest.raises` is several statements by its nature.
"""

# ruff: noqa: PT012

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sottovoce.client import (
    AuthFailed,
    BackendDown,
    Call,
    CallError,
    CallTruncated,
    ConnectFailed,
    Draining,
    Leg,
)
from sottovoce.client.continuity.retry import FIRST_SECONDS, LONGEST_SECONDS
from sottovoce.primitives import ApiMisuse
from sottovoce.session import ServerConfig
from sottovoce.wire import Code
from tests.client.servers import FRAME, Box, PureServer
from tests.client.trio.lines import Line, a_line, break_off, closed, drain, echo, read, refusing, say_one

End = Callable[[Line], Any]


async def leave(line: Line) -> None:
    """Give the client up, as a server does that has heard nothing for three heartbeats."""
    await drain(line, Code.GOING_AWAY)


@pytest.mark.protocol("P10.15", "P10.18")
@pytest.mark.parametrize(("end", "kind"), [(drain, Draining), (break_off, CallTruncated), (leave, CallTruncated)])
async def test_after_a_drain_or_a_cut_another_call_takes_its_place(
    autojump_clock: MockClock, end: End, kind: type[CallError]
) -> None:
    async with a_line(echo) as line:
        legs: list[Leg] = []
        last: list[Call] = []
        conversation = line.calls()
        async for leg in conversation:
            legs.append(leg)
            async with leg as call:
                last.append(call)
                await say_one(call)
                if len(legs) < 3:
                    await end(line)
                    await read(call)
        reasons = [leg.reason for leg in legs]
        assert reasons[0] is None
        assert [type(reason) for reason in reasons[1:]] == [kind, kind]
        assert all(reason.__traceback__ is None for reason in reasons[1:] if reason)
        assert (conversation.legs, conversation.reconnects) == (3, 2)
        ended = last[-1].ended
        assert ended is not None
        assert ended.code == 1000
        assert all(gap <= 2 * FIRST_SECONDS for gap in line.gaps)


async def test_a_block_that_is_left_in_good_order_ends_the_conversation(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        conversation = line.calls()
        async for leg in conversation:
            async with leg as call:
                await say_one(call)
        assert conversation.legs == 1
        assert [leg async for leg in conversation] == []


@pytest.mark.parametrize("code", [Code.AUTH_FAILED, Code.POLICY, Code.EXPIRED, Code.NO_COMMON_SUITE, Code.BACKEND_DOWN])
async def test_what_would_be_said_again_is_raised(autojump_clock: MockClock, code: Code) -> None:
    async with a_line(echo) as line:
        with pytest.raises(CallError) as refusal:
            async for leg in line.calls():
                async with leg as call:
                    await say_one(call)
                    await drain(line, code)
                    await read(call)
        assert refusal.value.code == code
        assert len(line.dialled) == 1


@pytest.mark.protocol("P1.19", "P11.11")
async def test_a_refusal_on_the_way_back_is_raised_and_nothing_weaker_is_tried(autojump_clock: MockClock) -> None:
    async with a_line(echo, refusing()) as line:
        with pytest.raises(AuthFailed) as refusal:
            async for leg in line.calls():
                async with leg as call:
                    if leg.reason is None:
                        await drain(line)
                    await read(call)
        assert "credential" in str(refusal.value)
        assert len(line.dialled) == 2


async def test_the_users_own_error_is_not_taken_for_the_calls(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        with pytest.raises(ValueError, match="mine"):
            async for leg in line.calls():
                async with leg:
                    await break_off(line)
                    raise ValueError("mine")
        with pytest.raises(CallTruncated, match="another call"):
            async for leg in line.calls():
                async with leg:
                    raise CallTruncated("another call", "look after it")
        with pytest.raises(BaseExceptionGroup) as group:
            async for leg in line.calls():
                async with leg as call, trio.open_nursery() as nursery:
                    await break_off(line)
                    nursery.start_soon(read, call)
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise ValueError("mine")
        assert group.group_contains(ValueError)
        assert len(line.dialled) == 3


async def test_a_nursery_in_which_several_hear_of_the_end_is_one_end(autojump_clock: MockClock) -> None:
    async def send_on(call: Call) -> None:
        while True:
            await call.send(FRAME)
            await trio.sleep(0.02)

    async with a_line(echo) as line:
        conversation = line.calls()
        async for leg in conversation:
            async with leg as call, trio.open_nursery() as nursery:
                nursery.start_soon(read, call)
                nursery.start_soon(send_on, call)
                nursery.start_soon(send_on, call)
                await trio.sleep(1)
                if leg.reason is not None:
                    nursery.cancel_scope.cancel()
                await break_off(line)
                await trio.sleep_forever()
        assert conversation.reconnects == 1


async def test_the_first_call_is_tried_once(autojump_clock: MockClock) -> None:
    for way in (None, closed):
        async with a_line(way, echo) as line:
            with pytest.raises(ConnectFailed):
                async for leg in line.calls():
                    async with leg:
                        pass
            assert len(line.dialled) == 1


async def test_attempts_that_fail_come_less_and_less_often(autojump_clock: MockClock) -> None:
    async with a_line(echo, *([None, closed] * 5), echo) as line:
        async for leg in line.calls():
            async with leg as call:
                if leg.reason is None:
                    await break_off(line)
                    await read(call)
                assert isinstance(leg.reason, CallTruncated), "why the call was lost, not why an attempt failed"
        assert len(line.dialled) == 12
        for number, gap in enumerate(line.gaps):
            limit = min(FIRST_SECONDS * 2**number, LONGEST_SECONDS)
            assert limit / 2 <= gap <= limit + 0.2


async def test_after_so_long_it_gives_up_and_says_what_the_last_attempt_met(autojump_clock: MockClock) -> None:
    async with a_line(echo, None) as line:
        started = 0.0
        with pytest.raises(ConnectFailed, match="refused") as refusal:
            async for leg in line.calls(give_up_after=60):
                async with leg as call:
                    started = trio.current_time()
                    await break_off(line)
                    await read(call)
        assert isinstance(refusal.value.__cause__, CallTruncated)
        assert 60 <= trio.current_time() - started <= 61


async def test_without_time_to_come_back_the_first_end_is_raised(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        with pytest.raises(CallTruncated):
            async for leg in line.calls(give_up_after=0):
                async with leg as call:
                    await break_off(line)
                    await read(call)
        assert len(line.dialled) == 1


async def test_calls_that_open_and_break_at_once_do_not_go_on_for_ever(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        with pytest.raises(CallTruncated):
            async for leg in line.calls(give_up_after=60):
                async with leg as call:
                    await break_off(line)
                    await read(call)
        assert len(line.dialled) < 20


async def test_a_call_that_lasted_begins_the_counting_anew(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        legs = 0
        async for leg in line.calls(give_up_after=60):
            async with leg as call:
                legs += 1
                await trio.sleep(100)
                if legs < 10:
                    await break_off(line)
                    await read(call)
        assert all(gap <= 100 + FIRST_SECONDS + 1 for gap in line.gaps)


async def test_a_server_that_says_nothing_any_more_is_left_for_another_one(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        async for leg in line.calls():
            async with leg as call:
                if leg.reason is None:
                    await trio.testing.wait_all_tasks_blocked()
                    line.servers[0].hears = False
                    await read(call)
        assert 59 <= line.gaps[0] <= 62


# --- how it is used -------------------------------------------------------------------------------------------------


async def test_a_leg_is_one_call_and_each_is_to_be_entered(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        conversation = line.calls()
        leg = await conversation.__anext__()
        with pytest.raises(ApiMisuse, match="async with"):
            await conversation.__anext__()
        async with leg as call:
            await say_one(call)
        with pytest.raises(ApiMisuse, match="cannot be entered again"):
            await leg.__aenter__()


async def test_what_came_before_the_end_is_still_given_out(autojump_clock: MockClock) -> None:
    heard: list[bytes] = []
    async with a_line(echo) as line:
        async for leg in line.calls():
            async with leg as call:
                if leg.reason is None:
                    await trio.testing.wait_all_tasks_blocked()
                    line.servers[0].pure.say(b"last words")
                    await drain(line)
                    async for item in call.audio():
                        heard.append(item.payload)  # noqa: PERF401  what came before an error is looked at
    assert heard == [b"last words"]


async def test_nothing_is_left_when_it_is_cancelled_at_any_step(autojump_clock: MockClock) -> None:
    """One drain, one cut, one refused connection, then the end; cancelled after 1, 2, 3 … steps of the user's task."""
    living = trio.lowlevel.current_statistics().tasks_living

    def wanting_a_token() -> PureServer:
        return PureServer(echo=True, config=ServerConfig(credential_kinds=(1,)), tickets=Box())

    for steps in range(1, 500):
        async with a_line(wanting_a_token, wanting_a_token, None, wanting_a_token) as line:
            conversation = line.calls(token="hunter2")
            token = conversation._conversation._settings.config.credential.token
            assert token is not None
            counted = _CancelAt(steps)
            trio.lowlevel.add_instrument(counted)
            with counted.scope:
                await _three_legs(line, conversation)
            trio.lowlevel.remove_instrument(counted)
            with trio.fail_after(5):
                for server in line.servers:
                    await server.is_done.wait()
            for stream in line.streams:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some(1)
            assert token.is_wiped
        assert trio.lowlevel.current_statistics().tasks_living == living, f"a task leaked at step {steps}"
        if not counted.scope.cancelled_caught:
            assert steps > 15
            return
    raise AssertionError("it never finished")


async def _three_legs(line: Line, conversation: Any) -> None:
    ends = [drain, break_off]
    async for leg in conversation:
        async with leg as call:
            await say_one(call)
            if ends:
                await ends.pop(0)(line)
                await read(call)


class _CancelAt(trio.abc.Instrument):
    """Cancels the scope after so many steps of its task."""

    def __init__(self, steps: int) -> None:
        self.scope = trio.CancelScope()
        self._task = trio.lowlevel.current_task()
        self._left = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self.scope.cancel()


async def test_the_backend_that_is_down_is_not_called_again(autojump_clock: MockClock) -> None:
    async with a_line(echo) as line:
        with pytest.raises(BackendDown):
            async for leg in line.calls():
                async with leg as call:
                    await drain(line, Code.BACKEND_DOWN)
                    await call.send(FRAME)
                    await read(call)
