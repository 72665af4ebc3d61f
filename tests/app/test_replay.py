from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sottovoce.app.replay import TAIL_SECONDS, Replay, replay, replay_over
from sottovoce.app.wav import Recording
from sottovoce.client import Audio, BackendDown, CallTruncated, Draining, Ended, Item, Mark, Statistics
from tests.client.servers import Box, PureServer
from tests.client.trio.lines import Line, a_line

NORMAL = Ended(1000, "", truncated=False, local=True)


class FakeCall:
    """A call that echoes after `delay` seconds, and loses the frames of these numbers."""

    def __init__(self, *, delay: float = 0.0, lost: frozenset[int] = frozenset(), stall: float = 0.0) -> None:
        self.delay = delay
        self.lost = lost
        self.stall = stall
        self.sent: list[bytes] = []
        self.fails_at = -1
        self.closed_at: float | None = None
        self.statistics = Statistics(epochs=1)
        self._put, self._items = trio.open_memory_channel[tuple[float, Item]](1000)

    async def send(self, frame: bytes) -> None:
        if len(self.sent) == self.fails_at:
            self._put.close()
            raise RuntimeError("gone")
        await trio.sleep(self.stall)
        number = len(self.sent)
        self.sent.append(frame)
        if number not in self.lost:
            self._put.send_nowait((trio.current_time() + self.delay, Audio(frame)))
            self._put.send_nowait((trio.current_time() + self.delay, Mark("a")))

    async def close(self) -> None:
        self.closed_at = trio.current_time()
        self._put.send_nowait((self.closed_at, NORMAL))
        self._put.close()

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for due, item in self._items:
            await trio.sleep_until(due)
            yield item
        if self.fails_at >= 0:
            raise RuntimeError("gone")


RECORDING = Recording(bytes(range(250)) * 64, 16_000)  # 25 frames


async def replayed(call: FakeCall, **how: object) -> Replay:
    return await replay(call, RECORDING, **how)  # type: ignore[arg-type]


