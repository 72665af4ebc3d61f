"""Many calls at once, some with a backend that is slow, dead or dies: the others do not notice.

How long a frame may take is not known here: it is compared with what it took while all backends were well.
"""

import os
import signal
from collections.abc import Awaitable
from pathlib import Path
from statistics import median

import pytest
import trio

from sottovoce.client import BackendDown, Call, Codec
from tests.interop.relay.demo import demo_backend
from tests.running import RunningProxy, running_proxy
from tests.shows.backends import DeafBackend, StuckBackend, nobody
from tests.shows.calls import PATIENCE, Echoed, calling, echo, next_frame

pytestmark = pytest.mark.interop(tool="softhsm2-util")
CALLS = 19
FRAMES = [bytes([number]) * 640 for number in range(1, 31)]
PACE_SECONDS = 0.05
LONG_FRAME_BYTES = 48_000 * 2 * 60 // 1000
"""The largest frame there is: 60 ms of PCM at 48 kHz."""


def routes(**urls: str) -> list[str]:
    """Configuration of a raw route for each."""
    return [f"routes.{name}.{key}" for name, url in urls.items() for key in ("adapter=raw", f"url={url}")]


async def call_many(proxy: RunningProxy) -> list[Echoed]:
    """Make calls to the good backend, all at the same time."""
    echoed: list[Echoed] = []

    async def call() -> None:
        async with calling(proxy, "good") as one:
            echoed.append(await echo(one, FRAMES, PACE_SECONDS))

    async with trio.open_nursery() as nursery:
        for _ in range(CALLS):
            nursery.start_soon(call)
    return echoed


def delay(echoed: list[Echoed]) -> float:
    return median(delay for one in echoed for delay in one.delays)


def all_well(echoed: list[Echoed]) -> bool:
    return len(echoed) == CALLS and all(
        one.frames == FRAMES and one.ended is not None and one.ended.code == 1000 for one in echoed
    )


async def test_a_backend_that_does_not_read_costs_its_own_call_alone(directory: Path) -> None:
    """It loses the oldest audio, and is told how much; the others lose nothing, and take as long as before."""
    sent = [number.to_bytes(2) * (LONG_FRAME_BYTES // 2) for number in range(600)]
    async with demo_backend(directory.parent) as good, StuckBackend().listening() as stuck:
        configured = [*routes(good=good.url, stuck=stuck.url), "routes.stuck.raw.header=true"]
        with running_proxy(directory, *configured) as proxy:
            before = await call_many(proxy)
            async with calling(proxy, "stuck", codec=Codec.PCM16_48K, frame_ms=60) as slow:
                during = await _together(call_many(proxy), _send_all(slow, sent))
                stuck.go_on.set()
                with trio.fail_after(PATIENCE):
                    await stuck.until_heard(sent[-1])
            with trio.fail_after(PATIENCE):
                await stuck.until_stopped()
        [ended] = [event for event in proxy.events("session.ended") if event["frames_dropped_to_backend"]]
    assert all_well(before)
    assert all_well(during)
    assert delay(during) <= 3 * delay(before) + 0.01

    assert stuck.lost > 100
    assert stuck.lost + len(stuck.frames) == len(sent)
    assert stuck.frames[-50:] == sent[-50:], "the oldest of what waited went, not the newest"
    assert stuck.frames == [frame for frame in sent if frame in set(stuck.frames)]
    assert stuck.stop is not None
    assert stuck.stop["statistics"]["frames_dropped_to_backend"] == stuck.lost
    assert ended["frames_dropped_to_backend"] == stuck.lost
    assert (ended["code"], ended["frames_from_client"]) == (1000, len(sent))


async def test_a_backend_that_dies_ends_its_calls_with_its_code(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with demo_backend(directory.parent) as good, demo_backend(tmp_path / "other") as doomed:
        with running_proxy(directory, *routes(good=good.url, doomed=doomed.url)) as proxy:

            async def meet_its_end() -> None:
                async with calling(proxy, "doomed") as call:
                    await call.send(FRAMES[0])
                    assert await next_frame(call) == FRAMES[0]
                    os.kill(doomed.process.pid, signal.SIGKILL)
                    with pytest.raises(BackendDown) as caught:
                        await next_frame(call)
                assert caught.value.code == 4450

            echoed = await _together(call_many(proxy), meet_its_end())
            assert all_well(echoed)
        assert len(proxy.events("backend.lost")) == 1


async def test_a_backend_at_which_nobody_listens_is_down(directory: Path) -> None:
    await _down(directory, nobody(), "Connection refused")


async def test_a_backend_that_never_answers_is_down_after_its_attempts(directory: Path) -> None:
    async with DeafBackend().listening() as deaf:
        await _down(directory, deaf.url, "no answer in 0.3 s")
    assert deaf.connections == 2


async def _down(directory: Path, url: str, reason: str) -> None:
    """The call is agreed on, the backend is tried, the client is told 4450; another call goes on."""
    limits = ("routes.away.connect_timeout_seconds=0.3", "routes.away.connect_attempts=2")
    with running_proxy(directory, *routes(away=url), *limits) as proxy:
        async with calling(proxy) as other:
            async with calling(proxy, "away") as call:
                with pytest.raises(BackendDown) as caught:
                    await next_frame(call)
            assert caught.value.code == 4450
            await other.send(FRAMES[0])
            assert await next_frame(other) == FRAMES[0]
    [lost] = proxy.events("backend.lost")
    assert reason in lost["reason"]


async def _send_all(call: Call, frames: list[bytes]) -> None:
    """Six times as fast as the frames last, until the proxy's queue and every buffer on the way is full."""
    for frame in frames:
        await call.send(frame)
        await trio.sleep(0.004)


async def _together(first: Awaitable[list[Echoed]], second: Awaitable[None]) -> list[Echoed]:
    """Wait for both, give what the first gives."""
    given: list[list[Echoed]] = []

    async def take() -> None:
        given.append(await first)

    async def wait() -> None:
        await second

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        nursery.start_soon(wait)
    return given[0]
