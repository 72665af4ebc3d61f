"""Cancelled at every step in turn, and dropped by the server at every step: nothing leaks, nothing is sent twice."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sottovoce.client import Audio, Call, CallError, CallTruncated, Codec, Ended, SessionExpired
from sottovoce.session import ServerConfig
from tests.client.servers import FRAME, PureServer
from tests.client.trio.servers import TrioServer, a_call, calling, serving

_FRAMES = [bytes([number]) for number in range(3)]
Pair = Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]


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


async def _whole_call(stream: trio.abc.Stream, calls: list[Call]) -> None:
    """Everything that a user does, and each public method that waits."""
    async with calling(stream) as call:
        calls.append(call)
        for frame in _FRAMES:
            await call.send(frame)
        await call.dtmf(1)
        await call.json({})
        await call.mute()
        await call.mark_played("a")
        for frame in _FRAMES:
            assert await call.__anext__() == Audio(frame)
        async for audio in call.audio():
            assert audio == Audio(b"more")
            break


async def _check_left_nothing(stream: trio.abc.Stream, server: TrioServer, calls: list[Call]) -> None:
    await server.is_done.wait()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some(1)
    assert [payload[1:] for payload in server.pure.audio] == _FRAMES[: len(server.pure.audio)]
    for call in calls:
        session = call._link.machine._session
        assert session is not None
        assert session.has_ended
        assert session._sender is None
        assert session._receiver is None
        assert call.ended is not None


async def _sweep(step: Callable[[int], Awaitable[bool]]) -> int:
    """Do `step` for 1, 2, 3 … until it says that there was nothing left to cancel."""
    living = trio.lowlevel.current_statistics().tasks_living
    for number in range(1, 1000):
        finished = await step(number)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == living, f"a task leaked at step {number}"
        if finished:
            return number
    raise AssertionError("it never finished")


@pytest.mark.parametrize("pair", [trio.testing.memory_stream_pair, trio.testing.lockstep_stream_pair])
async def test_a_call_cancelled_at_every_step(autojump_clock: MockClock, pair: Pair) -> None:
    async def step(number: int) -> bool:
        calls: list[Call] = []
        async with serving(_generous(), pair=pair) as (stream, server):
            instrument = _CancelAt(number)
            trio.lowlevel.add_instrument(instrument)
            with instrument.scope:
                await _whole_call(stream, calls)
            trio.lowlevel.remove_instrument(instrument)
            with trio.fail_after(2):
                await _check_left_nothing(stream, server, calls)
        return not instrument.scope.cancelled_caught

    assert await _sweep(step) > 20


@pytest.mark.parametrize("pair", [trio.testing.memory_stream_pair, trio.testing.lockstep_stream_pair])
async def test_a_server_that_drops_the_connection_at_every_step(autojump_clock: MockClock, pair: Pair) -> None:
    kinds: set[type[CallError]] = set()

    async def step(number: int) -> bool:
        calls: list[Call] = []
        async with serving(_generous(), pair=pair) as (stream, server):
            server.drops_after = number - 1
            try:
                await _whole_call(stream, calls)
            except CallError as error:
                kinds.add(type(error))
                finished = False
            else:
                finished = True
            await _check_left_nothing(stream, server, calls)
        return finished

    assert await _sweep(step) > 3
    assert CallTruncated in kinds
    assert len(kinds) == 2, "and before the keys are agreed, ConnectFailed"


@pytest.mark.parametrize("is_data", [True, False])
async def test_slots_and_data_cancelled_at_every_step(autojump_clock: MockClock, *, is_data: bool) -> None:
    config = ServerConfig(codecs=(Codec.NONE,)) if is_data else ServerConfig(padding=2)
    codec = Codec.NONE if is_data else Codec.PCM16_16K

    async def whole_call(stream: trio.abc.Stream, calls: list[Call]) -> None:
        async with calling(stream, codec=codec) as call:
            calls.append(call)
            for frame in _FRAMES:
                await (call.send_data(frame) if is_data else call.send(frame))
            await call.json({})

    async def step(number: int) -> bool:
        calls: list[Call] = []
        async with serving(PureServer(config=config)) as (stream, server):
            instrument = _CancelAt(number)
            trio.lowlevel.add_instrument(instrument)
            with instrument.scope:
                await whole_call(stream, calls)
            trio.lowlevel.remove_instrument(instrument)
            with trio.fail_after(2):
                await _check_left_nothing(stream, server, calls)
        return not instrument.scope.cancelled_caught

    assert await _sweep(step) > 8


async def _read_to_the_end(call: Call) -> None:
    async for _ in call:
        pass


def _generous() -> PureServer:
    return PureServer(echo=True, more_after=len(_FRAMES))


@pytest.mark.protocol("P5.25")
async def test_a_send_cancelled_in_its_write_ends_the_call(autojump_clock: MockClock) -> None:
    async with serving(pair=trio.testing.lockstep_stream_pair) as (stream, server), calling(stream) as call:
        await trio.testing.wait_all_tasks_blocked()
        server.reads = False
        await call.send(FRAME)
        with trio.move_on_after(1) as scope:
            await call.send(FRAME)
        assert scope.cancelled_caught
        with pytest.raises(CallTruncated, match="cancelled half-way"):
            await call.send(FRAME)
        with pytest.raises(CallTruncated):
            await _read_to_the_end(call)
    assert call.ended is not None
    assert call.ended.truncated


async def test_a_send_cancelled_before_it_may_seal_has_sent_nothing(autojump_clock: MockClock) -> None:
    pure = PureServer(echo=True, config=ServerConfig(epoch_seconds=100))
    async with a_call(pure, keepalive=float("inf")) as (call, server):
        with trio.CancelScope() as scope:
            scope.cancel()
            await call.send(b"cancelled from the start")
        server.hears = False
        await trio.sleep(105)
        with trio.move_on_after(1) as scope:
            await call.send(b"cancelled while it waits")
        assert scope.cancelled_caught
        server.hears = True
        server.pure.receive(server.unheard, trio.current_time())
        await server.write()
        await call.send(b"sent")
        assert await call.__anext__() == Audio(b"sent")
        assert server.pure.audio == [b"\0sent"]
        assert call.statistics.frames_sent == 1


async def test_a_read_that_is_cancelled_loses_nothing(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        for number in range(20):
            with trio.move_on_after(number % 3):
                await call.__anext__()
                raise AssertionError("there was nothing to read")
            server.pure.say(bytes([number]))
            await server.write()
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                scope.cancel()
                await call.__anext__()
            assert await call.__anext__() == Audio(bytes([number]))


async def test_a_server_that_never_answers_the_closing(autojump_clock: MockClock) -> None:
    for limit, at_least, at_most in ((60.0, 5.0, 6.1), (2.0, 2.0, 3.1)):
        async with serving() as (stream, server):
            async with calling(stream) as call:
                await trio.testing.wait_all_tasks_blocked()
                server.hears = False
                started = trio.current_time()
                with trio.move_on_after(limit):
                    await call.close()
            assert at_least <= trio.current_time() - started <= at_most
            assert call.ended == Ended(1000, "closed by this side", truncated=False, local=True)


@pytest.mark.protocol("P7.27")
async def test_a_server_that_stops_reading_keeps_nobody_waiting_for_ever(autojump_clock: MockClock) -> None:
    pair = trio.testing.lockstep_stream_pair
    async with serving(pair=pair) as (stream, server), calling(stream, keepalive=float("inf")) as call:
        await trio.testing.wait_all_tasks_blocked()
        server.reads = False
        await call.send(FRAME)
        with pytest.raises(SessionExpired):
            await call.send(FRAME)
        with pytest.raises(SessionExpired):
            await _read_to_the_end(call)
        assert trio.current_time() < 300 + 60 + 10


async def test_a_server_that_is_silent_and_stops_reading_is_given_up_after_a_minute(autojump_clock: MockClock) -> None:
    async with serving(pair=trio.testing.lockstep_stream_pair) as (stream, server), calling(stream) as call:
        await trio.testing.wait_all_tasks_blocked()
        server.reads = False
        started = trio.current_time()
        await call.send(FRAME)
        with pytest.raises(CallTruncated, match="nothing was heard"):
            await call.send(FRAME)
        assert trio.current_time() - started <= 60 + 2
