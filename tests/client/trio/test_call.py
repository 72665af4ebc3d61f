"""A call through the shell for Trio: what a user writes, and what follows."""

import socket
import struct
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sottovoce.client import (
    Audio,
    BackendDown,
    Call,
    CallEnded,
    CallTruncated,
    Clear,
    Codec,
    Data,
    Dtmf,
    Ended,
    Item,
    Json,
    Mark,
    connect,
)
from sottovoce.client.inbox import MAX_OTHER_ITEMS, STOCK_ITEMS
from sottovoce.primitives import ApiMisuse
from sottovoce.session import ServerConfig, events
from sottovoce.wire import Code
from tests.client.servers import FRAME, PureServer, anchors
from tests.client.trio.servers import TrioServer, VirtualClock, a_call, a_call_without_nursery, calling, serving
from tests.transport.certificates import authority


async def _take(call: Call, count: int) -> list[Item]:
    items: list[Item] = []
    async for item in call:
        items.append(item)
        if len(items) == count:
            break
    return items


async def _append(call: Call, items: list[Item]) -> None:
    async for item in call:
        items.append(item)  # noqa: PERF401  what came before an error is looked at


async def _send_on_and_on(call: Call) -> None:
    while True:
        await call.send(FRAME)


async def test_what_is_said_comes_back(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        for number in range(5):
            await call.send(bytes([number]))
        assert await _take(call, 5) == [Audio(bytes([number])) for number in range(5)]
        assert call.ended is None
    assert call.ended == Ended(1000, "closed by this side", truncated=False, local=True)
    assert [item async for item in call] == [call.ended]
    assert [item async for item in call] == []
    await server.is_done.wait()
    assert server.pure.ended is not None
    assert server.pure.ended.code == 1000
    assert call.statistics.frames_sent == call.statistics.frames_received == 5


async def test_flags_go_along(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        await call.send(b"a", talk_spurt=True, end_of_turn=True, timestamp=5)
        await _take(call, 1)
        assert server.pure.audio == [b"\x70\0\0\0\x05a"]


async def test_each_kind_of_item_for_a_match(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        session = server.pure.session
        assert session is not None
        session.send_mark("greeting", 0.0)
        session.send_clear(0.0)
        session.send_dtmf(1, 100, 0.0)
        session.send_json(b'{"a":1}', 0.0)
        server.pure.settle()
        await server.write()
        assert await _take(call, 4) == [Mark("greeting"), Clear(), Dtmf(1, 100), Json({"a": 1})]


async def test_the_users_words_arrive(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        session = server.pure.session
        assert session is not None
        session.send_mark("greeting", 0.0)
        server.pure.settle()
        await server.write()
        (mark,) = await _take(call, 1)
        assert isinstance(mark, Mark)
        await call.mark_played(mark)
        await call.dtmf(11)
        await call.json({"hello": "you"})
        await call.mute()
        await call.mute(muted=False)
        await call.send(b"")
        await _take(call, 1)
        kinds = (events.Mark, events.Dtmf, events.Json, events.Mute)
        assert [event for event in server.pure.events if isinstance(event, kinds)] == [
            events.Mark("greeting"),
            events.Dtmf(11, 160),
            events.Json(b'{"hello":"you"}'),
            events.Mute(muted=True),
            events.Mute(muted=False),
        ]


async def test_the_audio_alone(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        session = server.pure.session
        assert session is not None
        server.pure.say(b"one")
        session.send_clear(0.0)
        server.pure.settle()
        server.pure.say(b"two")
        server.pure.end(1000)
        await server.write()
        assert [audio.payload async for audio in call.audio()] == [b"one", b"two"]


async def test_control_frames_beyond_the_rate_wait_and_arrive(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        for _ in range(400):
            await call.dtmf(1)
        await call.send(b"")
        await _take(call, 1)
        assert sum(isinstance(event, events.Dtmf) for event in server.pure.events) == 400
        assert call.ended is None


async def test_a_mistake_of_the_users_does_not_end_the_call(autojump_clock: MockClock) -> None:
    async with a_call() as (call, _):
        with pytest.raises(ApiMisuse):
            await call.send(bytes(641))
        with pytest.raises(ApiMisuse):
            await call.close(17)
        await call.send(FRAME)
        assert await _take(call, 1) == [Audio(FRAME)]


async def test_the_keys_turn_while_nobody_reads_or_sends(autojump_clock: MockClock) -> None:
    async with a_call() as (call, _):
        await trio.sleep(3000)
        assert call.statistics.epochs > 10
        assert call.statistics.reauthentications == call.statistics.epochs - 1
        await call.send(b"still there")
        assert await _take(call, 1) == [Audio(b"still there")]


async def test_a_send_waits_while_the_keys_are_too_old_and_order_is_kept(autojump_clock: MockClock) -> None:
    pure = PureServer(echo=True, config=ServerConfig(epoch_seconds=100))
    async with a_call(pure, keepalive=float("inf")) as (call, server):
        server.hears = False
        await trio.sleep(105)
        sent: list[int] = []

        async def say(number: int) -> None:
            await call.send(bytes([number]))
            sent.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(say, number)
                await trio.testing.wait_all_tasks_blocked()
            assert sent == []
            server.hears = True
            server.pure.receive(server.unheard, trio.current_time())
            await server.write()
        assert sent == [0, 1, 2]
        assert await _take(call, 3) == [Audio(b"\0"), Audio(b"\1"), Audio(b"\2")]


async def test_a_failure_is_raised_behind_all_that_came_before_and_to_who_sends(
    autojump_clock: MockClock,
) -> None:
    async with a_call() as (call, server):
        server.pure.say(b"last")
        server.pure.end(Code.BACKEND_DOWN)
        await server.write()
        items: list[Item] = []
        for _ in range(2):
            with pytest.raises(BackendDown, match="call again later"):
                await _append(call, items)
        assert items == [Audio(b"last")]
        with pytest.raises(BackendDown):
            await call.send(FRAME)
        with pytest.raises(BackendDown):
            await call.json({})
    assert call.ended is not None
    assert call.ended.label == "backend_down"


async def test_a_good_end_is_an_item_and_an_error_for_who_still_sends(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        server.pure.end(1000)
        await server.write()
        assert [item async for item in call] == [Ended(1000, "ended by the other side", truncated=False, local=False)]
        with pytest.raises(CallEnded):
            await call.send(FRAME)


async def test_a_cut_is_raised(autojump_clock: MockClock) -> None:
    async with a_call() as (call, server):
        await call.send(b"a")
        await _take(call, 1)
        await trio.aclose_forcefully(server.stream)
        with pytest.raises(CallTruncated):
            await call.__anext__()
    assert call.ended is not None
    assert call.ended.truncated


async def test_hanging_up_ends_another_tasks_iteration(autojump_clock: MockClock) -> None:
    ends: list[Item] = []

    async with a_call() as (call, _), trio.open_nursery() as nursery:
        nursery.start_soon(_append, call, ends)
        nursery.start_soon(_append, call, ends)
        await trio.testing.wait_all_tasks_blocked()
        await call.close()
        await call.close()
    assert ends == [call.ended]


async def test_a_block_that_is_left_by_an_error_says_going_away(autojump_clock: MockClock) -> None:
    async with serving() as (stream, server):
        connecting = calling(stream)
        call = await connecting.__aenter__()
        error = ValueError("mine")
        assert not await connecting.__aexit__(ValueError, error, None)
        await server.is_done.wait()
    assert call.ended is not None
    assert call.ended.code == 1001
    assert server.pure.ended is not None
    assert server.pure.ended.code == 1001


async def test_opened_in_one_task_used_in_another_and_closed_in_a_third(autojump_clock: MockClock) -> None:
    stack = AsyncExitStack()
    calls: list[Call] = []

    async def open_it() -> None:
        call, _ = await stack.enter_async_context(a_call_without_nursery())
        calls.append(call)

    async def use_it() -> None:
        await calls[0].send(b"a")
        assert await _take(calls[0], 1) == [Audio(b"a")]

    for step in (open_it, use_it, stack.aclose):
        with trio.CancelScope():  # a scope of its own for each, that is gone before the next
            async with trio.open_nursery() as nursery:
                nursery.start_soon(step)
    assert calls[0].ended is not None
    assert calls[0].ended.code == 1000


async def test_calls_may_be_closed_out_of_order(autojump_clock: MockClock) -> None:
    stacks = [AsyncExitStack() for _ in range(3)]
    calls = [(await stack.enter_async_context(a_call_without_nursery()))[0] for stack in stacks]
    for index in (1, 0, 2):
        await calls[index].send(b"a")
        await stacks[index].aclose()
        assert calls[index].ended is not None
    assert [call.ended.code for call in calls if call.ended] == [1000] * 3


async def test_a_connection_that_is_reset_is_a_cut() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        server = TrioServer(stream, PureServer(echo=True))
        server.drops_after = 4
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by RST
        await server.run()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        url = f"wss://localhost:{listeners[0].socket.getsockname()[1]}/echo"
        async with connect(url, anchor=anchors(), ca=authority().pem, clock=VirtualClock()) as call:
            with pytest.raises(CallTruncated):
                await _send_on_and_on(call)
            with pytest.raises(CallTruncated):
                await _append(call, [])
        nursery.cancel_scope.cancel()


@pytest.mark.protocol("P9.30")
async def test_under_constant_padding_frames_wait_for_their_slots_and_arrive(autojump_clock: MockClock) -> None:
    async with a_call(PureServer(echo=True, config=ServerConfig(padding=2))) as (call, server):
        started = trio.current_time()
        for number in range(50):
            await call.send(bytes([number]))
        assert 0.9 <= trio.current_time() - started <= 1.3, "one each 20 ms, however fast they are said"
        await call.dtmf(5)
        await call.send(b"last")
    assert [payload[1:] for payload in server.pure.audio] == [*(bytes([number]) for number in range(50)), b"last"]
    assert any(isinstance(event, events.Dtmf) for event in server.pure.events)
    assert call.ended == Ended(1000, "closed by this side", truncated=False, local=True)


async def test_a_call_without_audio(autojump_clock: MockClock) -> None:
    pure = PureServer(config=ServerConfig(codecs=(Codec.NONE,)))
    async with a_call(pure, codec=Codec.NONE) as (call, server):
        await call.send_data(b"up")
        await call.json({"a": 1})
        with pytest.raises(ApiMisuse, match="send_data"):
            await call.send(FRAME)
        with pytest.raises(ApiMisuse, match="data"):
            await call.send_data(bytes(8001))
        assert server.pure.session is not None
        server.pure.session.send_data(b"down", 0.0)
        server.pure.settle()
        await server.write()
        assert await _take(call, 1) == [Data(b"down")]
    assert [event.data for event in server.pure.events if isinstance(event, events.Data)] == [b"up"]


async def _say_much(server: TrioServer) -> None:
    session = server.pure.session
    assert session is not None
    for number in range(_MANY):
        assert session.send_data(number.to_bytes(2), 0.0)
    server.pure.settle()
    await server.write()


_MANY = 3 * MAX_OTHER_ITEMS


async def test_without_audio_what_nobody_takes_waits_on_the_way_and_nothing_is_lost(autojump_clock: MockClock) -> None:
    config = ServerConfig(codecs=(Codec.NONE,), epoch_seconds=3600)
    async with a_call(PureServer(config=config), codec=Codec.NONE, keepalive=20) as (call, server):
        await _say_much(server)
        await trio.sleep(200)
        waiting = len(call._link.machine._inbox._items)
        assert STOCK_ITEMS <= waiting < _MANY
        await call.send_data(b"still there")
        assert await _take(call, _MANY) == [Data(number.to_bytes(2)) for number in range(_MANY)]
        await call.close()
        assert server.pure.ended is not None
        assert server.pure.ended.code == Code.NORMAL


async def test_a_call_without_room_can_be_left(autojump_clock: MockClock) -> None:
    config = ServerConfig(codecs=(Codec.NONE,), epoch_seconds=3600)
    async with a_call(PureServer(config=config), codec=Codec.NONE) as (call, server):
        await _say_much(server)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await call.close()
        assert trio.current_time() - began < 1
    assert call.ended == Ended(1000, "closed by this side", truncated=False, local=True)


async def test_a_quiet_call_lives_on_and_a_dead_one_is_noticed(autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = 0.02  # time does not jump past a step's deadline while a thread verifies it
    async with a_call() as (call, server):
        await trio.sleep(1000)
        assert call.ended is None
        server.hears = False
        started = trio.current_time()
        with pytest.raises(CallTruncated, match="nothing was heard"):
            await call.__anext__()
        assert 40 <= trio.current_time() - started <= 61


async def test_over_a_real_socket() -> None:
    done: list[TrioServer] = []

    async def serve(stream: trio.SocketStream) -> None:
        done.append(TrioServer(stream, PureServer(echo=True)))
        await done[-1].run()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        port = listeners[0].socket.getsockname()[1]
        url = f"wss://localhost:{port}/echo"
        async with connect(url, anchor=anchors(), ca=authority().pem, clock=VirtualClock()) as call:
            for _ in range(50):
                await call.send(FRAME)
            assert await _take(call, 50) == [Audio(FRAME)] * 50
        nursery.cancel_scope.cancel()
    assert done[0].pure.ended is not None
    assert done[0].pure.request is not None
    assert done[0].pure.request.authority == f"localhost:{port}".encode()
