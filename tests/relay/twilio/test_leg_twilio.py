"""Calls over a WebSocket in memory, with a bot that does what a test tells it."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sottovoce.relay import CallStart, TwilioOptions
from sottovoce.relay.link import BackendRoute, Dialer, WebSocketUpgrade
from sottovoce.relay.twilio import CODECS, MAX_MESSAGE_BYTES, TwilioDialect
from sottovoce.transport import PeerClosed, TextMessage
from sottovoce.wire import frames
from tests.relay.backend import ADDRESS, Backend, Network
from tests.relay.calls import END, START, RecordingSink
from tests.relay.steps import cancelled_at_each_step
from tests.relay.twilio.stream import checked, from_bot, mark, media, payload_of

CHUNK = bytes(range(160))
Behaviour = Callable[["Bot"], Awaitable[object]]


class Bot:
    """The other end of a call, which reads what Twilio sends."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    async def next(self) -> dict[str, Any]:
        event = await self.backend.next()
        assert isinstance(event, TextMessage)
        return checked(event.text)

    async def until_closed(self) -> tuple[list[dict[str, Any]], list[PeerClosed]]:
        heard = await self.backend.until_end()
        texts = [checked(event.text) for event in heard if isinstance(event, TextMessage)]
        return texts, [event for event in heard if isinstance(event, PeerClosed)]


class Calling:
    def __init__(self, *, queue_frames: int = 50) -> None:
        self.network = Network()
        self.sink = RecordingSink()
        self.route = BackendRoute(
            "support",
            Dialer(
                ADDRESS,
                self.network.open_stream,
                attempts=1,
                timeout_seconds=2,
                begin=WebSocketUpgrade(max_message_bytes=MAX_MESSAGE_BYTES),
            ),
            lambda start: TwilioDialect(start, TwilioOptions()),
            queue_frames=queue_frames,
            codecs=CODECS,
        )

    def connect(self, start: CallStart = START) -> Any:
        return self.route.connect(start, self.sink)

    async def bot(self) -> Bot:
        backend = await self.network.backend()
        connected = await backend.accept()
        assert checked(connected)["event"] == "connected"
        bot = Bot(backend)
        assert (await bot.next())["event"] == "start"
        return bot


def frame(codec_bytes: bytes = CHUNK) -> bytes:
    return frames.encode_audio(codec_bytes, 0, None)


async def call(behave: Behaviour, seconds: float = 5) -> list[tuple[object, ...]]:
    """Have a call with a bot that behaves so; give what the sink was told."""
    calling = Calling()

    async def serve() -> None:
        await behave(await calling.bot())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await trio.sleep(seconds)
            leg.stop(END)
    assert calling.network.open_streams == 0
    return calling.sink.told


async def test_a_call_from_start_to_stop(autojump_clock: MockClock) -> None:
    calling = Calling()
    heard = []

    async def serve() -> None:
        bot = await calling.bot()
        await bot.backend.send(media(CHUNK + CHUNK[:80]), mark("said"))
        heard.append(await bot.until_closed())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            leg.audio(frame(), 0)
            leg.dtmf(10, 100)
            leg.audio(frame(b""), 2)
            leg.mute(muted=True)
            leg.json(b"{}")
            told = await calling.sink.hear(3)
            leg.mark_played("1:said")
            leg.stop(END)
    assert told == [("audio", CHUNK, 0, None), ("audio", CHUNK[:80], 0, None), ("mark", "1:said")]
    ((texts, closed),) = heard
    assert [text["event"] for text in texts] == ["media", "dtmf", "media", "mark", "stop"]
    assert [text["sequenceNumber"] for text in texts] == ["2", "3", "4", "5", "6"]
    assert payload_of(texts[0]) == CHUNK
    assert payload_of(texts[2]) == b"\xff" * 160
    assert texts[2]["media"]["timestamp"] == "60"
    assert closed == [PeerClosed(1000, "")]


async def test_a_long_utterance_comes_at_the_speed_of_speech(autojump_clock: MockClock) -> None:
    times: list[float] = []

    async def speak(bot: Bot) -> None:
        await bot.backend.send(media(CHUNK * 100), mark("end"))
        times.append(trio.current_time())

    told = await call(speak, 1.0)
    assert len(told) == pytest.approx(20 + 50, abs=2)
    told = await call(speak, 3.0)
    assert [what for what, *_ in told] == ["audio"] * 100 + ["mark"]


