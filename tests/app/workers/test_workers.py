"""What the supervisor tells its workers: to all or, where one cannot, to none."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.app.floor import Change
from sottovoce.app.workers.desk import codec, messages
from sottovoce.app.workers.desk.desk import Desk
from sottovoce.app.workers.handover import Handover, HandoverInvalid, addresses_of, find, ready_meanwhile
from sottovoce.app.workers.member import Member
from sottovoce.app.workers.workers import NotPaused, Workers
from sottovoce.identity import ClientsConfig, read_contents
from sottovoce.pki import PackedIdentity
from sottovoce.primitives import Secret
from sottovoce.settings import Configuration, build
from sottovoce.transport import SystemClock, SystemEntropy

CHANGE = Change(build({}), {}, read_contents(ClientsConfig(), lambda: 0.0, SystemEntropy()))


class Hand:
    """A worker by hand."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.refuses = ""
        self.is_stopped = False
        self.go_on = trio.Event()
        self.resumed = 0

    async def answer(self, question: msgspec.Struct) -> msgspec.Struct:
        await trio.lowlevel.checkpoint()
        if self.is_stopped:
            await self.go_on.wait()
        name = type(question).__name__
        self.told.append(name)
        if name == self.refuses:
            raise messages.WorkerFault("a file is not there for me")
        return messages.Done(3 if name in {"Commit", "Clients"} else 0)


def resumed(desk: Desk, hand: Hand, message: msgspec.Struct) -> None:
    if isinstance(message, messages.Resume):
        hand.resumed += 1
        desk.release()


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[Workers, list[Hand]]]:
    """Workers, and what they are by hand."""
    (bound,) = [socket.socket()]
    lending = cast("Any", None)
    workers = Workers(
        2, CHANGE, "x.toml", {"listener": (bound,)}, lending, past=None, logger=lending, clock=SystemClock()
    )
    hands = [Hand(), Hand()]
    desks: list[Desk] = []
    async with trio.open_nursery() as nursery:
        for place, hand in enumerate(hands):
            ours, theirs = (Desk(each) for each in socket.socketpair())
            desks += [ours, theirs]
            member = Member(place + 1, place, lending, ours, lending)
            member.state = "serving"
            workers.crew.members.append(member)
            nursery.start_soon(ours.run, lambda _: None, member.answer)
            nursery.start_soon(theirs.run, partial(resumed, theirs, hand), hand.answer)
        yield workers, hands
        nursery.cancel_scope.cancel()
    for each in desks:
        each.close()
    bound.close()


async def test_a_change_is_taken_by_all() -> None:
    async with two() as (workers, hands):
        await workers.prepare(CHANGE)
        assert await workers.apply(CHANGE) == 6
        assert [hand.told for hand in hands] == [["Prepare", "Commit"]] * 2
        assert await workers.take_clients(CHANGE.clients) == 6


async def test_where_one_cannot_take_it_none_does() -> None:
    async with two() as (workers, hands):
        hands[1].refuses = "Prepare"
        with pytest.raises(messages.WorkerFault, match="a file is not there for me"):
            await workers.prepare(CHANGE)
        assert [hand.told for hand in hands] == [["Prepare"]] * 2


async def test_one_that_has_gone_keeps_nobody_from_it() -> None:
    async with two() as (workers, hands):
        workers.crew.members[0].desk._end()
        await workers.prepare(CHANGE)
        assert await workers.apply(CHANGE) == 3
        assert hands[0].told == []


async def test_one_that_drains_is_told_who_may_call_and_nothing_else() -> None:
    async with two() as (workers, hands):
        workers.crew.members[0].state = "draining"
        await workers.prepare(CHANGE)
        assert await workers.apply(CHANGE) == 6
        assert [hand.told for hand in hands] == [["Clients"], ["Prepare", "Commit"]]


class Process:
    """A worker's process, which somebody may kill."""

    is_killed = False

    def kill(self) -> None:
        self.is_killed = True


@pytest.mark.parametrize("refused", ["Clients", "Commit"])
async def test_one_that_cannot_take_what_holds_now_is_killed_and_the_others_go_on(refused: str) -> None:
    async with two() as (workers, hands):
        member = workers.crew.members[1]
        member.child = cast("Any", Process())
        await workers.prepare(CHANGE)
        hands[1].refuses = refused
        assert await (workers.apply(CHANGE) if refused == "Commit" else workers.take_clients(CHANGE.clients)) == 3
        assert cast("Any", member.child).is_killed
        assert "a file is not there for me" in member.failure


async def test_one_of_before_is_told_who_may_call_now() -> None:
    async with two() as (workers, hands):
        await workers.catch_up(workers.crew.members[0])
        assert [hand.told for hand in hands] == [["Clients"], []]


