"""Calls over an AudioSocket in memory, with a server that does what a test tells it: the conformance of the leg."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.relay import AudioSocketOptions, CallStart
from sottovoce.relay.audiosocket import AudioSocketDialect, codecs_of, open_audiosocket
from sottovoce.relay.link import TCP, BackendRoute, Dialer, parse_url
from sottovoce.relay.link.outbound import MAX_CONTROLS
from sottovoce.relay.link.route import CLOSE_SECONDS
from sottovoce.wire import frames
from tests.relay.audiosocket.socket import audio, sound_of, split, starting
from tests.relay.backend import Network
from tests.relay.calls import END, RecordingSink
from tests.relay.steps import cancelled_at_each_step

FRAME = bytes(range(160)) * 2
Behaviour = Callable[["Server"], Awaitable[object]]


class Server:
    """The other end of a call, which reads what Asterisk sends."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._unread = b""

    async def next(self) -> dict[str, Any]:
        """Give the next message.  Raises BrokenResourceError when the proxy has closed the connection."""
        while len(self._unread) < 3 or len(self._unread) < (size := 3 + int.from_bytes(self._unread[1:3])):
            data = await self.stream.receive_some(65_536)
            if not data:
                raise trio.BrokenResourceError("the proxy closed the connection")
            self._unread += data
        whole, self._unread = self._unread[:size], self._unread[size:]
        (message,) = split(whole)
        return message

    async def until_end(self) -> list[dict[str, Any]]:
        """Read to the end of the connection, or to a hang-up, and close; give all that was heard."""
        heard: list[dict[str, Any]] = []
        with suppress(trio.BrokenResourceError):
            while not heard or heard[-1]["type"] != 0:
                heard.append(await self.next())
        await self.stream.aclose()
        return heard

    async def send(self, *messages: bytes) -> None:
        await self.stream.send_all(b"".join(messages))


class Calling:
    def __init__(self, *, lockstep: bool = False, queue_frames: int = 50) -> None:
        self.network = Network(lockstep=lockstep)
        self.sink = RecordingSink()
        self.route = BackendRoute(
            "pbx",
            Dialer(
                parse_url("tcp://pbx.example:9092", TCP),
                self.network.open_stream,
                attempts=1,
                timeout_seconds=2,
                begin=open_audiosocket,
            ),
            AudioSocketDialect,
            queue_frames=queue_frames,
            codecs=codecs_of(AudioSocketOptions()),
        )

    def connect(self, start: CallStart | None = None) -> Any:
        return self.route.connect(start or starting(), self.sink)

    async def server(self) -> Server:
        server = Server((await self.network.backend()).stream)
        assert (await server.next())["type"] == 1
        return server


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
    heard: list[dict[str, Any]] = []

    async def serve() -> None:
        server = await calling.server()
        await server.send(audio(FRAME + FRAME[:80]), b"\x03\0\1#")
        heard.extend(await server.until_end())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect() as leg:
            leg.audio(frame(), 0)
            leg.dtmf(10, 100)
            leg.audio(frame(b""), 2)
            leg.mute(muted=True)
            leg.json(b"{}")
            leg.audio(frame(FRAME[:100]), 0)
            leg.flush()
            told = await calling.sink.hear(3)
            before = trio.current_time()
            leg.stop(END)
        assert trio.current_time() == before, "the server has closed: nothing to wait for"
    assert told == [("audio", FRAME, 0, None), ("dtmf", 11, 100), ("audio", FRAME[:80], 0, None)]
    assert [message["type"] for message in heard] == [0x10, 3, 0x10, 0x10, 0]
    assert sound_of(heard) == FRAME + bytes(320) + FRAME[:100] + bytes(220)
    assert leg.statistics.frames_to_backend == 3
    assert leg.statistics.frames_from_backend == 2


async def test_a_whole_sentence_at_once_comes_at_the_speed_of_speech(autojump_clock: MockClock) -> None:
    async def speak(server: Server) -> None:
        await server.send(audio(FRAME * 100))
        await server.until_end()

    assert len(await call(speak, 1.0)) == pytest.approx(20 + 50, abs=2)
    assert len(await call(speak, 3.0)) == 100


