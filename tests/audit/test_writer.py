import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.audit import AuditFailed
from sottovoce.audit.writer import BATCH_RECORDS, MAX_UNWRITTEN, Writer
from sottovoce.primitives import ApiMisuse


class Memory:
    """A sink that keeps batches, waits when told to, and fails when told to."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.failure: str | None = None
        self.is_lost = False
        self.open = threading.Event()
        self.open.set()
        self.attempts = 0

    def append(self, records: Iterable[bytes]) -> None:
        self.open.wait()
        self.attempts += 1
        if self.failure is not None:
            raise AuditFailed(self.failure)
        self.batches.append(list(records))

    @property
    def records(self) -> list[bytes]:
        return [record for batch in self.batches for record in batch]


class Reports(list["str | None"]):
    def __call__(self, failure: AuditFailed | None) -> None:
        self.append(failure and str(failure))


@asynccontextmanager
async def running(writer: Writer) -> AsyncGenerator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run)
        try:
            yield
        finally:
            writer.end()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  what is waited for is a thread's doing, and tells nobody
        await trio.sleep(0.01)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def writer(memory: Memory, reports: Reports) -> Writer:
    return Writer(memory, 0.1, reports)


async def test_who_waits_is_written_at_once_and_what_was_added_before_with_it(
    writer: Writer, memory: Memory, autojump_clock: MockClock
) -> None:
    async with running(writer):
        started = autojump_clock.current_time()
        writer.add(b"1")
        writer.add(b"2")
        await writer.add_and_wait(b"3")
        assert memory.batches == [[b"1", b"2", b"3"]]
        assert autojump_clock.current_time() == started


async def test_what_was_added_is_written_after_a_moment(
    writer: Writer, memory: Memory, autojump_clock: MockClock
) -> None:
    async with running(writer):
        writer.add(b"1")
        await trio.sleep(0.09)
        writer.add(b"2")
        assert memory.batches == []
        await until(lambda: writer.unwritten == 0)
        assert memory.batches == [[b"1", b"2"]]
        assert autojump_clock.current_time() >= 0.1


async def test_a_full_batch_does_not_wait(memory: Memory, autojump_clock: MockClock) -> None:
    writer = Writer(memory, 3600, Reports())
    async with running(writer):
        for _ in range(BATCH_RECORDS):
            writer.add(b"x")
        await until(lambda: writer.unwritten == 0)
        assert [len(batch) for batch in memory.batches] == [BATCH_RECORDS]
        assert autojump_clock.current_time() < 3600


async def test_those_who_come_during_a_write_share_the_next(writer: Writer, memory: Memory) -> None:
    async with running(writer), trio.open_nursery() as nursery:
        memory.open.clear()
        nursery.start_soon(writer.add_and_wait, b"first")
        await wait_all_tasks_blocked()
        for index in range(50):
            nursery.start_soon(writer.add_and_wait, b"%d" % index)
        await wait_all_tasks_blocked()
        assert memory.batches == []
        memory.open.set()
    assert memory.batches[0] == [b"first"]
    assert sorted(memory.batches[1]) == sorted(b"%d" % index for index in range(50))


async def test_the_end_writes_what_is_left(writer: Writer, memory: Memory) -> None:
    async with running(writer):
        writer.add(b"1")
    assert memory.records == [b"1"]
    assert writer.lost == 0
    with pytest.raises(ApiMisuse, match="closed"):
        writer.add(b"2")
    with pytest.raises(ApiMisuse, match="closed"):
        await writer.add_and_wait(b"2")


async def test_who_stops_waiting_is_written_all_the_same(writer: Writer, memory: Memory) -> None:
    async with running(writer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await writer.add_and_wait(b"1")
        assert scope.cancelled_caught
    assert memory.records == [b"1"]


async def test_a_cancelled_program_still_writes(writer: Writer, memory: Memory) -> None:
    with trio.CancelScope() as scope:
        async with running(writer):
            scope.cancel()
            writer.add(b"1")
            await trio.sleep_forever()
    assert memory.records == [b"1"]


async def test_room_is_waited_for_and_adding_never_is(writer: Writer, memory: Memory) -> None:
    async with running(writer):
        memory.open.clear()
        for _ in range(MAX_UNWRITTEN + 10):
            writer.add(b"x")
        assert writer.unwritten == MAX_UNWRITTEN + 10
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(writer.wait_for_room)
                await wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        memory.open.set()
        await writer.wait_for_room()
        assert writer.unwritten < MAX_UNWRITTEN
    assert len(memory.records) == MAX_UNWRITTEN + 10


async def test_a_failure_is_told_to_who_waits_and_reported_once(
    writer: Writer, memory: Memory, reports: Reports
) -> None:
    memory.failure = "no room"
    async with running(writer):
        writer.add(b"noted")
        for _ in range(2):
            with pytest.raises(AuditFailed, match="no room"):
                await writer.add_and_wait(b"recorded")
        with pytest.raises(AuditFailed, match="no room"):
            await writer.wait_for_room()
        assert str(writer.failure) == "no room"
        assert reports == ["no room"]
        assert writer.unwritten == 1
        memory.failure = None
        await writer.add_and_wait(b"later")
        await writer.wait_for_room()
        assert reports == ["no room", None]
        assert writer.failure is None
    assert memory.records == [b"noted", b"later"]
    assert writer.lost == 0


async def test_a_failure_is_tried_again_but_not_all_the_time_however_much_waits(
    writer: Writer, memory: Memory, reports: Reports, autojump_clock: MockClock
) -> None:
    memory.failure = "no room"
    async with running(writer):
        for _ in range(BATCH_RECORDS * 2):
            writer.add(b"x")
        await until(lambda: bool(reports))
        attempts, started = memory.attempts, autojump_clock.current_time()
        await until(lambda: memory.attempts == attempts + 2)
        assert autojump_clock.current_time() - started >= 1.9
        memory.failure = None
        await until(lambda: writer.unwritten == 0)
    assert len(memory.records) == BATCH_RECORDS * 2
    assert reports == ["no room", None]


async def test_what_cannot_be_written_at_the_end_is_counted(writer: Writer, memory: Memory, reports: Reports) -> None:
    memory.failure = "no room"
    async with running(writer):
        writer.add(b"1")
        writer.add(b"2")
    assert (writer.lost, reports) == (2, ["no room"])


async def test_a_lost_sink_gets_no_second_try(writer: Writer, memory: Memory) -> None:
    memory.failure, memory.is_lost = "gone", True
    async with running(writer):
        writer.add(b"1")
        with pytest.raises(AuditFailed, match="gone"):
            await writer.add_and_wait(b"2")
        assert (writer.lost, writer.unwritten) == (1, 0)
        writer.add(b"3")
    assert writer.lost == 2


async def test_our_own_bug_ends_the_program_and_leaves_nobody_waiting(writer: Writer, memory: Memory) -> None:
    memory.batches = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.RaisesGroup(AttributeError):
        async with running(writer):
            await writer.add_and_wait(b"1")
