"""A leg while its call goes on: order, bursts, a backend that is slow, and what a backend may say."""

import json

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.relay import Leg, LegStatistics
from sottovoce.relay.link.outbound import MAX_CONTROLS
from sottovoce.transport import TextMessage, WsEvent
from sottovoce.wire import frames
from tests.relay.backend import Backend, Calling
from tests.relay.calls import DATA_START, START, RecordingSink


def frame(number: int) -> bytes:
    return frames.encode_audio(number.to_bytes(2), 0, None)


def said(event: WsEvent) -> object:
    """A message as the test writes it: the number of a frame, or a text without its type's name spelled out."""
    if isinstance(event, TextMessage):
        return json.loads(event.text)
    return event


async def hear(backend: Backend, count: int) -> list[object]:
    return [said(await backend.next()) for _ in range(count)]


async def test_start_is_first_and_order_is_kept_among_all_kinds() -> None:
    calling = Calling()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.network.backend()
            assert json.loads(await backend.accept())["session_id"] == START.session_id.hex()
            assert await hear(backend, 7) == [
                b"\0\1",
                {"type": "dtmf", "event": 5, "duration_ms": 160},
                b"\0\2",
                {"type": "mark", "name": "greeting"},
                {"type": "mute", "muted": True},
                {"type": "json", "value": {"a": 1}},
                b"\0\3",
            ]
            nursery.cancel_scope.cancel()

        nursery.start_soon(serve)
        async with calling.connect() as leg:
            leg.audio(frame(1), 0)
            leg.dtmf(5, 160)
            leg.audio(frame(2), 0)
            leg.mark_played("greeting")
            leg.mute(muted=True)
            leg.json(b'{"a": 1}')
            leg.audio(frame(3), 0)
            leg.flush()
            await trio.sleep_forever()
    assert calling.sink.told == []


async def test_a_burst_is_one_write() -> None:
    calling = Calling(queue_frames=50)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.accepted)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            (stream,) = calling.network.streams
            before = len(stream.writes)
            for number in range(50):
                leg.audio(frame(number), 0)
            leg.dtmf(1, 100)
            leg.flush()
            await wait_all_tasks_blocked()
            assert len(stream.writes) == before + 1
            assert leg.statistics.frames_to_backend == 50


async def test_a_slow_backend_loses_the_oldest_audio_and_no_control() -> None:
    calling = Calling(lockstep=True, queue_frames=3, header=True)
    async with trio.open_nursery() as nursery:
        backends: list[Backend] = []

        async def serve() -> None:
            backends.append(await calling.accepted())

        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            leg.audio(frame(0), 0)
            leg.flush()
            await wait_all_tasks_blocked()  # the writer now waits for the backend, which reads nothing
            for number in range(1, 8):
                leg.audio(frame(number), 1 if number == 2 else 0)
                if number % 2:
                    leg.dtmf(number, 100)
            assert leg.statistics == LegStatistics(
                frames_to_backend=1, frames_from_backend=0, frames_dropped_to_backend=4, frames_dropped_from_backend=0
            )
            heard = await hear(backends[0], 8)
            assert [each for each in heard if isinstance(each, bytes)] == [
                bytes.fromhex("00 00000000 0000 0000"),
                bytes.fromhex("00 00000000 0005 0005"),  # four dropped, one lost before on the network
                bytes.fromhex("00 00000000 0000 0006"),
                bytes.fromhex("00 00000000 0000 0007"),
            ]
            assert [each["event"] for each in heard if isinstance(each, dict)] == [1, 3, 5, 7]
            assert leg.statistics.frames_to_backend == 4
    assert calling.sink.told == []


async def test_a_backend_that_reads_no_control_is_down() -> None:
    calling = Calling(lockstep=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.accepted)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            leg.dtmf(0, 0)
            leg.flush()
            await wait_all_tasks_blocked()
            for _ in range(MAX_CONTROLS):
                leg.dtmf(1, 1)
            assert calling.sink.told == []
            leg.dtmf(1, 1)
            ((what, reason),) = calling.sink.told
            assert what == "backend_closed"
            assert str(reason).startswith("stuck: ")
            before = leg.statistics
            everything_after_the_end(leg)
            assert leg.statistics == before
    assert len(calling.sink.told) == 1
    assert calling.network.open_streams == 0


def everything_after_the_end(leg: Leg) -> None:
    leg.audio(frame(1), 0)
    leg.data(b"x")
    leg.dtmf(1, 1)
    leg.mark_played("x")
    leg.mute(muted=True)
    leg.json(b"{}")


