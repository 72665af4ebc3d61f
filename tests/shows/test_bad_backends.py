"""Backends that send garbage, too much, late or nothing: that call ends as docs/backend-raw.md says, and no other.

A crowd of calls to a good backend goes on all the time.  Each of its frames comes back, once, unchanged and in order;
what its slowest hundredth took is told, not judged: that is the machine's affair, within a second.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from loadtest.replay.processes.started import echo_backend
from sottovoce.client import Audio, Call, CallError, Ended
from tests.running import ROOMY, RunningProxy, running_proxy
from tests.shows.bad_backends import KINDS
from tests.shows.calls import PATIENCE, calling
from tests.shows.crowds import crowd

pytestmark = pytest.mark.interop(tool="softhsm2-util")
CALLS = 20
PACE_SECONDS = 0.02
FRAME_BYTES = 640
LIMIT_SECONDS = 1.0
CONNECT_SECONDS = 0.5
DOWN, NORMAL = 4450, 1000
LONGEST_SECONDS = {"silent": 6.0, "audio": 3.0, "pings": 3.0}
"""Of calls that go on until the client hangs up."""

FAULTS = {
    "garbage": "bad_framing",
    "http-again": "bad_framing",
    "reserved-opcode": "bad_framing",
    "masked": "bad_framing",
    "compressed": "bad_framing",
    "no-utf8": "bad_framing",
    "no-json": "bad_text",
    "unknown-text": "bad_text",
    "half-a-sample": "bad_audio",
    "huge-message": "bad_framing",
    "huge-in-pieces": "bad_framing",
    "texts": "flood",
    "texts-unread": "flood",
    "pings-unread": "flood",
    "pings": None,
    "audio": None,
    "late": "unreachable",
    "never": "unreachable",
    "silent": None,
    "deaf": "lost",
    "closes": "closed",
    "breaks": "lost",
}
"""What §9 calls each; None: the call goes on."""


class Steady:
    """A call to the good backend that talks until it is told to stop."""

    def __init__(self, number: int) -> None:
        self.delays: list[tuple[float, float]] = []
        """When each frame came back, and how long that took."""
        self.wrong = 0
        self.sent_at: list[float] = []
        self.ended: Ended | None = None
        self._number = number
        self._news = trio.Event()

    @property
    def is_well(self) -> bool:
        """Whether every frame came back in its place, and the call ended well."""
        is_whole = len(self.delays) == len(self.sent_at) and not self.wrong
        return is_whole and self.ended is not None and self.ended.code == NORMAL

    async def run(self, proxy: RunningProxy, enough: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        async with calling(proxy, "good") as call, trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, call, task_status)
            begin = trio.current_time()
            while not enough.is_set():
                await trio.sleep_until(begin + len(self.sent_at) * PACE_SECONDS)
                self.sent_at.append(trio.current_time())
                await call.send(self._frame(len(self.sent_at) - 1))
            with trio.move_on_after(PATIENCE):
                while len(self.delays) < len(self.sent_at):
                    await self._news.wait()
            await call.close()

    async def _hear(self, call: Call, task_status: trio.TaskStatus[None]) -> None:
        async for item in call:
            if isinstance(item, Audio):
                number, now = len(self.delays), trio.current_time()
                self.wrong += item.payload != self._frame(number)
                self.delays.append((now, now - self.sent_at[number]))
                self._news.set()
                self._news = trio.Event()
                if number == 0:
                    task_status.started()
            elif isinstance(item, Ended):
                self.ended = item

    def _frame(self, number: int) -> bytes:
        return (self._number.to_bytes(2) + number.to_bytes(6)) * (FRAME_BYTES // 8)


@asynccontextmanager
async def steady_calls(proxy: RunningProxy) -> AsyncGenerator[list[Steady]]:
    """Have them talk while the block runs."""
    steady, enough = [Steady(number) for number in range(CALLS)], trio.Event()
    async with trio.open_nursery() as nursery:
        for one in steady:
            with trio.fail_after(PATIENCE):
                await nursery.start(lambda task_status, one=one: one.run(proxy, enough, task_status=task_status))
        yield steady
        enough.set()


async def call_bad(proxy: RunningProxy, kind: str, codes: dict[str, int | None]) -> None:
    """Talk until the call ends, or for as long as it should go on."""
    async with calling(proxy, kind) as call, trio.open_nursery() as nursery:
        nursery.start_soon(_chatter, call)
        failure = None
        with trio.move_on_after(LONGEST_SECONDS.get(kind, PATIENCE)):
            failure = await _until_it_ends(call)
        nursery.cancel_scope.cancel()
    codes[kind] = call.ended.code if failure is None and call.ended is not None else getattr(failure, "code", None)


async def _chatter(call: Call) -> None:
    try:
        while True:
            await call.send(bytes(FRAME_BYTES))
            await trio.sleep(PACE_SECONDS)
    except CallError:
        pass  # who hears is told why


async def _until_it_ends(call: Call) -> CallError | None:
    try:
        async for _ in call:
            pass
    except CallError as error:
        return error
    return None


def fault_of(proxy: RunningProxy, kind: str) -> str | None:
    reasons = [event["reason"] for event in proxy.events("backend.lost") if event["route"] == kind]
    assert len(reasons) <= 1
    return reasons[0].partition(":")[0] if reasons else None


def p99(steady: list[Steady], since: float, until: float) -> float:
    taken = sorted(delay for one in steady for at, delay in one.delays if since <= at <= until)
    return taken[int(0.99 * len(taken))]


def routes(good: str, bad_port: int) -> list[str]:
    urls = {"good": good} | {kind: f"ws://127.0.0.1:{bad_port}/{kind}" for kind in KINDS}
    limits = (f"connect_timeout_seconds={CONNECT_SECONDS}", "connect_attempts=2", "silence_seconds=2")
    return [f"routes.{name}.{key}" for name, url in urls.items() for key in ("adapter=raw", f"url={url}", *limits)]


async def test_a_bad_backend_ends_its_own_call_and_no_other(directory: Path) -> None:
    codes: dict[str, int | None] = {}
    slow: dict[str, float] = {}
    with crowd("bad_backends") as bad, echo_backend() as good:
        port = (await bad.told())["port"]
        with running_proxy(directory, *routes(good.url, port), ROOMY, "routes.good.queue_frames=1000") as proxy:
            async with steady_calls(proxy) as steady:
                began = trio.current_time()
                await trio.sleep(1)
                slow["nobody"] = p99(steady, began, trio.current_time())
                for kind in KINDS:
                    began = trio.current_time()
                    await call_bad(proxy, kind, codes)
                    await trio.sleep(0.1)
                    slow[kind] = p99(steady, began, trio.current_time())
                alone = {kind: fault_of(proxy, kind) for kind in KINDS}
                before = len(proxy.events("backend.lost"))
                began = trio.current_time()
                async with trio.open_nursery() as nursery:
                    for kind in KINDS:
                        nursery.start_soon(call_bad, proxy, kind, codes)
                slow["all at once"] = p99(steady, began, trio.current_time())
            silent = proxy.events("backend.silent")
            lost = proxy.events("backend.lost")[before:]
            crashes = proxy.events("task.crashed")
    print({kind: f"{1000 * seconds:.1f} ms" for kind, seconds in slow.items()})  # noqa: T201  `pytest -rP` shows it
    assert alone == FAULTS
    assert codes == {kind: NORMAL if fault is None else DOWN for kind, fault in FAULTS.items()}
    assert {event["route"]: event["reason"].partition(":")[0] for event in lost} == {
        k: v for k, v in FAULTS.items() if v
    }
    assert {event["route"] for event in silent} >= {"silent"}
    assert crashes == []
    assert all(one.is_well for one in steady)
    assert max(slow.values()) < LIMIT_SECONDS, slow