async def test_frames_in_real_time_are_not_held_up(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def speak(server: Server) -> None:
        for number in range(50):
            await server.send(audio(FRAME))
            await wait_all_tasks_blocked()
            assert len(calling.sink.told) == number + 1
            await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await speak(await calling.server())
            nursery.cancel_scope.cancel()

        nursery.start_soon(serve)
        async with calling.connect():
            await trio.sleep_forever()


@pytest.mark.parametrize(("end", "reason"), [(b"\0\0\0", "hung up"), (b"", "closed the connection")])
async def test_a_server_hangs_up(autojump_clock: MockClock, end: bytes, reason: str) -> None:
    async def leave(server: Server) -> None:
        await server.send(audio(FRAME), end, audio(FRAME) if end else b"")
        if end:
            with pytest.raises(trio.BrokenResourceError):
                await server.next()  # nothing is answered
        else:
            await server.stream.aclose()

    assert await call(leave) == [("audio", FRAME, 0, None), ("hung_up", reason)]


class Waiting(RecordingSink):
    """Has what it was told wait for a flush, as the edge does."""

    passed_on = 0

    def flush(self) -> None:
        self.passed_on = len(self.told)


async def test_a_hang_up_without_a_message_does_not_wait_for_somebody_to_speak(autojump_clock: MockClock) -> None:
    calling = Calling()
    calling.sink = sink = Waiting()

    async def serve() -> None:
        await (await calling.server()).stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with calling.connect():
            await trio.sleep(5)
    assert sink.told == [("hung_up", "closed the connection")]
    assert sink.passed_on == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x10\0\3abc", "bad_audio: 3 bytes"),
        (b"\x12\0\2ab", "bad_audio: audio of type 0x12; this call's is 0x10"),
        (b"\x03\0\1x", "bad_text: a key"),
        (b"\xff\0\1\4", "failed: it sent an error, code 04"),
        (b"\xff\0\0", "failed: it sent an error, code none"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 1000, "bad_framing: a message of type 0x48"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "bad_framing: a message of type 0x48"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "bad_framing: a message of type 0x53"),
        (b"\x10\0\0" * 300, "flood: "),
    ],
)
async def test_a_message_at_fault_ends_the_call_with_an_error(
    autojump_clock: MockClock, data: bytes, reason: str
) -> None:
    heard: list[dict[str, Any]] = []

    async def misbehave(server: Server) -> None:
        await server.send(data, audio(FRAME))
        heard.extend(await server.until_end())

    ((what, why),) = await call(misbehave)
    assert what == "backend_closed"
    assert str(why).startswith(reason)
    assert [(message["type"], message["payload"]) for message in heard] == [(255, "02"), (0, "")]


async def test_an_end_in_the_midst_of_a_message_is_a_fault(autojump_clock: MockClock) -> None:
    async def vanish(server: Server) -> None:
        await server.send(b"\x10\1\x40half")
        await server.stream.aclose()

    assert await call(vanish) == [("backend_closed", "lost: the connection ended in the midst of a message")]


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


async def test_a_server_that_does_not_read_loses_the_oldest_audio_and_is_down_in_the_end() -> None:
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
            for _ in range(MAX_CONTROLS + 1):
                leg.dtmf(1, 1)
            ((what, reason),) = calling.sink.told
            assert (what, str(reason)[:7]) == ("backend_closed", "stuck: ")
    assert calling.network.open_streams == 0


async def test_what_comes_too_late_is_not_heard(autojump_clock: MockClock) -> None:
    calling = Calling()

    async def serve() -> None:
        server = await calling.server()
        heard = await server.next()
        assert heard["type"] == 0
        await server.send(audio(FRAME), b"\x03\0\x011", b"\xff\0\0")
        await server.stream.aclose()

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
                await server.send(audio(FRAME * 200))
                await server.until_end()

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