async def test_what_a_backend_says_reaches_the_sink_in_order() -> None:
    calling = Calling(header=True)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.accepted()
            await backend.send(
                bytes.fromhex("30 00001f40 0000 ff7ffe"),
                '{"type": "mark", "name": "greeting"}',
                '{"type": "dtmf", "event": 11, "duration_ms": 100}',
                '{"type": "clear"}',
                '{"type": "json", "value": {"a": [1, 2]}, "later": true}',
                bytes.fromhex("40 00000000 0000"),
            )

        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            assert calling.sink.told == [
                ("audio", bytes.fromhex("ff7ffe"), 0x20, 8000),
                ("mark", "greeting"),
                ("dtmf", 11, 100),
                ("clear",),
                ("json", b'{"a": [1, 2]}'),
                ("audio", b"", 0x40, None),
            ]
            assert leg.statistics.frames_from_backend == 2


async def test_a_data_session_passes_data_both_ways() -> None:
    calling = Calling(header=True)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.accepted()
            assert await hear(backend, 1) == [b"\0\1\2"]
            await backend.send(b"\2\1\0", '{"type": "json", "value": {}}')

        nursery.start_soon(serve)
        async with calling.connect(DATA_START) as leg:
            leg.data(b"\0\1\2")
            leg.flush()
            await wait_all_tasks_blocked()
            assert calling.sink.told == [("data", b"\2\1\0"), ("json", b"{}")]


async def test_a_backend_is_not_read_while_there_is_no_room_for_what_it_says() -> None:
    calling = Calling()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.accepted()
            calling.sink.is_crowded = True
            for number in range(2):
                await backend.send(f'{{"type": "mark", "name": "{number}"}}')
                await wait_all_tasks_blocked()
            assert calling.sink.told == [("mark", "0")]
            calling.sink.make_room()
            assert await calling.sink.hear(2) == [("mark", "0"), ("mark", "1")]
            nursery.cancel_scope.cancel()

        nursery.start_soon(serve)
        async with calling.connect():
            await trio.sleep_forever()


async def test_audio_a_minute_ahead_is_dropped_and_counted(autojump_clock: MockClock) -> None:
    calling = Calling()
    start = msgspec.structs.replace(START, frame_milliseconds=60)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.accepted()
            await backend.send(*[b"\xff"] * 1010)
            await trio.sleep(3)
            await backend.send(*[b"\xff"] * 101)

        nursery.start_soon(serve)
        async with calling.connect(start) as leg:
            await trio.sleep(1)
            assert leg.statistics.frames_from_backend == 1000
            assert leg.statistics.frames_dropped_from_backend == 10
            await trio.sleep(4)
            assert leg.statistics.frames_from_backend == 1100
            assert leg.statistics.frames_dropped_from_backend == 11
    assert len(calling.sink.named("audio")) == 1100


async def test_pings_are_answered_while_nothing_is_said() -> None:
    calling = Calling()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.accepted()
            backend.websocket.send_ping(b"there?")
            await backend.flush()
            data = await backend.stream.receive_some(100)
            assert data[:1] == b"\x8a"  # a pong: the only thing that moves

        nursery.start_soon(serve)
        async with calling.connect():
            await wait_all_tasks_blocked()
    assert calling.sink.told == []


@pytest.mark.parametrize("turn", range(8))
async def test_what_came_with_the_upgrade_is_heard_before_the_rest(turn: int) -> None:
    calling = Calling()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.network.backend()
            await backend.asked()
            backend.websocket.accept(None)
            backend.put('{"type": "mark", "name": "first"}')
            await backend.flush()
            await backend.send(*[f'{{"type": "mark", "name": "{turn}"}}'] * 3)

        nursery.start_soon(serve)
        async with calling.connect():
            await wait_all_tasks_blocked()
    assert [name for _, name in calling.sink.told] == ["first", *[str(turn)] * 3]


async def test_a_slow_backend_stalls_no_other_call() -> None:
    slow, quick = Calling(lockstep=True), Calling()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slow.accepted)

        async def echo() -> None:
            backend = await quick.accepted()
            while True:
                message = await backend.next()
                assert isinstance(message, bytes)
                await backend.send(message)

        nursery.start_soon(echo)
        async with slow.connect() as slow_leg, quick.connect() as quick_leg:
            for number in range(20):
                slow_leg.audio(frame(number), 0)
                quick_leg.audio(frame(number), 0)
                slow_leg.flush()
                quick_leg.flush()
                await wait_all_tasks_blocked()
            assert len(quick.sink.named("audio")) == 20
            assert slow_leg.statistics.frames_dropped_to_backend == 14
            nursery.cancel_scope.cancel()


async def test_a_sink_may_answer_from_inside_its_call() -> None:
    calling = Calling()

    class Answering(RecordingSink):
        leg: Leg

        def mark(self, name: str) -> None:
            super().mark(name)
            self.leg.mark_played(name)

    sink = Answering()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            backend = await calling.accepted()
            await backend.send('{"type": "mark", "name": "a"}')
            assert await hear(backend, 1) == [{"type": "mark", "name": "a"}]
            nursery.cancel_scope.cancel()

        nursery.start_soon(serve)
        async with calling.connect(sink=sink) as sink.leg:
            await trio.sleep_forever()
    assert sink.told == [("mark", "a")]
