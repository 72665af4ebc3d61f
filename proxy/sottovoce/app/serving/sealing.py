"""The seal of a proxy that serves: what is told to whom when it opens and closes, and what operators ask of it.

Sealed, in one turn of the event loop: the PINs are overwritten, the token processes killed, what waits for them fails,
ticket keys are erased, calls heed it.  So nothing of it takes longer than that turn.  What needs a token runs while the
HSM is unsealed only, and begins anew each time.

Without a seal all this is there, and always open.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from sottovoce.app.ledger import Ledger
from sottovoce.hsm import HsmConfig
from sottovoce.hsm.seal import (
    OPEN,
    Effects,
    SealClosed,
    SealError,
    SealEvent,
    SealKeeper,
    SealOpened,
    SealRefused,
    SealStatus,
    SealStore,
    erase_pin_file,
    open_seal,
)
from sottovoce.observe import Logger, events
from sottovoce.primitives import Secret
from sottovoce.transport import Clock

_NO_SEAL = "there is no seal: [hsm.seal] is not in the configuration of the proxy that runs"


class Sealing:
    """The seal, as the rest of the proxy knows it.  An edge.Seal."""

    def __init__(self, keeper: SealKeeper | None, ledger: Ledger, logger: Logger) -> None:
        """Take the seal, if there is one."""
        self._keeper = keeper
        self._ledger = ledger
        self._logger = logger
        self._opened = trio.Event()
        self._working = trio.CancelScope()
        if self.is_open:
            self._opened.set()

    @property
    def is_open(self) -> bool:
        """Whether tokens may be used."""
        return self._keeper is None or self._keeper.is_open

    @property
    def effects(self) -> Effects:
        """What it means for calls now."""
        return OPEN if self._keeper is None else self._keeper.effects

    @property
    def status(self) -> SealStatus | None:
        """How it stands; None: there is no seal."""
        return None if self._keeper is None else self._keeper.status

    async def seal(self, reason: str) -> SealStatus:
        """Seal, for a reason that goes on both logs; when it returns that is on the disk, too.

        Raises SealRefused where there is no seal, and StateUnkept when it is sealed and only the disk does not know.
        """
        keeper = self._existing
        with self._surviving():
            keeper.seal(reason)
        await keeper.settle()
        return keeper.status

    async def offer(self, share: Secret) -> SealStatus:
        """Count a share, which the caller wipes; the last one unseals.  Raises a SealError that says what is wrong."""
        keeper = self._existing
        try:
            with self._surviving():
                await keeper.offer(share)
        except SealError as error:
            self._ledger.share_refused(type(error).__name__, str(error))
            raise
        return keeper.status

    async def run(self, *tasks: Callable[[], Awaitable[object]]) -> None:
        """Run what needs a token as long as the HSM is unsealed, and anew after each unsealing, until cancelled."""
        while True:
            while not self._opened.is_set():
                await self._opened.wait()
            with trio.CancelScope() as self._working:
                async with trio.open_nursery() as nursery:
                    for task in tasks:
                        nursery.start_soon(task)

    @asynccontextmanager
    async def followed_by(self, heed: Callable[[Effects], None]) -> AsyncGenerator[None]:
        """Tell `heed` what each change means, until the block ends."""
        await trio.lowlevel.checkpoint()
        if self._keeper is None:
            yield
            return
        keeper = self._keeper

        def take(event: SealEvent) -> None:
            if isinstance(event, SealOpened):
                self._opened.set()
            elif isinstance(event, SealClosed):
                if self._opened.is_set():  # else `run` waits for this very one
                    self._opened = trio.Event()
                self._working.cancel()
            else:
                return
            heed(keeper.effects)

        with keeper.followed_by(take):
            yield

    @contextmanager
    def _surviving(self) -> Generator[None]:
        """Log a bug in one of those who were told; the others were, and the seal stands as it says."""
        try:
            yield
        except ExceptionGroup as group:
            self._logger.error(events.TASK_CRASHED, task="seal", exc_info=group)  # noqa: TRY400  as it is elsewhere

    @property
    def _existing(self) -> SealKeeper:
        if self._keeper is None:
            raise SealRefused(_NO_SEAL)
        return self._keeper


@asynccontextmanager
async def open_keeper(config: HsmConfig, ledger: Ledger, clock: Clock) -> AsyncGenerator[SealKeeper | None]:
    """Keep the seal of a (resolved) configuration until the block ends; None where there is none.

    A PIN that still lies in a file since before the seal is erased there.  Raises SealError.
    """
    if config.seal is None:
        yield None
        return
    store = SealStore(Path(config.seal.file), Path(config.seal.state_file))
    async with open_seal(store, config.seal, wall=clock.wall, report=ledger.seal) as keeper:
        await trio.to_thread.run_sync(_erase_pins, config, store, frozenset(keeper.places))
        ledger.begun_sealed(keeper.status.reason)
        yield keeper


def _erase_pins(config: HsmConfig, store: SealStore, sealed: frozenset[str]) -> None:
    """Finish what whoever made the seal was killed at.

    A PIN that is newer than the seal is not what was sealed, and may be in no other place: its token would be lost.
    """
    for name, node in config.all_nodes.items():
        path = node.pin_path
        if name in sealed and path is not None:
            try:
                if _is_newer(path, store.record):
                    text = (
                        f"{path} is newer than the seal {store.record}, so another PIN was sealed: move it away if the "
                        "token has that other one, or else take [hsm.seal] and its file away and make a new seal"
                    )
                    raise SealRefused(text)
                erase_pin_file(path)
            except OSError as error:
                text = f"{path} holds a PIN that is sealed, and cannot be erased ({error.strerror}): remove it"
                raise SealRefused(text) from None


def _is_newer(path: Path, other: Path) -> bool:
    try:
        return path.stat(follow_symlinks=False).st_mtime_ns > other.stat().st_mtime_ns
    except FileNotFoundError:
        return False
