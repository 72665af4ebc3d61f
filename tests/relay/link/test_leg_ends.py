"""The ways a leg ends: who is told what, once, and what the backend sees."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.relay import Leg
from sottovoce.relay.link.leg import MAX_REPLY_BYTES, BackendLeg
from sottovoce.transport import PeerClosed, TextMessage
from sottovoce.wire import frames
from tests.relay.backend import Backend, Calling
from tests.relay.calls import DATA_START, END, RecordingSink

Behaviour = Callable[[Backend], Awaitable[object]]
MARK = '{"type": "mark", "name": "x"}'
STOP = '{"type": "stop", "reason": "done"}'
LATE = (MARK, b"\xff", '{"type": "stop"}')


async def call(behave: Behaviour, calling: Calling | None = None, *, stop: bool = True) -> list[tuple[object, ...]]:
    """Have a call with a backend that behaves so once it has read `start`; give what the sink was told."""
    calling = calling or Calling()

    async def serve() -> None:
        backend = await calling.accepted()
        await behave(backend)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await trio.sleep(5)
            if stop:
                leg.stop(END)
    assert calling.network.open_streams == 0
    return calling.sink.told


def fault(told: list[tuple[object, ...]]) -> str:
    """The one thing that was told, which is that the backend is down."""
    ((what, reason),) = told
    assert what == "backend_closed"
    assert "\n" not in str(reason)
    return str(reason)


async def test_a_close_without_stop(autojump_clock: MockClock) -> None:
    heard = []

    async def close(backend: Backend) -> None:
        await backend.close(1001)
        heard.extend(await backend.until_end())

    assert fault(await call(close)) == "closed: without a stop, code 1001"
    assert heard == [PeerClosed(1001, "")]  # answered, and no stop: nothing can be sent any more


async def test_a_connection_that_ends(autojump_clock: MockClock) -> None:
    async def vanish(backend: Backend) -> None:
        await backend.stream.aclose()

    assert fault(await call(vanish)).startswith("lost: ")


async def break_writing(calling: Calling, leg: Leg) -> None:
    """Let the next write fail, and cause one."""
    await wait_all_tasks_blocked()
    calling.network.streams[0].broken = True
    leg.dtmf(1, 1)
    leg.flush()


async def test_a_write_that_fails(autojump_clock: MockClock) -> None:
    calling = Calling()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.accepted)
        async with calling.connect() as leg:
            await break_writing(calling, leg)
            await trio.sleep(0.5)
            assert calling.sink.told == []  # it may have said something before it went
            await trio.sleep(1)
            assert fault(calling.sink.told) == "lost: broken pipe"


async def test_a_stop_that_waits_to_be_read_counts_when_a_write_fails(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        backend = await calling.accepted()
        await trio.sleep(0.5)
        await backend.send(STOP)
        await backend.stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await break_writing(calling, leg)
            await trio.sleep(5)
    assert calling.sink.told == [("hung_up", "done")]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"type": "makr"}', "bad_text: "),
        ("not json\n\x1b[2J", "bad_text: "),
        (bytes(161), "bad_audio: 161 bytes"),
    ],
)
async def test_a_message_at_fault_ends_the_call_with_1008(
    autojump_clock: MockClock, message: str | bytes, reason: str
) -> None:
    heard = []

    async def misbehave(backend: Backend) -> None:
        await backend.send(message, *LATE)
        heard.extend(await backend.until_end())

    assert fault(await call(misbehave)).startswith(reason)
    assert heard == [PeerClosed(1008, "")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02\xc3\x28", 1007),  # a text that is not UTF-8
        (b"\x82\x7e\x40\x01" + bytes(16_385), 1009),
        (b"\x02\x7e\x20\x01" + bytes(8193) + b"\x80\x7e\x20\x00" + bytes(8192), 1009),
        (b"\x82\x82\0\0\0\0hi", 1002),  # masked by a server
        (b"\xf2\x00", 1002),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 25\r\n\r\nA page, and no WebSocket.",
            1002,
        ),
    ],
)
async def test_bytes_that_are_not_websocket(autojump_clock: MockClock, data: bytes, code: int) -> None:
    heard = []

    async def misbehave(backend: Backend) -> None:
        await backend.stream.send_all(data)
        heard.extend(await backend.until_end())

    assert fault(await call(misbehave)).startswith("bad_framing: ")
    assert heard == [PeerClosed(code, heard[0].reason)]


async def test_a_message_of_16384_bytes_is_taken_in_fragments_too(autojump_clock: MockClock) -> None:
    text = '{"type": "json", "value": {}, "x": "%s"}'
    text %= "x" * (16_384 - len(text) + 2)
    first, rest = text[:300].encode(), text[300:].encode()

    async def send(backend: Backend) -> None:
        await backend.send(text)
        await backend.stream.send_all(b"\x01\x7e" + len(first).to_bytes(2) + first)
        await backend.stream.send_all(b"\x89\x00\x80\x7e" + len(rest).to_bytes(2) + rest)

    assert await call(send) == [("json", b"{}")] * 2


async def test_more_controls_than_the_protocol_lets_through_are_a_flood(autojump_clock: MockClock) -> None:
    async def flood(backend: Backend) -> None:
        await backend.send(*[MARK] * 250)
        await trio.sleep(1)
        await backend.send(*[MARK] * 50)
        await trio.sleep(1)
        await backend.send(*[MARK] * 51, *LATE)

    told = await call(flood)
    assert told[:-1] == [("mark", "x")] * 350
    assert fault(told[-1:]).startswith("flood: ")


async def test_more_data_than_a_call_may_carry_is_a_flood(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def flood() -> None:
        backend = await calling.accepted()
        for _ in range(61):
            await backend.send(*[b""] * 1000)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        async with calling.connect(DATA_START):
            await trio.sleep(0.5)
    assert len(calling.sink.named("data")) == 60_000
    assert fault(calling.sink.named("backend_closed")).startswith("flood: ")


async def test_pings_whose_answers_are_not_read_are_a_flood_and_fill_no_memory(autojump_clock: MockClock) -> None:
    calling = Calling(lockstep=True)
    pings = b"\x89\x7d" + bytes(125)

    async def flood() -> None:
        backend = await calling.accepted()
        with suppress(trio.BrokenResourceError):
            for _ in range(10_000):
                await backend.stream.send_all(pings)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        async with calling.connect() as leg:
            await trio.sleep(1)
            assert isinstance(leg, BackendLeg)
            assert len(leg._replies) < MAX_REPLY_BYTES + 4096
        nursery.cancel_scope.cancel()
    assert fault(calling.sink.told).startswith("flood: ")


async def test_a_backend_hangs_up_and_is_told_how_the_call_ended(autojump_clock: MockClock) -> None:
    heard = []

    async def hang_up(backend: Backend) -> None:
        await backend.send(MARK, STOP, *LATE)
        heard.extend(await backend.until_end())

    assert await call(hang_up) == [("mark", "x"), ("hung_up", "done")]
    stop, close = heard
    assert json.loads(stop.text)["code"] == 1000
    assert close == PeerClosed(1000, "")


async def test_a_backend_that_hung_up_may_close_or_break_or_rave_and_nothing_follows(autojump_clock: MockClock) -> None:
    async def close(backend: Backend) -> None:
        await backend.send(STOP)
        await backend.close()
        await backend.until_end()

    async def vanish(backend: Backend) -> None:
        await backend.send(STOP)
        await backend.stream.aclose()

    async def rave(backend: Backend) -> None:
        await backend.send(STOP, "no json")
        await backend.stream.send_all(b"\xff" * 100)
        await backend.until_end()

    for behave in (close, vanish, rave):
        assert await call(behave) == [("hung_up", "done")]


async def test_what_was_queued_before_a_hang_up_still_leaves(autojump_clock: MockClock) -> None:
    calling = Calling()
    heard = []

    class Talkative(RecordingSink):
        def hung_up(self, reason: str) -> None:
            super().hung_up(reason)
            leg.dtmf(7, 1)
            leg.stop(END)

    async def serve() -> None:
        backend = await calling.accepted()
        await backend.send(STOP)
        heard.extend(await backend.until_end())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect(sink=Talkative()) as leg:
            await trio.sleep(1)
    assert [type(each) for each in heard] == [TextMessage, TextMessage, PeerClosed]
    assert [json.loads(each.text)["type"] for each in heard[:2]] == ["dtmf", "stop"]


@pytest.mark.parametrize("turn", range(8))
async def test_a_close_right_behind_the_upgrade_ends_the_call_as_any_other(
    autojump_clock: MockClock, turn: int
) -> None:
    calling = Calling()

    async def serve() -> None:
        backend = await calling.network.backend()
        await backend.asked()
        backend.websocket.accept(None)
        await backend.close(1013 if turn % 2 else 1000)
        await backend.until_end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            leg.dtmf(1, 1)
            await trio.sleep(1)
    assert fault(calling.sink.told).startswith("closed: ")


async def test_after_stop_the_sink_hears_nothing(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        backend = await calling.accepted()
        backend.put(*LATE)
        await trio.sleep(2)
        await backend.flush()
        await backend.stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await trio.sleep(1)
            leg.stop(END)
            leg.stop(END)
            leg.audio(frames.encode_audio(b"\xff", 0, None), 0)
            await trio.sleep(2)
    assert calling.sink.told == []


async def test_stop_tells_what_was_dropped(autojump_clock: MockClock) -> None:
    calling = Calling(lockstep=True, queue_frames=2)
    heard: list[object] = []

    async def serve() -> None:
        backend = await calling.accepted()
        await trio.sleep(1)
        heard.extend(await backend.until_end())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            for number in range(10):
                leg.audio(frames.encode_audio(number.to_bytes(2), 0, None), 0)
                leg.flush()
                await wait_all_tasks_blocked()
            leg.stop(END)
            await trio.sleep(2)
    *audio, stop, close = heard
    assert audio == [b"\0\0", b"\0\x08", b"\0\x09"]
    assert isinstance(stop, TextMessage)
    assert json.loads(stop.text)["statistics"]["frames_dropped_to_backend"] == 7
    assert close == PeerClosed(1000, "")
