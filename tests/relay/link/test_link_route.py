"""One call's connection as a block: what passes through it, and how it is left."""

import json
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.relay import BackendDown, BackendFault, Leg
from sottovoce.relay.link import BackendRoute, Dialer
from sottovoce.relay.link.route import CLOSE_SECONDS
from sottovoce.relay.raw import RawDialect
from sottovoce.transport import PeerClosed, TextMessage
from sottovoce.wire import frames
from tests.relay.backend import ADDRESS, Backend, Calling
from tests.relay.calls import END, START, RecordingSink
from tests.relay.steps import cancelled_at_each_step


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("stop", [False, True])
async def test_an_exception_of_the_block_passes_as_it_is_also_when_cancelled_meanwhile(
    autojump_clock: MockClock, *, cancelled: bool, stop: bool
) -> None:
    calling = Calling()
    mine = KeyError("mine")
    caught: list[BaseException] = []

    async def fail(leg: Leg, scope: trio.CancelScope) -> None:
        await wait_all_tasks_blocked()
        if stop:
            leg.stop(END)
        if cancelled:
            scope.cancel()
        raise mine

    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.accepted)
        with trio.CancelScope() as scope:
            try:
                async with calling.connect() as leg:
                    await fail(leg, scope)
            except BaseException as error:  # noqa: BLE001  whatever comes out is looked at
                caught.append(error)
    assert caught == [mine]
    assert calling.network.open_streams == 0


async def test_cancellation_passes_as_itself_and_not_in_a_group() -> None:
    calling = Calling()
    caught: list[BaseException] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.accepted)
        with trio.CancelScope() as scope:
            try:
                async with calling.connect():
                    await wait_all_tasks_blocked()
                    scope.cancel()
                    await trio.sleep_forever()
            except BaseException as error:
                caught.append(error)
                raise
    assert [type(each) for each in caught] == [trio.Cancelled]
    assert calling.network.open_streams == 0


async def test_a_backend_that_cannot_be_reached_is_told_by_entering_alone() -> None:
    async def fail() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError("down")

    sink = RecordingSink()
    route = BackendRoute(
        "support",
        Dialer(ADDRESS, fail, attempts=1, timeout_seconds=1),
        lambda start: RawDialect(start, header=False),
        queue_frames=1,
    )
    with pytest.raises(BackendDown) as caught:
        async with route.connect(START, sink):
            pytest.fail("entered")
    assert caught.value.fault is BackendFault.UNREACHABLE
    assert sink.told == []


async def serve_to_the_end(calling: Calling, heard: list[object]) -> None:
    """A backend that reads all there is."""
    backend = await calling.accepted()
    with suppress(trio.BrokenResourceError):
        heard.extend(await backend.until_end())
    await backend.stream.aclose()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_stop_is_delivered_also_under_cancellation(autojump_clock: MockClock, *, cancelled: bool) -> None:
    calling = Calling()
    heard: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_to_the_end, calling, heard)
        before = trio.current_time()
        with trio.CancelScope() as scope:
            async with calling.connect() as leg:
                leg.audio(frames.encode_audio(b"\xff", 0, None), 0)
                leg.stop(END)
                if cancelled:
                    scope.cancel()
        assert trio.current_time() == before, "both have closed: nothing to wait for"
    audio, stop, close = heard
    assert audio == b"\xff"
    assert isinstance(stop, TextMessage)
    assert json.loads(stop.text)["code"] == 1000
    assert close == PeerClosed(1000, "")


async def test_without_stop_a_call_is_left_at_once_and_looks_truncated(autojump_clock: MockClock) -> None:
    calling = Calling()
    heard: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_to_the_end, calling, heard)
        async with calling.connect():
            await wait_all_tasks_blocked()
            before = trio.current_time()
        assert trio.current_time() == before
    assert heard == []


@pytest.mark.parametrize("lockstep", [False, True])
async def test_a_backend_that_answers_no_close_delays_leaving_by_a_second(
    autojump_clock: MockClock, *, lockstep: bool
) -> None:
    calling = Calling(lockstep=lockstep)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.accepted)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            leg.audio(frames.encode_audio(b"\xff", 0, None), 0)
            before = trio.current_time()
            leg.stop(END)
        assert trio.current_time() - before == pytest.approx(CLOSE_SECONDS)
    assert calling.network.open_streams == 0


async def test_a_backend_that_talks_on_after_stop_delays_leaving_no_longer(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def rave() -> None:
        backend = await calling.accepted()
        with suppress(trio.BrokenResourceError):
            while True:
                await backend.stream.send_all(b"\x82\x01\xff" * 100)
                await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rave)
        async with calling.connect() as leg:
            await trio.sleep(0.1)
            leg.stop(END)
            told, before = len(calling.sink.told), trio.current_time()
        assert trio.current_time() - before == pytest.approx(CLOSE_SECONDS)
    assert len(calling.sink.told) == told


async def test_after_leaving_the_sink_hears_nothing(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        backend = await calling.accepted()
        backend.put(b"\xff", '{"type": "stop"}')
        await trio.sleep(0.5)
        with suppress(trio.BrokenResourceError):
            await backend.flush()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            leg.stop(END)
        leg.audio(b"\0\xff", 0)
        leg.stop(END)
    assert calling.sink.told == []


async def test_what_comes_as_the_call_is_left_is_not_heard(autojump_clock: MockClock) -> None:
    calling = Calling()
    backends: list[Backend] = []

    async def serve() -> None:
        backends.append(await calling.accepted())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect():
            await wait_all_tasks_blocked()
            await backends[0].send(b"\xff", '{"type": "stop"}')  # the leg is awake, but not yet at work
    assert calling.sink.told == []


async def test_a_sink_that_raises_is_our_bug_of_which_the_call_is_told(autojump_clock: MockClock) -> None:
    calling = Calling()

    class Faulty(RecordingSink):
        def clear(self) -> None:
            raise ZeroDivisionError

    async def serve() -> None:
        await (await calling.accepted()).send('{"type": "clear"}')

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        faulty = Faulty()
        async with calling.connect(sink=faulty):
            assert isinstance(await faulty.crash(), ZeroDivisionError)
    assert calling.network.open_streams == 0


async def test_cancelled_at_any_step_a_call_leaves_no_socket_and_no_task(autojump_clock: MockClock) -> None:
    calling = Calling()
    ends: list[str] = []

    async def serve() -> None:
        while True:
            nursery.start_soon(talk, await calling.network.backend())

    async def talk(backend: Backend) -> None:
        with suppress(trio.BrokenResourceError):
            await backend.accept()
            await backend.send(b"\xff", '{"type": "clear"}')
            stops = [each for each in await backend.until_end() if isinstance(each, TextMessage)]
            ends.extend(json.loads(each.text)["type"] for each in stops)
            await backend.stream.aclose()

    async def once() -> None:
        async with calling.connect() as leg:
            for _ in range(3):
                leg.audio(b"\0\xff", 0)
                await trio.lowlevel.checkpoint()
            leg.stop(END)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await wait_all_tasks_blocked()
        tasks, steps = trio.lowlevel.current_statistics().tasks_living, 0
        async for _ in cancelled_at_each_step(once):
            steps += 1
            assert calling.network.open_streams == 0
            await wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().tasks_living == tasks
        nursery.cancel_scope.cancel()
    assert steps > 8
    assert ends.count("stop") > 2
