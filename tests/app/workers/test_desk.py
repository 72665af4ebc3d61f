"""Both ends of a desk, over a real socketpair."""

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.app.workers.desk import desk as desk_module
from sottovoce.app.workers.desk import messages
from sottovoce.app.workers.desk.codec import DeskBroken, Frame
from sottovoce.app.workers.desk.desk import Desk, DeskClosed
from sottovoce.app.workers.desk.lent import RemoteAudit, RemotePool
from sottovoce.app.workers.member import _MAY_ASK
from sottovoce.audit import AuditFailed, CallRefused, HsmSealed
from sottovoce.hsm import HsmBusy, HsmTimeout, HsmUnavailable, Operation
from sottovoce.identity import SIGN_ROOT, ClientsSources, RootSignatures, SignRoot
from sottovoce.primitives import ApiMisuse
from sottovoce.session import LeafKind

ROOT = SignRoot(LeafKind.SERVER_VERIFY, b"r" * 48)


class Supervisor:
    """The other end, by hand."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.heard: list[msgspec.Struct] = []
        self.asked: list[msgspec.Struct] = []
        self.answers: Any = None
        self.cancelled = 0

    async def answer(self, question: msgspec.Struct) -> msgspec.Struct:
        self.asked.append(question)
        try:
            return await self.answers(question)
        except trio.Cancelled:
            self.cancelled += 1
            raise


def nothing(_: msgspec.Struct) -> None:
    """A worker that is told nothing."""


async def paused(_: msgspec.Struct) -> msgspec.Struct:
    await trio.lowlevel.checkpoint()
    return messages.Done()


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[Desk, Supervisor]]:
    ours, theirs = (Desk(each) for each in socket.socketpair())
    supervisor = Supervisor(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run, nothing, paused)
        nursery.start_soon(theirs.run, supervisor.heard.append, supervisor.answer)
        yield ours, supervisor
        nursery.cancel_scope.cancel()
    ours.close()
    theirs.close()


async def sign(question: msgspec.Struct) -> msgspec.Struct:
    assert isinstance(question, messages.Ask)
    await trio.lowlevel.checkpoint()
    fields = msgspec.msgpack.encode(RootSignatures(b"classical", b"pq"))
    return messages.Answer(min(question.questions), fields)


async def test_a_question_goes_to_every_node_that_can_answer_and_one_does() -> None:
    async with pair() as (worker, supervisor):
        supervisor.answers = sign
        pool = RemotePool(worker, ("a", "b", "c"), 3)
        answered = await pool.call_on(SIGN_ROOT, lambda node: None if node == "a" else ROOT, deadline_seconds=60)
        assert (answered.node, answered.answer) == ("b", RootSignatures(b"classical", b"pq"))
        (asked,) = supervisor.asked
        assert isinstance(asked, messages.Ask)
        assert asked.questions.keys() == {"b", "c"}
        assert (await pool.call(SIGN_ROOT, ROOT, deadline_seconds=60)).classical == b"classical"


async def test_an_error_of_the_pool_is_the_same_at_the_worker() -> None:
    async def busy(_: msgspec.Struct) -> msgspec.Struct:
        await trio.lowlevel.checkpoint()
        raise HsmBusy("8192 calls wait already")

    async with pair() as (worker, supervisor):
        supervisor.answers = busy
        with pytest.raises(HsmBusy, match="8192 calls"):
            await RemotePool(worker, ("a",), 1).call(SIGN_ROOT, ROOT, deadline_seconds=60)


async def test_whoever_is_cancelled_is_not_worked_for(autojump_clock: MockClock) -> None:
    async def never(_: msgspec.Struct) -> msgspec.Struct:
        await trio.sleep_forever()
        raise AssertionError

    async with pair() as (worker, supervisor):
        supervisor.answers = never
        pool = RemotePool(worker, ("a",), 1)
        with trio.move_on_after(0.05):
            await pool.call(SIGN_ROOT, ROOT, deadline_seconds=60)
        while not supervisor.cancelled:  # noqa: ASYNC110  the kernel carries it
            await trio.sleep(0.01)
        with pytest.raises(HsmTimeout):
            await pool.call(SIGN_ROOT, ROOT, deadline_seconds=0.1)


async def test_when_the_other_end_goes_nobody_is_left_waiting() -> None:
    ours, theirs = socket.socketpair()
    desk = Desk(ours)
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await RemotePool(desk, ("a",), 1).call(SIGN_ROOT, ROOT, deadline_seconds=60)
        except HsmUnavailable as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run, nothing, paused)
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        theirs.close()
    assert len(errors) == 1
    with pytest.raises(DeskClosed):
        await desk.ask(messages.Settle(), messages.Done)
    with pytest.raises(AuditFailed):
        await RemoteAudit(desk).settle()
    desk.tell(messages.Resume())
    desk.close()


async def test_what_a_call_notes_stands_before_what_it_settles() -> None:
    async def settled(_: msgspec.Struct) -> msgspec.Struct:
        await trio.lowlevel.checkpoint()
        return messages.Done()

    event = CallRefused(code=4401, reason="auth_failed", client="192.0.2.1:1")
    async with pair() as (worker, supervisor):
        supervisor.answers = settled
        audit = RemoteAudit(worker)
        for _ in range(500):
            audit.note(event)
        await audit.settle()
        assert supervisor.heard == [messages.Note(event)] * 500
        with pytest.raises(ApiMisuse):
            audit.note(HsmSealed(reason="not a worker's to say"))


async def test_paused_it_says_nothing_until_it_may_go_on() -> None:
    async with pair() as (worker, supervisor):
        await supervisor.desk.ask(messages.Pause(), messages.Done)
        worker.tell(messages.Ready(1))
        await supervisor.desk.quiet()
        await wait_all_tasks_blocked(0.01)
        assert supervisor.heard == []
        worker.release()
        while not supervisor.heard:  # noqa: ASYNC110  the kernel carries it
            await trio.sleep(0.001)
        assert supervisor.heard == [messages.Ready(1)]


async def test_a_kind_of_another_version_is_refused_as_a_question_and_passed_over_as_news() -> None:
    class Unheard(msgspec.Struct, frozen=True):
        pass

    async with pair() as (worker, supervisor):
        supervisor.answers = sign
        worker.tell(Unheard())
        with pytest.raises(messages.WorkerFault, match="not known here"):
            await worker.ask(Unheard(), messages.Done)
        assert supervisor.heard == supervisor.asked == []


async def test_more_than_a_socket_takes_waits_and_arrives() -> None:
    async with pair() as (worker, supervisor):
        big = messages.Voice(({"a": bytes(1 << 20)},) * 4)
        worker.tell(big)
        worker.tell(messages.Resume())
        while len(supervisor.heard) < 2:  # noqa: ASYNC110  the kernel carries it
            await trio.sleep(0.001)
        assert supervisor.heard[0] == big


def test_only_what_calls_need_may_be_asked_of_a_token() -> None:
    assert set(_MAY_ASK) == {"sign_root", "open_ticket_key"}
    assert all(isinstance(each, Operation) for each in _MAY_ASK.values())


async def test_what_is_no_frame_ends_the_desk_and_says_so() -> None:
    ours, theirs = socket.socketpair()
    desk = Desk(ours)
    theirs.sendall(b"\x00\x00\x00\x03abc")
    with pytest.raises(DeskBroken):
        await desk.run(nothing, paused)
    assert desk.has_gone
    desk.close()
    theirs.close()


async def test_what_nobody_is_there_to_read_is_overwritten() -> None:
    ours, theirs = socket.socketpair()
    desk = Desk(ours)
    desk.tell(messages.Voice(({"a": bytes(1 << 20)},)))
    desk.tell(messages.Answer("a", b"private bytes"))
    waiting = tuple(desk._outbox)
    theirs.close()
    desk._write()
    assert len(waiting) == 2
    assert not any(map(any, waiting))
    desk.close()


async def test_an_answer_that_comes_too_late_is_overwritten() -> None:
    ours, theirs = socket.socketpair()
    desk = Desk(ours)
    message = messages.Answer("a", msgspec.msgpack.encode(b"the key that was opened"))
    seen: list[bytes] = []

    def decoded(*_: object) -> messages.Answer:
        seen.append(message.fields)
        return message

    frame = Frame("Answer", 7, b"body as it came over")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk_module, "decode_body", decoded)
        async with trio.open_nursery() as nursery:
            desk._take(frame, nothing, paused, nursery)
    assert not any(seen[0])
    assert not any(frame.body)
    desk.close()
    theirs.close()


async def test_a_late_answer_is_none_to_the_first_question_of_whoever_came_after() -> None:
    ours, theirs = socket.socketpair()
    before, worker = Desk(ours), Desk(theirs)
    takes = {messages.Commit: trio.Event(), messages.Clients: trio.Event()}
    answered: list[messages.Done] = []

    async def answer(question: msgspec.Struct) -> msgspec.Struct:
        if (until := takes.get(type(question))) is not None:
            await until.wait()
        return messages.Done(7 if isinstance(question, messages.Commit) else 3)

    async def asked_by(after: Desk) -> None:
        answered.append(await after.ask(messages.Clients(ClientsSources()), messages.Done))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, nothing, answer)
        async with trio.open_nursery() as first:
            first.start_soon(before.run, nothing, paused)
            first.start_soon(before.ask, messages.Commit(), messages.Done)
            await wait_all_tasks_blocked()
            await before.ask(messages.Pause(), messages.Done)
            before.mute()
            first.cancel_scope.cancel()
        after = Desk(socket.socket(fileno=os.dup(ours.fileno())), asked=before.asked)
        nursery.start_soon(after.run, nothing, paused)
        nursery.start_soon(asked_by, after)
        worker.release()
        takes[messages.Commit].set()
        await wait_all_tasks_blocked()
        assert not answered
        takes[messages.Clients].set()
        while not answered:  # noqa: ASYNC110  the kernel carries it
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    assert answered == [messages.Done(3)]
    for desk in (before, after, worker):
        desk.close()


async def test_a_worker_that_ends_while_it_is_paused_has_its_last_words_heard(autojump_clock: MockClock) -> None:
    async with pair() as (worker, supervisor):
        await supervisor.desk.ask(messages.Pause(), messages.Done)
        worker.tell(messages.Ready(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.released)
            await trio.sleep(60)
            assert len(nursery.child_tasks) == 1, "a worker does not end"
            worker.release()
        await worker.quiet()
        while not supervisor.heard:  # noqa: ASYNC110  the kernel carries it
            await trio.sleep(0.001)
        await worker.released()
