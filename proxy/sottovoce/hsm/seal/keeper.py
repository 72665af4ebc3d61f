"""The seal while the proxy runs: who has the PINs, who hears of a change, what is kept over a restart.

`seal` is a plain call that cannot fail: when it returns the PINs are overwritten and every follower was told.  That it
is on the disk comes after (`settle`); should that fail, a restart is sealed all the same, only without the reason.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import ExitStack, asynccontextmanager, contextmanager

import msgspec
import trio

from sottovoce.hsm.config import SealConfig
from sottovoce.hsm.seal.errors import KINDS, HsmSealed, SealDamaged, StateUnkept, UnsealingFailed
from sottovoce.hsm.seal.machine import SealClosed, SealEvent, SealMachine, SealOpened, State
from sottovoce.hsm.seal.pins import HeldPins
from sottovoce.hsm.seal.record import KeptState, SealRecord
from sottovoce.hsm.seal.seam import Effects, Follower, LentPin, effects_of
from sottovoce.hsm.seal.store import SealStore
from sottovoce.hsm.seal.unsealer import Answer, Unsealer
from sottovoce.primitives import Secret, one_line

_STARTED = "the proxy was started, and has PINs in memory only"
_MEANWHILE = "it was sealed meanwhile, or given up: begin again with the first share"


class StateLost(msgspec.Struct, frozen=True):
    """The state could not be written.  It holds all the same."""

    text: str


class SealStatus(msgspec.Struct, frozen=True):
    """How things stand; `since` is Unix seconds, `reason` why it is or was last sealed."""

    state: State
    since: int
    reason: str
    have: int
    wanted: int
    count: int


Report = Callable[[SealEvent | StateLost], None]


class SealKeeper:
    """The one seal of a proxy."""

    def __init__(  # noqa: PLR0913, PLR0917  what it is made of
        self,
        record: SealRecord,
        store: SealStore,
        config: SealConfig,
        wall: Callable[[], float],
        report: Report,
        pins: HeldPins,
        nursery: trio.Nursery,
    ) -> None:
        """Made by `open_seal` only."""
        self._record = record
        self._store = store
        self._config = config
        self._wall = wall
        self._report = report
        self._nursery = nursery
        self._followers: list[Follower] = []
        first = _first_state(store, record, int(wall()))
        self._machine = SealMachine(record.threshold, reason=first.reason, unseal_seconds=config.unseal_seconds)
        self._since = first.since
        self._unkept: KeptState | None = first
        self._trouble: str | None = None
        self._pins = pins
        self._unsealer: Unsealer | None = None
        self._sealings = 0
        self._offering = trio.Lock()
        self._changed = trio.Event()

    @property
    def status(self) -> SealStatus:
        """How things stand."""
        machine, record = self._machine, self._record
        return SealStatus(machine.state, self._since, machine.reason, machine.have, record.threshold, record.count)

    @property
    def effects(self) -> Effects:
        """What that means for calls."""
        return effects_of(self._machine.state, self._config)

    @property
    def is_open(self) -> bool:
        """Whether it is unsealed."""
        return self._machine.state is State.UNSEALED

    @property
    def places(self) -> dict[str, LentPin]:
        """By node, where its PIN is while there is one: the same from start to end."""
        return self._pins.places

    def lend(self, node: str) -> LentPin:
        """Say where a node's PIN is.  Raises HsmSealed."""
        if not self.is_open:
            raise HsmSealed(f"the HSM is sealed ({self._machine.reason}): it takes {self._record.threshold} shares")
        place = self.places.get(node)
        if place is None:
            raise HsmSealed(f"there is no PIN for node {node}: it was not sealed with the others, make a new seal")
        return place

    @contextmanager
    def followed_by(self, follower: Follower) -> Generator[None]:
        """Tell `follower` of each change until the block ends; it must not wait."""
        self._followers.append(follower)
        try:
            yield
        finally:
            self._followers.remove(follower)

    def seal(self, reason: str) -> None:
        """Seal, at once.  An ExceptionGroup of what followers raised comes when all were told."""
        self._sealings += 1
        events = self._machine.seal(one_line(reason))
        self._end_unsealer()
        self._pins.drop()
        self._tell(events)

    async def offer(self, share: Secret) -> SealStatus:
        """Count a share; with the last one it is unsealed.  Raises a SealError that says what is wrong with it.

        The caller wipes `share`.  Cancelled here, the unsealing is given up.  An ExceptionGroup of what followers
        raised comes when all were told, and the share counts.
        """
        async with self._offering:
            self._machine.check_offer()
            unsealer = self._unsealer or await self._start_unsealer()
            try:
                answer = await self._ask(unsealer, share)
            except BaseException as error:
                if self._unsealer is unsealer:
                    self._give_up(str(error) or "the command was broken off")
                raise
            self._take(unsealer, answer)
            return self.status

    async def settle(self) -> None:
        """Wait until the state is on the disk.  Raises StateUnkept."""
        await trio.lowlevel.checkpoint()
        while self._unkept is not None:
            await self._changed.wait()
        if self._trouble is not None:
            raise StateUnkept(self._trouble)

    async def run(self) -> None:
        """Keep states, and give up what takes too long, until cancelled."""
        while True:
            changed = self._changed
            if self._unkept is not None:
                await self._keep(self._unkept)
                continue
            events = self._machine.on_deadline(trio.current_time())
            if events:
                self._end_unsealer()
                self._tell(events)
                continue
            deadline = self._machine.next_deadline()
            with trio.move_on_at(float("inf") if deadline is None else deadline):
                await changed.wait()

    def close(self) -> None:
        """Drop everything.  The reason for the next start is that it was started."""
        self._end_unsealer()
        self._pins.drop()

    def keep_last(self) -> None:
        """Write what is not written; once `run` has ended, for two who write are in each other's way."""
        if self._unkept is not None:
            try:
                self._store.keep(self._unkept)
            except StateUnkept as error:
                self._report(StateLost(str(error)))

    async def _start_unsealer(self) -> Unsealer:
        sealings = self._sealings
        unsealer = await Unsealer.start(self._record)
        self._nursery.start_soon(unsealer.tend)
        self._unsealer = unsealer
        if sealings != self._sealings:
            self._end_unsealer()
            raise UnsealingFailed(_MEANWHILE)
        return unsealer

    async def _ask(self, unsealer: Unsealer, share: Secret) -> Answer:
        try:
            with trio.fail_after(self._config.unseal_seconds):
                answer = await unsealer.ask(share)
        except trio.TooSlowError:
            raise UnsealingFailed("the process that gathers shares does not answer: begin again") from None
        except UnsealingFailed:
            if self._unsealer is not unsealer:
                raise UnsealingFailed(_MEANWHILE) from None
            raise
        if self._unsealer is not unsealer:
            raise UnsealingFailed(_MEANWHILE)
        return answer

    def _take(self, unsealer: Unsealer, answer: Answer) -> None:
        if answer.failure is not None:
            if answer.have == self._record.threshold:
                self._give_up(answer.failure.text)
            elif answer.have == 0:
                self._end_unsealer()
            raise KINDS.get(answer.failure.kind, UnsealingFailed)(answer.failure.text)
        if answer.is_open:
            self._fetch_pins(unsealer)
        events = self._machine.share_counted(trio.current_time())
        if answer.is_open:
            events += self._machine.opened()
        self._tell(events)

    def _fetch_pins(self, unsealer: Unsealer) -> None:
        try:
            self._pins.fill_from(unsealer.pins)
        except OSError as error:
            self._pins.drop()
            text = f"the PINs cannot be held in memory ({error.strerror}): free some, and begin again"
            self._give_up(text)
            raise UnsealingFailed(text) from None
        self._end_unsealer()

    def _give_up(self, why: str) -> None:
        self._end_unsealer()
        self._tell(self._machine.given_up(one_line(why)))

    def _end_unsealer(self) -> None:
        if self._unsealer is not None:
            self._unsealer.kill()
            self._unsealer.pins.close()
            self._unsealer = None

    def _tell(self, events: Iterable[SealEvent]) -> None:
        errors: list[Exception] = []
        for event in events:
            if isinstance(event, SealClosed | SealOpened):
                self._since = int(self._wall())
                is_sealed = isinstance(event, SealClosed)
                self._unkept = KeptState(
                    seal=self._record.id, is_sealed=is_sealed, since=self._since, reason=self._machine.reason
                )
            for follower in (*self._followers, self._report):
                try:
                    follower(event)
                except Exception as error:  # noqa: BLE001  the others must hear of it too
                    errors.append(error)
        self._wake()
        if errors:
            raise ExceptionGroup("who follows the seal failed", errors)

    async def _keep(self, state: KeptState) -> None:
        trouble: str | None = None
        try:
            await trio.to_thread.run_sync(self._store.keep, state)
        except StateUnkept as error:
            trouble = str(error)
            self._report(StateLost(trouble))
        if self._unkept is state:
            self._unkept, self._trouble = None, trouble
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _first_state(store: SealStore, record: SealRecord, now: int) -> KeptState:
    """Sealed, for the reason that was kept if there is one."""
    try:
        kept, reason = store.read_state(), _STARTED
    except SealDamaged as error:
        kept, reason = None, one_line(str(error))
    if kept is not None and kept.seal == record.id and kept.is_sealed:
        return kept
    return KeptState(seal=record.id, is_sealed=True, since=now, reason=reason)


@asynccontextmanager
async def open_seal(
    store: SealStore, config: SealConfig, *, wall: Callable[[], float], report: Report
) -> AsyncGenerator[SealKeeper]:
    """Read the seal and keep it until the block ends.  It begins sealed.

    `wall` gives Unix seconds; `report` hears of everything, for log and audit.  Raises SealDamaged, and OSError where
    no descriptor is left.
    """
    record = await trio.to_thread.run_sync(store.read_record)
    try:
        with HeldPins(record.pins) as pins, ExitStack() as at_the_end:
            async with trio.open_nursery() as nursery:
                keeper = SealKeeper(record, store, config, wall, report, pins, nursery)
                at_the_end.callback(keeper.keep_last)
                nursery.start_soon(keeper.run)
                try:
                    yield keeper
                finally:
                    keeper.close()
                    nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The nursery is our own affair: an error of the block comes out as it was raised.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
