"""`Crew`: worker processes, kept running.

spawn ─▶ starting ─▶ serving ─▶ gone: another accepts from its sockets, and it is started again, later each time
                        └─▶ draining: a stop, or an upgrade
"""

import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import trio

from sottovoce.admin import WorkersStatus, WorkerStatus
from sottovoce.app.floor import Load, Loss, Staff, total
from sottovoce.app.workers.backoff import Backoff
from sottovoce.app.workers.child import Child, start_child
from sottovoce.app.workers.desk import messages
from sottovoce.app.workers.desk.codec import DeskBroken
from sottovoce.app.workers.desk.desk import Desk
from sottovoce.app.workers.handover import OldWorker
from sottovoce.app.workers.member import Lending, Member
from sottovoce.app.workers.places import Sockets, share_out
from sottovoce.observe import Logger, events
from sottovoce.primitives import SottovoceError
from sottovoce.transport import Clock

START_SECONDS = 60.0
"""A worker that cannot take calls by then is killed."""
HUNG_SECONDS = 30.0
"""A worker that was not heard of for so long is killed: it tells what it carries every second."""
_LATE_SECONDS = 1.0
_MAX_NOTED = 100
_END_SECONDS = 2.0
"""For workers that are cut off."""
_LAST_WORDS_SECONDS = 1.0
"""For what a worker had said before it ended to be read."""

Welcome = Callable[[int, tuple[int, ...]], messages.Welcome]
"""Gives the first message to a worker, whose place is named, with the places to accept from."""
CatchUp = Callable[[Member], Awaitable[None]]
"""Tells a worker of before what has changed meanwhile."""


class WorkerFailed(SottovoceError):
    """A worker could not begin, so the proxy cannot."""