async def test_clear_is_answered_at_once_and_the_rest_is_not_said(autojump_clock: MockClock) -> None:
    marks = []

    async def interrupt(bot: Bot) -> None:
        await bot.backend.send(media(CHUNK * 500), mark("end"))
        await trio.sleep(1)
        await bot.backend.send(from_bot("clear"))
        marks.append((await bot.next())["mark"]["name"])
        marks.append(trio.current_time() % 1)
        await bot.until_closed()

    told = await call(interrupt)
    assert marks[0] == "end"
    assert told[-1] == ("clear",)
    assert len(told) == pytest.approx(70, abs=3)


@pytest.mark.parametrize("code", [1000, 1001])
async def test_closing_the_websocket_hangs_up(autojump_clock: MockClock, code: int) -> None:
    heard = []

    async def leave(bot: Bot) -> None:
        await bot.backend.send(media(CHUNK))
        await bot.backend.close(code)
        heard.append(await bot.until_closed())

    told = await call(leave)
    assert told == [("audio", CHUNK, 0, None), ("hung_up", f"closed the WebSocket, code {code}")]
    assert heard == [([], [PeerClosed(code, "")])]


async def test_a_bot_that_failed_is_down(autojump_clock: MockClock) -> None:
    async def fail(bot: Bot) -> None:
        await bot.backend.close(1011)
        await bot.until_closed()

    assert await call(fail) == [("backend_closed", "closed: without a stop, code 1011")]


async def test_a_connection_that_breaks_is_down(autojump_clock: MockClock) -> None:
    async def vanish(bot: Bot) -> None:
        await bot.backend.stream.aclose()

    ((what, reason),) = await call(vanish)
    assert what == "backend_closed"
    assert str(reason).startswith("lost: ")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("garbage\n\x1b[2J", "bad_text: "),
        (b"\xff" * 160, "bad_audio: "),
        (json.dumps({"event": "media", "media": {"payload": "/w=="}}), "bad_text: "),
        (from_bot("media", media={"payload": "////"}).replace("////", "*"), "bad_audio: "),
    ],
)
async def test_a_message_at_fault_ends_the_call_with_1008(
    autojump_clock: MockClock, message: str | bytes, reason: str
) -> None:
    heard = []

    async def misbehave(bot: Bot) -> None:
        await bot.backend.send(message, media(CHUNK))
        heard.extend((await bot.until_closed())[1])

    ((what, why),) = await call(misbehave)
    assert what == "backend_closed"
    assert str(why).startswith(reason)
    assert heard == [PeerClosed(1008, "")]


async def test_a_fault_that_shows_only_later_ends_the_call_too(autojump_clock: MockClock) -> None:
    """Here: controls that the client cannot be told any faster."""

    async def flood(bot: Bot) -> None:
        for _ in range(300):
            await bot.backend.send(from_bot("clear"))
        await bot.until_closed()

    told = await call(flood)
    assert told[-1][0] == "backend_closed"
    assert str(told[-1][1]).startswith("flood: ")


async def test_a_call_that_is_cancelled_leaves_nothing(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        while True:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                bot = await calling.bot()
                await bot.backend.send(media(CHUNK * 500))
                await bot.until_closed()

    async def have_a_call() -> None:
        async with calling.connect() as leg:
            leg.audio(frame(), 0)
            await calling.sink.hear(len(calling.sink.told) + 1)
            await trio.sleep(0.1)
            leg.stop(END)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async for _ in cancelled_at_each_step(have_a_call):
            assert calling.network.open_streams == 0
        nursery.cancel_scope.cancel()


async def test_what_came_with_the_answer_to_the_upgrade_is_played_to_its_end(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        backend = await calling.network.backend()
        await backend.asked()
        backend.websocket.accept(None)
        backend.put(media(CHUNK + CHUNK[:80]), mark("first"), mark("second"))
        await backend.flush()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect():
            await trio.sleep(5)
    assert len(calling.sink.named("audio")) == 2
    assert len(calling.sink.named("mark")) == 2