async def test_every_frame_is_sent_when_it_is_due_and_what_comes_back_is_kept(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    call = FakeCall(delay=0.005)
    done = await replayed(call)
    assert b"".join(call.sent) == RECORDING.samples
    assert done.returned == RECORDING
    assert (done.frames_sent, done.frames_returned, done.frames_lost) == (25, 25, 0)
    assert done.ended == NORMAL
    assert done.late_ms == pytest.approx(0, abs=0.01)
    assert call.closed_at == pytest.approx(start + 24 * 0.020 + 0.005, abs=0.001)
    assert [done.latency_ms(share) for share in (0.5, 1)] == pytest.approx([5, 5])


async def test_a_sender_that_falls_behind_cannot_hide_a_delay(autojump_clock: MockClock) -> None:
    """Each send takes two frames' time: the last is 24 frames late, and its latency is counted from when it was due."""
    done = await replayed(FakeCall(stall=0.040))
    assert done.late_ms == pytest.approx(480)
    assert done.latency_ms(1) == pytest.approx(480 + 40)
    assert done.latency_ms(0.04) == pytest.approx(40)


async def test_what_does_not_come_back_is_waited_for_and_counted(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    call = FakeCall(lost=frozenset({3, 20}))
    done = await replayed(call)
    assert (done.frames_sent, done.frames_returned, done.frames_lost) == (25, 23, 2)
    assert call.closed_at == pytest.approx(start + 24 * 0.020 + TAIL_SECONDS)


async def test_without_an_echo_nothing_is_missed_and_nothing_is_waited_for(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    call = FakeCall(lost=frozenset(range(25)))
    done = await replayed(call, echo=False)
    assert (done.frames_returned, done.frames_lost) == (0, 0)
    assert done.latency_ms(0.5) is None
    assert call.closed_at == pytest.approx(start + 24 * 0.020)


async def test_what_was_dropped_here_counts_as_lost(autojump_clock: MockClock) -> None:
    call = FakeCall()
    call.statistics = Statistics(frames_dropped=4)
    assert (await replayed(call)).frames_lost == 4


async def test_progress_is_told_now_and_then_and_at_the_end(autojump_clock: MockClock) -> None:
    told: list[tuple[int, int, int]] = []
    await replayed(FakeCall(), progress=lambda *figures: told.append(figures))
    assert [sent for sent, _, _ in told] == [1, 6, 11, 16, 21, 25]
    assert {frames for _, _, frames in told} == {25}


async def test_one_fault_is_raised_once_though_both_tasks_hear_of_it(autojump_clock: MockClock) -> None:
    call = FakeCall()
    call.fails_at = 5
    with pytest.raises(RuntimeError, match="gone"):
        await replayed(call)


# --- over several calls ---------------------------------------------------------------------------------------------

_FRAMES = 25


def _echo() -> PureServer:
    return PureServer(echo=True)


async def _over(line: Line, meddle: Callable[[Line], Any], after_seconds: float, **how: Any) -> Replay:
    """Replay along a line, and have something happen to the first call."""
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(after_seconds)
            await meddle(line)

        nursery.start_soon(later)
        done = await replay_over(line.calls(), RECORDING, **how)
        nursery.cancel_scope.cancel()
    return done


async def _drain(line: Line) -> None:
    line.servers[0].pure.end(4460)
    await line.servers[0].write()


async def _break(line: Line) -> None:
    await trio.aclose_forcefully(line.servers[0].stream)


async def test_without_a_mishap_it_is_one_call(autojump_clock: MockClock) -> None:
    async with a_line(_echo) as line:
        done = await replay_over(line.calls(), RECORDING)
    assert (done.frames_sent, done.frames_returned, done.frames_lost) == (_FRAMES, _FRAMES, 0)
    assert (done.lost_calls, done.resumptions) == ((), 0)


@pytest.mark.parametrize(("meddle", "kind"), [(_drain, Draining), (_break, CallTruncated)])
async def test_the_recording_goes_on_with_the_next_frame(
    autojump_clock: MockClock, meddle: Callable[[Line], Any], kind: type[Exception]
) -> None:
    box = Box()
    async with a_line(lambda: PureServer(echo=True, tickets=box)) as line:
        done = await _over(line, meddle, 0.21)
        sent = [payload[1:] for server in line.servers for payload in server.pure.audio]
    assert b"".join(sent) == RECORDING.samples
    assert len(line.servers[0].pure.audio) == 11
    assert (done.frames_sent, done.frames_returned, done.frames_lost) == (_FRAMES, _FRAMES, 0)
    assert done.returned == RECORDING
    assert len(done.lost_calls) == 1
    assert ("draining" in done.lost_calls[0]) is (kind is Draining)
    assert done.resumptions == 1
    assert done.statistics.is_resumed
    assert done.statistics.epochs == 2
    assert done.ended == Ended(1000, "closed by this side", truncated=False, local=True)
    assert max(done.latencies_ms) < 5, "the wait for the next call is no latency: its frames are due later"


async def test_what_was_on_the_way_when_a_call_was_lost_is_lost(autojump_clock: MockClock) -> None:
    async with a_line(PureServer, _echo) as line:  # the first one is mute
        done = await _over(line, _break, 0.21)
    assert (done.frames_sent, done.frames_returned, done.frames_lost) == (_FRAMES, _FRAMES - 11, 11)


async def test_a_call_that_is_lost_when_all_is_said_is_ended_by_the_next(autojump_clock: MockClock) -> None:
    async with a_line(PureServer, _echo) as line:
        started = trio.current_time()
        done = await _over(line, _break, 1.0)
        assert trio.current_time() - started < TAIL_SECONDS
    assert (done.frames_sent, done.frames_returned, done.frames_lost) == (_FRAMES, 0, _FRAMES)
    assert done.ended is not None
    assert done.ended.code == 1000


async def test_an_end_after_which_no_call_comes_is_raised(autojump_clock: MockClock) -> None:
    async def down(line: Line) -> None:
        line.servers[0].pure.end(4450)
        await line.servers[0].write()

    async with a_line(_echo) as line:
        with pytest.RaisesGroup(BackendDown):
            await _over(line, down, 0.1)


async def test_a_backend_that_says_nothing_is_told_apart(autojump_clock: MockClock) -> None:
    silent = FakeCall(lost=frozenset(range(1000)))
    assert (await replayed(silent)).silent_seconds == pytest.approx(25 * 0.020 + TAIL_SECONDS)
    assert (await replayed(FakeCall())).silent_seconds is None


async def test_where_nothing_need_come_back_only_a_long_silence_counts(autojump_clock: MockClock) -> None:
    silent = FakeCall(lost=frozenset(range(1000)))
    assert (await replayed(silent, echo=False)).silent_seconds is None
    long = Recording(RECORDING.samples * 11, RECORDING.rate)
    silent = FakeCall(lost=frozenset(range(1000)))
    assert (await replay(silent, long, echo=False)).silent_seconds == pytest.approx(275 * 0.020)  # type: ignore[arg-type]


async def test_a_first_word_that_comes_late_counts_as_silence_before_it(autojump_clock: MockClock) -> None:
    long = Recording(RECORDING.samples * 11, RECORDING.rate)
    done = await replay(FakeCall(delay=5.2), long)  # type: ignore[arg-type]
    assert done.silent_seconds == pytest.approx(5.2)
