"""`Workers`: the processes that carry a proxy's calls.  A Carrier.

What a worker is told goes to all that live, those that drain among them: whoever may no longer call loses his call
there, too.  A changed configuration is for those that take calls.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import msgspec
import trio

from sottovoce.app.floor import Change, Load, Staff
from sottovoce.app.workers.child import TLS_VARIABLES
from sottovoce.app.workers.crew import Crew
from sottovoce.app.workers.desk import messages
from sottovoce.app.workers.desk.desk import DeskClosed
from sottovoce.app.workers.handover import Handover, OldWorker, addresses_of
from sottovoce.app.workers.member import Lending, Member
from sottovoce.app.workers.places import Sockets, address_of, close_places
from sottovoce.hsm.seal import Effects
from sottovoce.identity import ClientsContents, LivingTicketKey
from sottovoce.observe import Logger
from sottovoce.pki import PackedIdentity, pack_identity
from sottovoce.primitives import ApiMisuse, SottovoceError
from sottovoce.settings import Configuration
from sottovoce.transport import Clock, TlsIdentity

_PAUSE_SECONDS = 10.0


class NotPaused(SottovoceError):
    """A worker did not say that it waits, so nobody else can take its desk."""


class Workers:
    """Told as a Carrier is, also before it runs; `run` has the processes."""

    def __init__(  # noqa: PLR0913  what it is made of
        self,
        count: int,
        change: Change,
        file: str,
        sockets: Sockets,
        lending: Lending,
        *,
        past: Load | None,
        logger: Logger,
        clock: Clock,
    ) -> None:
        """Take how many there are to be, what they are lent, and what those before them had carried."""
        self._change = change
        self._file = file
        self.addresses = {name: address_of(sockets, name) for name in sockets}
        """`host:port` of each listener, as it was got."""
        self._sockets = sockets
        self._lending = lending
        self._identity: TlsIdentity | None = None
        process, without = change.configuration.process, change.configuration.hsm.pin_variables
        if not process.allow_tls_environment:
            without |= TLS_VARIABLES
        self.crew = Crew(
            *(count, sockets, lending, self._welcome, self.catch_up),
            past=past,
            without=without,
            logger=logger,
            clock=clock,
        )

    @property
    def load(self) -> Load:
        """What is and was carried, as workers told it last."""
        return self.crew.load

    @property
    def staff(self) -> Staff:
        """The workers."""
        return self.crew.staff

    @property
    def configuration(self) -> Configuration:
        """The one that was taken last."""
        return self._change.configuration

    def install(self, identity: TlsIdentity) -> None:
        """Have connections served from now on under this certificate."""
        self._identity = identity
        for member in self.crew.members:
            packed = self._leaf()
            with packed.key:
                member.desk.tell(messages.Leaf(packed))

    def heed(self, effects: Effects) -> None:
        """Tell what it means that the HSM was sealed or unsealed; never waits."""
        self._tell(messages.Sealed(effects))

    def voice_changed(self) -> None:
        """Tell of all voice certificates."""
        self._tell(messages.Voice(self._voice()))

    def ticket_keys(self, living: tuple[LivingTicketKey, ...]) -> None:
        """Tell of all ticket keys."""
        self._tell(messages.TicketKeys(living))

    async def prepare(self, change: Change) -> None:
        """See that each can take a changed configuration.  Raises WorkerFault, with what one says that cannot."""
        for member in self.crew.members:
            member.is_prepared = False
        await _by_all(self.crew.taking, partial(_prepare, given=_given(change)))

    async def apply(self, change: Change) -> int:
        """Have all take it, also one that began meanwhile; gives how many calls that ended."""
        self._change = change
        draining = [member for member in self.crew.members if member.state == "draining"]
        ended = await _by_all(self.crew.taking, _or_ended(partial(_commit, given=_given(change))))
        return ended + await _by_all(draining, _or_ended(partial(_take_clients, clients=change.clients)))

    async def take_clients(self, contents: ClientsContents) -> int:
        """Let these call from now on, and end the calls of those who may no longer; gives how many ended."""
        self._change = msgspec.structs.replace(self._change, clients=contents)
        return await _by_all(self.crew.members, _or_ended(partial(_take_clients, clients=contents)))

    async def catch_up(self, member: Member) -> None:
        """Tell a worker of before who may call now: that may have changed while nobody was there to tell it."""
        clients = self._change.clients
        await _by_all((member,), _or_ended(partial(_take_clients, clients=clients)))

    async def recheck(self) -> None:
        """End the calls of those whose time is over."""
        await trio.lowlevel.checkpoint()
        self._tell(messages.Recheck())

    async def serve(self) -> None:
        """Wait until all have drained."""
        await self.crew.gone()

    def drain(self, spread_seconds: float, stop_seconds: float) -> None:
        """Have all let nobody in, send their calls away, and end; whoever comes is refused by the kernel."""
        self.crew.drain(spread_seconds, stop_seconds)
        close_places(self._sockets)

    async def pause(self) -> None:
        """Have every worker say nothing more, and answer all that they have asked.

        Raises NotPaused where one does not; then all go on as before, and so they do where this is cancelled.
        """
        try:
            with trio.fail_after(_PAUSE_SECONDS):
                # While one is waited for, another may be told something, and one that has died has a successor.
                while loud := [each for each in self.crew.members if not (each.is_paused and each.desk.is_quiet)]:
                    await _by_all(loud, _pause)
        except (trio.TooSlowError, SottovoceError):
            self.resume()
            raise NotPaused("a worker does not answer: see which one, and end it") from None
        except BaseException:
            self.resume()
            raise

    def resume(self) -> None:
        """Have them go on."""
        for member in self.crew.members:
            member.is_paused = False
        self._tell(messages.Resume())

    def hand_over(self) -> Handover:
        """Leave the workers, which are paused, and their sockets to somebody else: nothing of it is closed here."""
        self.crew.is_handed_over = True
        for member in self.crew.members:
            member.desk.mute()
        workers = tuple(
            OldWorker(member.number, member.child.pid, member.desk.descriptor, member.desk.asked)
            for member in self.crew.members
        )
        sockets = {name: tuple(bound.detach() for bound in each) for name, each in self._sockets.items()}
        lending = self._lending
        return Handover(
            sockets=sockets,
            addresses=addresses_of(self.configuration),
            workers=workers,
            records=lending.records.descriptor,
            living=lending.ticket_keys.hand_over(),
            past=self.crew.past,
            metrics=lending.metrics.handed_over(),
        )

    def _tell(self, message: msgspec.Struct) -> None:
        for member in self.crew.members:
            member.desk.tell(message)

    def _welcome(self, place: int, places: tuple[int, ...]) -> messages.Welcome:
        lending = self._lending
        count = max(len(each) for each in self._sockets.values())
        return messages.Welcome(
            worker=place,
            file=self._file,
            given=_given(self._change),
            nodes=lending.tokens.nodes,
            most_out=lending.tokens.most_out,
            sockets={
                name: tuple(each[number % len(each)].fileno() for number in range(count))
                for name, each in self._sockets.items()
            },
            places=places,
            records=lending.records.descriptor,
            leaf=self._leaf(),
            voice=self._voice(),
            ticket_keys=lending.ticket_keys.living,
            effects=lending.seal.effects,
        )

    def _leaf(self) -> PackedIdentity:
        if self._identity is None:
            raise ApiMisuse("workers begin with a TLS certificate")
        return pack_identity(self._identity)

    def _voice(self) -> tuple[dict[str, bytes], ...]:
        return tuple({node: each.encoded for node, each in one.items()} for one in self._lending.voice.sets)


@asynccontextmanager
async def running(workers: Workers, old: Iterable[OldWorker]) -> AsyncGenerator[None]:
    """Have the processes run until the block ends, and cut off those that are left then.  Raises WorkerFailed."""
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(workers.crew.run, old)
            try:
                yield
            finally:
                if not workers.crew.is_handed_over:
                    await workers.crew.cut_off()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The nurseries are our own affair: an error of the block, or of a start, comes out as it was raised.
        raise _alone(group) from None


def _alone(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0] if len(group.exceptions) == 1 else None
    if isinstance(error, BaseExceptionGroup):
        return _alone(cast("BaseExceptionGroup[BaseException]", error))
    return error or group


def _given(change: Change) -> messages.Given:
    return messages.Given(msgspec.msgpack.encode(change.configuration), change.clients.sources)


async def _by_all(members: Iterable[Member], do: Callable[[Member], Awaitable[int]]) -> int:
    """Have all do it at once; gives the sum.  One that goes meanwhile has done it.  Raises the first error."""
    counts: list[int] = []
    errors: list[SottovoceError] = []

    async def by_one(member: Member) -> None:
        try:
            counts.append(await do(member))
        except DeskClosed:
            pass  # its successor begins with what is so then
        except SottovoceError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for member in tuple(members):
            nursery.start_soon(by_one, member)
    if errors:
        raise errors[0]
    return sum(counts)


def _or_ended(do: Callable[[Member], Awaitable[int]]) -> Callable[[Member], Awaitable[int]]:
    """Have it done, or the worker killed: nobody goes on by what holds no longer."""

    async def done(member: Member) -> int:
        try:
            return await do(member)
        except DeskClosed:
            raise
        except SottovoceError as error:
            member.failure = f"it could not take what it was told ({error}), and was killed"
            member.child.kill()
            return 0

    return done


async def _prepare(member: Member, given: messages.Given) -> int:
    await member.desk.ask(messages.Prepare(given), messages.Done)
    member.is_prepared = True
    return 0


async def _commit(member: Member, given: messages.Given) -> int:
    if not member.is_prepared:
        await _prepare(member, given)
    member.is_prepared = False
    return (await member.desk.ask(messages.Commit(), messages.Done)).calls


async def _take_clients(member: Member, clients: ClientsContents) -> int:
    return (await member.desk.ask(messages.Clients(clients.sources), messages.Done)).calls


async def _pause(member: Member) -> int:
    if not member.is_paused:
        member.is_paused = True
        await member.desk.ask(messages.Pause(), messages.Done)
    await member.desk.quiet()
    return 0
