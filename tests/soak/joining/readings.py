"""What the proxy and its token process hold, as the kernel and the proxy's own metrics tell it."""

import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import msgspec
import trio

from loadtest.replay.processes.looking import children_of
from tests.running import RunningProxy

_KIB = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_THREADS = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)
_TASKS = re.compile(rb"^sottovoce_loop_tasks (\d+)", re.MULTILINE)
_LOOK_SECONDS = 0.25
_PATIENCE = 60.0


class Process(msgspec.Struct, frozen=True):
    """One process."""

    rss_kib: int
    descriptors: int
    threads: int


class Reading(msgspec.Struct, frozen=True):
    """Both at an instant."""

    at: float
    proxy: Process
    token: Process
    tasks: int

    @property
    def counted(self) -> tuple[int, ...]:
        """What has to be the same when everybody has left: whatever is not memory."""
        return self.proxy.descriptors, self.tasks, self.token.descriptors, self.proxy.threads, self.token.threads

    def __str__(self) -> str:
        return (
            f"{self.proxy.rss_kib / 1024:.1f} MiB, {self.proxy.descriptors} descriptors, {self.tasks} tasks,"
            f" {self.proxy.threads} threads; token process {self.token.rss_kib / 1024:.1f} MiB,"
            f" {self.token.descriptors} descriptors, {self.token.threads} threads"
        )


async def read(proxy: RunningProxy) -> Reading:
    """Look once."""
    [token] = children_of(proxy.pid)
    text = await trio.to_thread.run_sync(_scrape, f"{proxy.admin}/metrics")
    tasks = _TASKS.search(text)
    assert tasks is not None
    return Reading(trio.current_time(), _look(proxy.pid), _look(token), int(tasks[1]))


async def read_when_quiet(proxy: RunningProxy, quiet_seconds: float) -> Reading:
    """Look until two spells of so many seconds have the same least counts: each look has a connection of its own."""
    with trio.fail_after(_PATIENCE + 2 * quiet_seconds):
        last = await _least(proxy, quiet_seconds)
        while (now := await _least(proxy, quiet_seconds)).counted != last.counted:
            last = now
    return now


def grown_kib(readings: Sequence[Reading]) -> float:
    """By how much the proxy's memory grew over these, by the line that fits them best."""
    times = [each.at for each in readings]
    sizes = [float(each.proxy.rss_kib) for each in readings]
    middle, size = sum(times) / len(times), sum(sizes) / len(sizes)
    spread = sum((at - middle) ** 2 for at in times)
    rise = sum((at - middle) * (kib - size) for at, kib in zip(times, sizes, strict=True))
    return rise / spread * (times[-1] - times[0]) if spread else 0.0


async def _least(proxy: RunningProxy, seconds: float) -> Reading:
    least = await read(proxy)
    until = least.at + seconds
    while (now := await read(proxy)).at < until:
        least = Reading(
            now.at, _lesser(least.proxy, now.proxy), _lesser(least.token, now.token), min(least.tasks, now.tasks)
        )
        await trio.sleep(_LOOK_SECONDS)
    return least


def _lesser(one: Process, other: Process) -> Process:
    return Process(
        min(one.rss_kib, other.rss_kib), min(one.descriptors, other.descriptors), min(one.threads, other.threads)
    )


def _look(pid: int) -> Process:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    rss, threads = _KIB.search(status), _THREADS.search(status)
    assert rss is not None
    assert threads is not None
    return Process(int(rss[1]), len(list(Path(f"/proc/{pid}/fd").iterdir())), int(threads[1]))


def _scrape(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  our own, and `Connection: close`
        return answer.read()