class Crew:
    """As many workers as there are to be, and those of before that drain."""

    def __init__(  # noqa: PLR0913  what it is made of
        self,
        count: int,
        sockets: Sockets,
        lending: Lending,
        welcome: Welcome,
        catch_up: CatchUp,
        *,
        past: Load | None,
        without: Iterable[str],
        logger: Logger,
        clock: Clock,
    ) -> None:
        """Start none yet.  Workers get none of the environment's variables that are named in `without`."""
        self.count = count
        self.restarts = 0
        self._losses: deque[Loss] = deque(maxlen=_MAX_NOTED)
        self._clock = clock
        self.members: list[Member] = []
        self.is_handed_over = False
        """Whether the workers go on, and somebody else keeps them."""
        self._sockets = sockets
        self._lending = lending
        self._welcome = welcome
        self._catch_up = catch_up
        self._without = tuple(without)
        self._logger = logger
        self.past = past or Load(began_at=clock.now())
        """What those had carried that have gone."""
        self._next_number = 1
        self._places = max(len(each) for each in sockets.values())
        self._may_fail = True
        """Whether a worker that cannot begin is the end of a start."""
        self._failed = ""
        self._changed = trio.lowlevel.ParkingLot()
        self._leaving: messages.Drain | None = None
        self._told_to_leave = trio.Event()

    @property
    def load(self) -> Load:
        """What is and was carried, as workers told it last."""
        told = (member.load for member in self.members if member.load is not None)
        return total((self.past, *told), self.past.began_at)

    @property
    def staff(self) -> Staff:
        """The workers."""
        now = trio.current_time()
        each = tuple(
            WorkerStatus(
                member.place,
                member.child.pid,
                member.state,
                round(now - member.since, 3),
                0 if member.load is None else member.load.calls.now,
            )
            for member in self.members
        )
        return Staff(WorkersStatus(self.count, self.restarts, each), tuple(self._losses))

    @property
    def taking(self) -> list[Member]:
        """Those that take calls, or soon do."""
        return [member for member in self.members if member.state != "draining"]

    async def run(self, old: Iterable[OldWorker], *, task_status: trio.TaskStatus[None]) -> None:
        """Keep them running until told to drain; started when all take calls.

        Those of before go on meanwhile, and take nobody any more then.  Without any, raises WorkerFailed where one
        cannot begin; while they have the calls, it is tried again.
        """
        async with trio.open_nursery() as nursery:
            for each in old:
                self._may_fail = False
                nursery.start_soon(self._live, member := self._adopted(each))
                nursery.start_soon(self._catch_up, member)
            async with trio.open_nursery() as keeping:
                for place in range(self.count):
                    keeping.start_soon(self._keep, place)
                while sum(member.state == "serving" for member in self.members) < self.count:
                    if self._failed:
                        raise WorkerFailed(self._failed)
                    await self._changed.park()
                for member in self.members:
                    if member.place is None and self._leaving is None:
                        member.desk.tell(self._lending.retire())
                self._may_fail = False
                task_status.started()

    async def gone(self) -> None:
        """Wait until all have left that were told to drain."""
        await self._told_to_leave.wait()
        while self.members:
            await self._changed.park()

    def drain(self, spread_seconds: float, stop_seconds: float) -> None:
        """Have all let nobody in, send their calls away, and end."""
        self._leaving = messages.Drain(spread_seconds, stop_seconds)
        self._told_to_leave.set()
        for member in self.members:
            self._send_away(member)

    async def cut_off(self) -> None:
        """End those that are still there.  Cancellation does not reach it."""
        with trio.CancelScope(shield=True):
            self.drain(0, 0)
            with trio.move_on_after(_END_SECONDS):
                await self.gone()
            for member in self.members:
                member.child.kill()
            await self.gone()

    async def _keep(self, place: int) -> None:
        """Keep the worker of a place running until told to drain, or somebody else keeps them."""
        backoff = Backoff()
        while self._leaving is None and not self.is_handed_over:
            began = trio.current_time()
            reason = await self._live_once(place)
            seconds = backoff.ended(trio.current_time() - began)
            if self._leaving is not None:
                return
            if self._may_fail:
                self._failed = f"worker {place} could not begin: {reason} (see the lines before this one)"
                self._changed.unpark_all()
                return
            self.restarts += 1
            self._losses.append(Loss(self._clock.now(), place, reason))
            self._logger.error(events.WORKER_LOST, worker=place, reason=reason, retry_seconds=seconds)
            with trio.move_on_after(seconds):
                await self._told_to_leave.wait()

    async def _live_once(self, place: int) -> str:
        """Start a worker, and stay with it to its end; say how that was."""
        try:
            member = self._start(place)
        except OSError as error:
            await trio.lowlevel.checkpoint()
            return f"no process could be started ({error.strerror})"
        except DeskBroken as error:
            await trio.lowlevel.checkpoint()
            return str(error)
        ended = await self._live(member)
        return member.failure or ended

    def _start(self, place: int) -> Member:
        """Start a worker and welcome it.  Raises OSError, or DeskBroken where too much is to be said; none is there."""
        ours, theirs = socket.socketpair()
        desk = Desk(ours)
        inherited = [bound.fileno() for each in self._sockets.values() for bound in each]
        places = share_out(self._places, range(self.count))[place]
        try:
            with theirs:
                welcome = self._welcome(place, places)
                with welcome.leaf.key:
                    desk.tell(welcome)
                child = start_child(theirs, (*inherited, self._lending.records.descriptor), self._without)
        except (OSError, DeskBroken):
            desk.close()
            raise
        member = Member(self._next_number, place, child, desk, self._lending)
        self._next_number += 1
        member.places = places
        self._came(member)
        return member

    def _adopted(self, old: OldWorker) -> Member:
        self._next_number = max(self._next_number, old.number + 1)
        desk = Desk(socket.socket(fileno=old.desk), asked=old.asked)
        member = Member(old.number, None, Child(old.pid), desk, self._lending)
        member.desk.tell(messages.Resume())
        self._came(member)
        return member

    def _came(self, member: Member) -> None:
        self.members.append(member)
        self._lending.metrics.began(member.number)

    async def _live(self, member: Member) -> str:
        """Stay with a worker to its end; say how that was."""
        try:
            async with trio.open_nursery() as nursery:
                talking = trio.Event()
                nursery.start_soon(self._talk, member, talking)
                nursery.start_soon(self._watch, member)
                ended = await member.child.ended()
                with trio.move_on_after(_LAST_WORDS_SECONDS):
                    await talking.wait()
                nursery.cancel_scope.cancel()
        finally:
            if self.is_handed_over:
                member.desk.detach()
            else:
                member.desk.close()
            member.child.close()
            self._left(member)
        return ended

    def _left(self, member: Member) -> None:
        self.members.remove(member)
        self._lending.metrics.ended(member.number)
        if member.load is not None:
            self.past = total((self.past, member.load.past()), self.past.began_at)
        if member.state == "draining" and not self.is_handed_over:
            self._logger.info(events.WORKER_ENDED, pid=member.child.pid)
        self._share_out()
        self._changed.unpark_all()

    async def _talk(self, member: Member, over: trio.Event) -> None:
        """Hear a worker and answer it until it has gone; a bug of ours about it ends no other."""

        def hear(message: msgspec.Struct) -> None:
            if member.hear(message):
                self._serves(member)

        async def answer(question: msgspec.Struct) -> msgspec.Struct:
            try:
                return await member.answer(question)
            except SottovoceError:
                raise
            except Exception as error:  # noqa: BLE001  the worker goes on, and hears of it
                self._crashed(error)
                raise messages.WorkerFault("a bug of the supervisor kept it from answering: see its log") from None

        try:
            await member.desk.run(hear, answer)
        except DeskBroken as error:
            member.failure = str(error)
            member.child.kill()
        except Exception as error:  # noqa: BLE001  the others go on
            self._crashed(error)
            member.child.kill()
        over.set()

    def _crashed(self, error: Exception) -> None:
        self._logger.error(events.TASK_CRASHED, task="desk", exc_info=error)

    def _serves(self, member: Member) -> None:
        self._logger.info(events.WORKER_STARTED, worker=member.place, pid=member.child.pid)
        self._send_away(member)
        self._share_out()
        self._changed.unpark_all()

    async def _watch(self, member: Member) -> None:
        """Kill a worker that does not begin, or says nothing any more."""
        while True:
            due = trio.current_time() + HUNG_SECONDS / 2
            await trio.sleep_until(due)
            if trio.current_time() > due + _LATE_SECONDS:
                continue  # it was we who stood still: what workers said meanwhile is still to be read
            silent = trio.current_time() - member.heard_at
            if silent > (START_SECONDS if member.state == "starting" else HUNG_SECONDS) and not member.is_paused:
                member.failure = f"it said nothing for {silent:.0f} s, and was killed"
                member.child.kill()

    def _share_out(self) -> None:
        """Have every place accepted from by somebody."""
        serving = {member.place: member for member in self.members if member.state == "serving"}
        shares = share_out(self._places, (place for place in serving if place is not None))
        for place, places in shares.items():
            member = serving[place]
            if member.places != places:
                member.places = places
                member.desk.tell(messages.Places(places))

    def _send_away(self, member: Member) -> None:
        if self._leaving is not None:
            member.state = "draining"
            member.desk.tell(self._leaving)
