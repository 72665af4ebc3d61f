# ruff: noqa: ASYNC240  small files on a local disk
import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import trio

from sottovoce.audit import (
    AuditBroken,
    AuditConfig,
    AuditFailed,
    CallEnded,
    CallRefused,
    TokenStarted,
    open_audit,
    read_tail,
    verify_audit,
)
from sottovoce.audit.file import AuditFile
from sottovoce.primitives import ApiMisuse
from tests.audit.examples import EVENTS, TIME, StandingClock, make_lines

ENDED = CallEnded(session="9f" * 16, code=1000, reason="", side="client", truncated=False)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_what_is_recorded_is_in_the_file_at_once(path: Path) -> None:
    async with open_audit(path, StandingClock()) as log:
        for count, event in enumerate(EVENTS, start=1):
            await log.record(event)
            assert path.read_bytes() == b"".join(make_lines()[:count])
    assert verify_audit(path).last_time == TIME


async def test_what_is_noted_is_in_the_file_in_the_end_and_in_order(path: Path) -> None:
    async with open_audit(str(path), StandingClock()) as log:
        for event in EVENTS[:-1]:
            log.note(event)
        await log.settle()
        await log.record(EVENTS[-1])
        assert path.read_bytes() == b"".join(make_lines())
        log.note(ENDED)
    assert verify_audit(path).records == len(EVENTS) + 1


async def test_it_says_where_it_ends(path: Path) -> None:
    async with open_audit(path, StandingClock()) as log:
        assert log.end.records == 0
        for event in EVENTS:
            await log.record(event)
        assert (log.end.records, log.end.head.hex()) == (len(EVENTS), verify_audit(path).head)


async def test_records_share_a_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    monkeypatch.setattr(AuditFile, "_sync", lambda _: syncs.append(1))
    async with open_audit(path, StandingClock()) as log:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(log.record, TokenStarted(token="t", pid=number))
        assert len(syncs) <= 2
    assert verify_audit(path).records == 100


async def test_a_torn_end_is_cut_off_and_that_is_on_the_log(path: Path) -> None:
    path.write_bytes(b"".join(make_lines())[:-10])
    path.chmod(0o600)
    cut = len(make_lines()[-1]) - 10
    async with open_audit(path, StandingClock()):
        pass
    *_, last = read_tail(path, 9)
    assert (last.index, last.event, last.fields) == (len(EVENTS) - 1, "audit_repaired", {"bytes_cut": cut})
    verify_audit(path)


async def test_a_broken_log_is_refused(path: Path) -> None:
    path.write_bytes(b"".join(make_lines()[1:]))
    path.chmod(0o600)
    with pytest.raises(AuditBroken, match="line 1"):
        async with open_audit(path, StandingClock()):
            pytest.fail("it was opened")


