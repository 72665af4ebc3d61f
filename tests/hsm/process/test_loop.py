"""The token process from outside: what it gives away, what it outlives, and that it ends with its parent."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio

from sottovoce.hsm import TokenDown, TokenEvent, TokenUp
from sottovoce.hsm.messages import FrameReader
from sottovoce.hsm.pool.child import Spawner
from sottovoce.hsm.process.loop import _read_frames
from tests.hsm.conftest import OpenToken, pid_of
from tests.hsm.token_child import LOOK_AT_SELF, SIGN, Nothing, Sign

ROOT = Path(__file__).parents[3]


@pytest.fixture
def proxy(directory: Path) -> Generator[tuple["subprocess.Popen[str]", int]]:
    """A process that holds the token, and its token process's id."""
    command = [sys.executable, "-m", "tests.hsm.parent", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        yield process, pid
        process.kill()


@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_with_its_parent_even_when_it_is_stopped(
    proxy: tuple["subprocess.Popen[str]", int], *, stopped: bool
) -> None:
    process, pid = proxy
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    descriptor = os.pidfd_open(pid)
    process.kill()
    assert becomes_readable(descriptor, seconds=10)
    os.close(descriptor)


def becomes_readable(descriptor: int, seconds: float) -> bool:
    async def wait() -> bool:
        with trio.move_on_after(seconds):
            await trio.lowlevel.wait_readable(descriptor)
            return True
        return False

    return trio.run(wait)


def test_the_pin_is_in_no_argument_environment_or_proxy_memory(
    proxy: tuple["subprocess.Popen[str]", int], directory: Path
) -> None:
    pin = (directory / "secrets/pin").read_bytes().strip()
    process, token_pid = proxy
    for pid in (process.pid, token_pid):
        for name in ("cmdline", "environ"):
            assert pin not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert occurrences(process.pid, pin) == 0
    assert occurrences(process.pid, b"sottovoce-serving") > 0  # the search does find what is there


def occurrences(pid: int, wanted: bytes) -> int:
    """Count `wanted` in the writable memory of a process."""
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if not rights.startswith("rw") or "[vvar" in line:
                continue
            first, last = (int(part, 16) for part in span.split("-"))
            memory.seek(first)
            found += memory.read(last - first).count(wanted)
    return found


def test_a_proxy_that_goes_and_leaves_answers_unread_is_the_end_as_any_other() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"an answer")
        ours.close()
        assert list(_read_frames(theirs, FrameReader())) == []


async def test_it_dumps_no_core_and_is_closed_to_tracers(opened: OpenToken) -> None:
    async with opened() as token:
        seen = await token.call(LOOK_AT_SELF, Nothing(), deadline_seconds=30)
        assert (seen.dumpable, seen.core_limits) == (0, (0, 0))


async def test_a_terminal_does_not_reach_it(opened: OpenToken, events: list[TokenEvent]) -> None:
    async with opened():
        assert os.getpgid(pid_of(events)) == pid_of(events)


async def test_signals_of_a_terminal_or_a_service_manager_do_not_end_it(
    opened: OpenToken, events: list[TokenEvent]
) -> None:
    async with opened() as token:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid_of(events), number)
        assert (await token.call(SIGN, Sign("root"), deadline_seconds=30)).pid == pid_of(events)
        assert token.replacements == 0


async def test_it_outlives_the_pool_threads_of_trio(opened: OpenToken, monkeypatch: pytest.MonkeyPatch) -> None:
    """PR_SET_PDEATHSIG follows the forking thread, so a pool thread that ends must not have been that thread."""
    await trio.to_thread.run_sync(int)  # makes sure that the pool is there to be changed
    monkeypatch.setattr("trio._core._thread_cache.IDLE_TIMEOUT", 0.01)
    async with opened() as token:
        deadline = time.monotonic() + 20
        while any(thread.name.startswith("Trio thread") for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            await trio.sleep(0.02)
        await token.call(SIGN, Sign("root"), deadline_seconds=30)
        assert token.replacements == 0


async def test_closing_leaves_no_process_no_thread_and_no_descriptor(
    opened: OpenToken, events: list[TokenEvent]
) -> None:
    async with opened():
        pass
    descriptors, threads = open_descriptors(), spawners()
    for _ in range(3):
        async with opened():
            pass
    assert open_descriptors() == descriptors
    with trio.fail_after(20):
        while spawners() > threads:  # noqa: ASYNC110  a thread that was told to end takes its time
            await trio.sleep(0.01)
    assert [event.pid for event in events if isinstance(event, TokenUp) and is_running(event.pid)] == []


async def test_cancelled_or_failed_before_it_starts_it_leaves_no_descriptor(opened: OpenToken) -> None:
    async with opened():
        pass
    descriptors = open_descriptors()
    with trio.CancelScope() as scope:
        scope.cancel()
        async with opened():
            pass
    spawner = Spawner(["/no/such/program"], {})
    with pytest.raises(FileNotFoundError):
        await spawner.spawn()
    spawner.close()
    assert open_descriptors() == descriptors


async def test_without_a_free_descriptor_there_is_no_replacement_until_there_is_one(
    opened: OpenToken, events: list[TokenEvent]
) -> None:
    async with opened() as token:
        with no_descriptors_left():
            os.kill(pid_of(events), signal.SIGKILL)
            while not any(is_refusal(event) for event in events):  # noqa: ASYNC110  a list has no event to wait for
                await trio.sleep(0.01)
        answer = await token.call(SIGN, Sign("a root"), deadline_seconds=30)
        assert answer.pid == pid_of(events)


def is_refusal(event: TokenEvent) -> bool:
    return isinstance(event, TokenDown) and "open files" in event.reason


@contextmanager
def no_descriptors_left() -> Generator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1, limits[1])
    )
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(taken[0]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def spawners() -> int:
    return sum(thread.name.startswith("token-spawner") for thread in threading.enumerate())
