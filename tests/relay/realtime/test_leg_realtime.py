"""Calls over a WebSocket in memory, with a server that does what a test tells it: the conformance of the leg."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.relay import RealtimeOptions
from sottovoce.relay.link import BackendRoute, Dialer, WebSocketUpgrade
from sottovoce.relay.link.route import CLOSE_SECONDS
from sottovoce.relay.realtime import CODECS, MAX_MESSAGE_BYTES, RealtimeDialect, session_of
from sottovoce.transport import PeerClosed, TextMessage
from sottovoce.wire import frames
from tests.relay.backend import ADDRESS, Backend, Network
from tests.relay.calls import END, RecordingSink
from tests.relay.realtime.server import SPEECH, checked, created, delta, done, starting
from tests.relay.steps import cancelled_at_each_step

FRAME = bytes(range(240)) * 4
HEADERS = (("Authorization", "Bearer sk-of-a-test"), ("X-Team", "voice"))
Behaviour = Callable[["Server"], Awaitable[object]]


class Server:
    """The other end of a call."""

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
    def __init__(self, *, lockstep: bool = False, queue_frames: int = 50) -> None:
        self.network = Network(lockstep=lockstep)
        self.sink = RecordingSink()
        self.route = BackendRoute(
            "model",
            Dialer(
                ADDRESS,
                self.network.open_stream,
                attempts=1,
                timeout_seconds=2,
                begin=WebSocketUpgrade(max_message_bytes=MAX_MESSAGE_BYTES, headers=HEADERS),
            ),
            lambda start: RealtimeDialect(start, session_of(RealtimeOptions()), RealtimeOptions()),
            queue_frames=queue_frames,
            codecs=CODECS,
        )

    def connect(self) -> Any:
        return self.route.connect(starting(), self.sink)

    async def server(self) -> Server:
        backend = await self.network.backend()
        assert checked(await backend.accept())["type"] == "session.update"
        return Server(backend)


def frame(codec_bytes: bytes = FRAME) -> bytes:
    return frames.encode_audio(codec_bytes, 0, None)


async def call(behave: Behaviour, seconds: float = 5) -> list[tuple[object, ...]]:
    """Have a call with a server that behaves so; give what the sink was told."""
    calling = Calling()

    async def serve() -> None:
        await behave(await calling.server())

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
        server = await calling.server()
        await server.backend.send('{"type": "session.created", "session": {}}', created(), delta(FRAME * 2))
        heard.append(await server.until_closed())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            leg.audio(frame(), 0)
            leg.dtmf(10, 100)
            leg.audio(frame(b""), 2)
            leg.mute(muted=True)
            leg.json(b"{}")
            leg.flush()
            told = await calling.sink.hear(2)
            leg.stop(END)
    assert told == [("audio", FRAME, 0, None)] * 2
    ((texts, closed),) = heard
    assert [text["type"] for text in texts] == ["input_audio_buffer.append"] * 2
    assert closed == [PeerClosed(1000, "")]
    assert leg.statistics.frames_to_backend == 2


async def test_headers_go_with_the_request_and_nowhere_else(autojump_clock: MockClock) -> None:
    calling = Calling()
    requests: list[bytes] = []

    async def serve() -> None:
        backend = await calling.network.backend()
        await backend.accept()
        requests.append(calling.network.streams[0].writes[0])
        await backend.until_end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await trio.sleep(1)
            leg.stop(END)
    lines = requests[0].split(b"\r\n")
    assert b"Authorization: Bearer sk-of-a-test" in lines
    assert b"X-Team: voice" in lines
    assert b"sk-of-a-test" not in b"".join(calling.network.streams[0].writes[1:])
    assert "sk-of-a-test" not in repr(vars(calling.route)) + repr(leg.statistics)


async def test_an_answer_at_once_comes_at_the_speed_of_speech(autojump_clock: MockClock) -> None:
    async def speak(server: Server) -> None:
        await server.backend.send(created(), delta(FRAME * 100), done())
        await server.until_closed()

    assert len(await call(speak, 1.0)) == pytest.approx(20 + 50, abs=2)
    assert len(await call(speak, 3.0)) == 100


async def test_breaking_in_is_answered_at_once(autojump_clock: MockClock) -> None:
    answers: list[dict[str, Any]] = []

    async def interrupt(server: Server) -> None:
        await server.backend.send(created(), delta(FRAME * 500))
        await trio.sleep(1)
        await server.backend.send(SPEECH)
        answers.extend([await server.next(), await server.next()])
        assert trio.current_time() % 1 == pytest.approx(0, abs=0.001)
        await server.until_closed()

    told = await call(interrupt)
    assert told[-1] == ("clear",)
    assert len(told) == pytest.approx(71, abs=3)
    assert [answer["type"] for answer in answers] == ["response.cancel", "conversation.item.truncate"]
    assert answers[1]["audio_end_ms"] == pytest.approx(1_000, abs=20)


@pytest.mark.parametrize("code", [1000, 1001])
async def test_closing_the_websocket_hangs_up(autojump_clock: MockClock, code: int) -> None:
    async def leave(server: Server) -> None:
        await server.backend.send(delta(FRAME))
        await server.backend.close(code)
        await server.until_closed()

    assert await call(leave) == [("audio", FRAME, 0, None), ("hung_up", f"closed the WebSocket, code {code}")]


@pytest.mark.parametrize("code", [1008, 1011, 3000])
async def test_a_server_that_failed_is_down(autojump_clock: MockClock, code: int) -> None:
    async def fail(server: Server) -> None:
        await server.backend.close(code)
        await server.until_closed()

    assert await call(fail) == [("backend_closed", f"closed: without a stop, code {code}")]


async def test_a_connection_that_breaks_is_down(autojump_clock: MockClock) -> None:
    async def vanish(server: Server) -> None:
        await server.backend.stream.aclose()

    ((what, reason),) = await call(vanish)
    assert what == "backend_closed"
    assert str(reason).startswith("lost: ")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("garbage\n\x1b[2J", "bad_text: "),
        (b"\0" * 960, "bad_audio: "),
        ('{"type": "response.audio.delta"}', "bad_text: "),
        ('{"type": "response.audio.delta", "delta": "*"}', "bad_audio: "),
        ("x" * (MAX_MESSAGE_BYTES + 1), "bad_framing: "),
        (
            json.dumps({"type": "error", "error": {"event_id": "sottovoce_session", "code": "c", "type": "t"}}),
            "failed: it refused the session: t, c",
        ),
    ],
)
async def test_a_message_at_fault_ends_the_call(autojump_clock: MockClock, message: str | bytes, reason: str) -> None:
    async def misbehave(server: Server) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await server.backend.send(message, delta(FRAME))
            await server.until_closed()

    ((what, why),) = await call(misbehave)
    assert what == "backend_closed"
    assert str(why).startswith(reason)


async def test_too_much_is_dropped_or_a_flood_and_costs_its_own_call_alone(autojump_clock: MockClock) -> None:
    async def rave(server: Server) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            for _ in range(100):
                await server.backend.send(delta(FRAME * 50))
            await server.backend.send(*['{"type": "response.output_text.delta", "delta": "a"}'] * 5_100)
            await server.until_closed()

    told = await call(rave)
    assert told[-1][0] == "backend_closed"
    assert str(told[-1][1]).startswith("flood: ")


async def test_a_server_that_says_nothing_and_does_not_close(autojump_clock: MockClock) -> None:
    calling = Calling()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.server)
        async with calling.connect() as leg:
            await trio.sleep(1)
            before = trio.current_time()
            leg.stop(END)
        assert trio.current_time() - before == pytest.approx(CLOSE_SECONDS)
    assert calling.sink.told == []
    assert calling.network.open_streams == 0


async def test_a_server_that_does_not_read_loses_the_oldest_audio() -> None:
    calling = Calling(lockstep=True, queue_frames=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.server)
        async with calling.connect() as leg:
            await wait_all_tasks_blocked()
            leg.audio(frame(), 0)
            leg.flush()
            await wait_all_tasks_blocked()
            for _ in range(8):
                leg.audio(frame(), 0)
            assert leg.statistics.frames_dropped_to_backend == 5
    assert calling.network.open_streams == 0


async def test_what_comes_too_late_is_not_heard(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        server = await calling.server()
        await trio.sleep(1.5)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await server.backend.send(delta(FRAME), SPEECH, "garbage")
            await server.until_closed()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            await trio.sleep(1)
            leg.stop(END)
    assert calling.sink.told == []


async def test_a_call_that_is_cancelled_leaves_nothing(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        while True:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                server = await calling.server()
                await server.backend.send(created(), delta(FRAME * 300))
                await server.until_closed()

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