async def test_they_are_handed_over_only_if_each_waits(autojump_clock: MockClock) -> None:
    async with two() as (workers, hands):
        hands[1].refuses = "Pause"
        with pytest.raises(NotPaused):
            await workers.pause()
        assert not any(member.is_paused for member in workers.crew.members)
        hands[1].refuses = ""
        await workers.pause()
        assert all(member.is_paused for member in workers.crew.members)


async def test_nothing_is_half_said_when_they_are_handed_over(autojump_clock: MockClock) -> None:
    async with two() as (workers, hands):
        first, second = (member.desk for member in workers.crew.members)
        hands[1].is_stopped = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.pause)
            await wait_all_tasks_blocked()
            first.tell(messages.Voice(({"a": bytes(1 << 20)},)))
            assert not first.is_quiet
            hands[1].go_on.set()
        assert first.is_quiet
        assert second.is_quiet
        first.mute()
        first.tell(messages.Voice(({"a": bytes(1 << 20)},)))
        assert first.is_quiet


async def test_a_pause_that_is_given_up_leaves_nobody_waiting(autojump_clock: MockClock) -> None:
    async with two() as (workers, hands):
        hands[1].is_stopped = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.pause)
            await wait_all_tasks_blocked()
            assert all(member.is_paused for member in workers.crew.members)
            nursery.cancel_scope.cancel()
        assert not any(member.is_paused for member in workers.crew.members)
        while hands[0].resumed == 0:  # noqa: ASYNC110  the kernel carries it
            await trio.sleep(0.001)


async def test_none_is_begun_when_they_are_handed_over() -> None:
    async with two() as (workers, _):
        workers.crew.is_handed_over = True
        await workers.crew._keep(0)
        assert workers.crew.restarts == 0


async def test_one_that_would_have_to_be_told_too_much_is_not_begun_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec, "MAX_FRAME_BYTES", 1_000)
    welcome = messages.Leaf(PackedIdentity(Secret("key", b"k"), (bytes(1_000),)))
    async with two() as (workers, _):
        workers.crew._welcome = lambda *_: cast("Any", welcome)
        assert "larger than a frame may be" in await workers.crew._live_once(0)
        assert len(workers.crew.members) == 2


def left_by(before: Configuration, sockets: dict[str, tuple[int, ...]]) -> Handover:
    """What a supervisor leaves that listens so."""
    return Handover(
        sockets=sockets,
        addresses=addresses_of(before),
        workers=(),
        records=0,
        living=(),
        past=msgspec.convert({"began_at": 0.0}, type=Handover.__annotations__["past"]),
        metrics=msgspec.convert([[]], type=Handover.__annotations__["metrics"]),
    )


def test_sockets_that_are_to_be_elsewhere_now_are_not_taken_over() -> None:
    before = build({"listeners": {"second": {"address": "127.0.0.1:2"}}})
    after = build({"listeners": {"second": {"address": "127.0.0.1:3"}}})
    kept, left = socket.socketpair()
    handover = left_by(before, {"listener": (kept.fileno(),), "listeners.second": (left.detach(),)})
    assert handover.sockets_for(after) == {"listener": (kept.fileno(),)}
    assert kept.recv(1) == b"", "the other one is closed"
    kept.close()


def test_a_listener_that_is_called_something_else_now_keeps_its_sockets() -> None:
    before = build({"listeners": {"second": {"address": "127.0.0.1:2"}, "third": {"address": "127.0.0.1:3"}}})
    after = build({"listeners": {"other": {"address": "127.0.0.1:2"}, "second": {"address": "127.0.0.1:3"}}})
    handover = left_by(before, {"listener": (50,), "listeners.second": (51, 52), "listeners.third": (53, 54)})
    assert handover.sockets_for(after) == {"listener": (50,), "listeners.other": (51, 52), "listeners.second": (53, 54)}


def test_the_ready_file_goes_where_a_newer_program_cannot_begin_or_has_another(tmp_path: Path) -> None:
    before, ours = tmp_path / "ready", tmp_path / "other"
    handover = msgspec.structs.replace(left_by(build({}), {}), ready_file=str(before))
    before.touch()
    with ready_meanwhile(handover, str(before)):
        assert before.exists()
    assert before.exists()
    with pytest.raises(KeyError), ready_meanwhile(handover, str(before)):
        raise KeyError
    assert not before.exists()
    before.touch()
    with ready_meanwhile(handover, str(ours)):
        assert not before.exists()
    with ready_meanwhile(None, str(ours)):
        pass


@pytest.mark.parametrize("value", ["", "x", "999999"])
def test_what_nobody_has_left_is_named(value: str) -> None:
    with pytest.raises(HandoverInvalid, match="SOTTOVOCE_HANDOVER"):
        find({"SOTTOVOCE_HANDOVER": value})
    assert find({}) is None