async def test_an_error_of_the_block_comes_out_as_it_is(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  the block is what is tested
        async with open_audit(path, StandingClock()) as log:
            log.note(ENDED)
            raise ZeroDivisionError
    assert verify_audit(path).records == 1


async def test_errors_of_a_nursery_in_the_block_stay_together(path: Path) -> None:
    with pytest.RaisesGroup(ZeroDivisionError, KeyError):
        async with open_audit(path, StandingClock()):
            raise ExceptionGroup("two", [ZeroDivisionError(), KeyError()])


async def test_an_event_that_fits_no_line_is_refused_to_its_author(path: Path) -> None:
    async with open_audit(path, StandingClock()) as log:
        huge = CallRefused(code=4400, reason="x" * 70_000, client="")
        with pytest.raises(ApiMisuse):
            log.note(huge)
        with pytest.raises(ApiMisuse):
            await log.record(huge)
    assert verify_audit(path).records == 0


async def test_a_full_disk_is_told_and_survived(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[AuditFailed | None] = []
    async with open_audit(path, StandingClock(), report=reports.append) as log:
        await log.record(EVENTS[0])
        with monkeypatch.context() as patch:
            patch.setattr(AuditFile, "_write", no_space)
            log.note(ENDED)
            with pytest.raises(AuditFailed, match="No space left on device"):
                await log.record(EVENTS[1])
            with pytest.raises(AuditFailed, match="make room"):
                await log.settle()
            assert log.failure is not None
            assert "No space" in str(log.failure)
        await log.record(EVENTS[2])
        assert log.failure is None
        await log.settle()
        assert len(reports) == 2
    assert [record.event for record in read_tail(path, 9)] == ["key_generated", "call_ended", "call_refused"]


async def test_what_could_not_be_written_to_the_end_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def note_twice(*, fail: bool) -> None:
        async with open_audit(path, StandingClock()) as log:
            log.note(ENDED)
            log.note(ENDED)
            if fail:
                raise ZeroDivisionError

    monkeypatch.setattr(AuditFile, "_write", no_space)
    with pytest.raises(AuditFailed, match=r"audit\.log: 2 events of calls could not be written"):
        await note_twice(fail=False)
    with pytest.raises(AuditFailed, match="2 events") as caught:
        await note_twice(fail=True)
    assert isinstance(caught.value.__context__, ZeroDivisionError)


def test_the_configuration() -> None:
    config = msgspec.convert({"file": "a.log"}, AuditConfig)
    assert config.resolved(Path("/srv")).file == "/srv/a.log"
    assert AuditConfig(file="/var/log/a").resolved(Path("/srv")).file == "/var/log/a"
    for bad in ({"file": ""}, {"batch_seconds": 2}, {"rotate": True}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, AuditConfig)


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when its task has been given a turn so many times."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self.scope = scope
        self.left = steps
        self.task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


def open_fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_cancelled_at_any_step_the_log_is_whole_and_free(path: Path) -> None:
    events = [TokenStarted(token="t", pid=number) for number in range(4)]
    before, steps = open_fds(), 0
    is_cancelled = True
    recorded: list[int] = []
    while is_cancelled:
        path.unlink(missing_ok=True)
        steps += 1
        recorded.clear()
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(scope, steps)
            trio.lowlevel.add_instrument(instrument)
            try:
                async with open_audit(path, StandingClock()) as log:
                    for event in events:
                        log.note(event)
                        await log.settle()
                        await log.record(event)
                        recorded.append(event.pid)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        is_cancelled = scope.cancelled_caught
        held = [record.fields["pid"] for record in read_tail(path, 99)] if path.exists() else []
        assert held[: 2 * len(recorded)] == [pid for pid in recorded for _ in range(2)]
        async with open_audit(path, StandingClock()):  # free for the next, and whole
            pass
        assert verify_audit(path).records == len(held)
        assert open_fds() == before
    assert steps > 8
    assert len(recorded) == len(events)


def test_killed_at_any_moment_the_log_opens_again_with_all_that_was_recorded(path: Path) -> None:
    """Ten kills of one log; each next run finds what the one before left."""
    moments = random.Random(3)  # noqa: S311  moments to kill at
    command = [sys.executable, "-m", "tests.audit.killed_child", str(path)]
    durable, repairs = 0, 0
    for _ in range(10):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            assert child.stdout is not None
            numbers = [int(child.stdout.readline())]
            time.sleep(moments.uniform(0, 0.05))
            child.kill()
            numbers += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        report = verify_audit(path)
        held = [record.fields for record in read_tail(path, report.records - durable)]
        recorded = {fields["pid"] for fields in held if fields.get("token") == "recorded"}
        assert set(numbers) <= recorded
        durable, repairs = report.records, repairs + (report.torn_bytes > 0)
    trio.run(_reopen, path)
    assert verify_audit(path).torn_bytes == 0
    told = sum(record.event == "audit_repaired" for record in read_tail(path, durable + 1))
    assert told == repairs


async def _reopen(path: Path) -> None:
    async with open_audit(path, StandingClock()) as log:
        await log.record(EVENTS[0])
