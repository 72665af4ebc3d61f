"""What a supervisor leaves to the program that takes its place in the same process.

Descriptors stay open across `execv` where they are inheritable.  Which is which, and what was counted so far, stands in
a file in memory, whose descriptor one environment variable names.  Nothing secret is in it: ticket keys are wrapped.
"""

import os
import signal
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from sottovoce.app.floor import Load
from sottovoce.audit import Checked
from sottovoce.identity import LivingTicketKey
from sottovoce.observe.metrics import Snapshot
from sottovoce.primitives import SottovoceError
from sottovoce.settings import Configuration

VARIABLE: Final = "SOTTOVOCE_HANDOVER"
_ORDERS: Final = (signal.SIGHUP, signal.SIGUSR2)
BLOCKED: Final = (*_ORDERS, signal.SIGTERM, signal.SIGINT)
ADMIN: Final = "admin"
"""What the admin address's socket is called among those that are handed over."""


class HandoverInvalid(SottovoceError):
    """What the variable names is not what a proxy leaves."""


class OldWorker(msgspec.Struct, frozen=True):
    """A worker of the supervisor before this one: its number, its process, our end of its desk.

    Fields may be added: they need a default.
    """

    number: int
    pid: int
    desk: int
    asked: int = 0
    """The number of the last question that it was asked: its answer may still come, to nobody."""


class Handover(msgspec.Struct, frozen=True):
    """Everything that goes on across an upgrade.  Fields may be added: they need a default."""

    sockets: dict[str, tuple[int, ...]]
    """Listening sockets by listener, and that of the admin address as `admin`."""
    addresses: dict[str, str]
    """Where each of these was configured to be."""
    workers: tuple[OldWorker, ...]
    records: int
    """The record of used tickets."""
    living: tuple[LivingTicketKey, ...]
    past: Load
    """What workers had carried that have gone."""
    metrics: Snapshot
    """What all but the living workers have counted."""
    ready_file: str = ""
    """It says that calls can come, and is there."""
    audit: Checked | None = None
    """How far the audit log is checked, so that the next program is not kept by its length from signing."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that have to stay open."""
        bound = (number for numbers in self.sockets.values() for number in numbers)
        return (*bound, *(worker.desk for worker in self.workers), self.records)

    def sockets_for(self, configuration: Configuration) -> dict[str, tuple[int, ...]]:
        """Give those that are where the configuration has them now, by its names; the others are closed.

        A section that was renamed keeps its sockets: old workers hold them, too, so nobody could bind that address.
        """
        wanted = addresses_of(configuration)
        left = dict(self.sockets)
        kept = {name: left.pop(name) for name in self.sockets if wanted.get(name) == self.addresses.get(name)}
        for name in wanted.keys() - kept.keys() - {ADMIN}:
            before = next((each for each in left if each != ADMIN and self.addresses.get(each) == wanted[name]), None)
            if before is not None:
                kept[name] = left.pop(before)
        for numbers in left.values():
            for number in numbers:
                os.close(number)
        return kept


@contextmanager
def ready_meanwhile(handover: Handover | None, ready_file: str) -> Generator[None]:
    """Leave the ready file of before in its place until there is ours; where it does not come to that, remove it."""
    before = Path(handover.ready_file) if handover is not None and handover.ready_file else None
    if before is not None and before != Path(ready_file):
        before.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        if before is not None:
            before.unlink(missing_ok=True)
        raise


def addresses_of(configuration: Configuration) -> dict[str, str]:
    """Give what is configured of each address that is listened on, by the name of its section."""
    listeners = {name: each.address for name, each in configuration.all_listeners().items()}
    return {**listeners, ADMIN: configuration.admin.address}


def outlive_orders() -> None:
    """Pass over SIGHUP and SIGUSR2 where nobody heeds them: by themselves they end the process, also beside `become`.

    SIGTERM ends it as ever, but not while it is held.  To be called before whoever heeds them.  A SIGHUP that is
    ignored (`nohup`) stays so.
    """
    for number, handler in (*((order, _pass_over) for order in _ORDERS), (signal.SIGTERM, _end)):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, handler)


def hold_signals() -> None:
    """Have signals (BLOCKED) wait for the program that is to take this one's place: this one heeds none any more.

    Another thread may still be given one.  Handlers run in this one all the same: what they raise again, waits, too.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)


def _pass_over(_: int, __: object) -> None:
    """Heed no order."""


def _end(number: int, _: object) -> None:
    """Do what the signal does by itself, unless it is held."""
    if number not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def become(program: tuple[str, ...], handover: Handover) -> NoReturn:
    """Run another program in place of this one, which finds what is handed over.

    Signals that would end it before it heeds them are held: it unblocks them.
    """
    told = os.memfd_create("handover", os.MFD_CLOEXEC)
    os.write(told, msgspec.msgpack.encode(handover))
    for descriptor in (told, *handover.descriptors):
        os.set_inheritable(descriptor, True)  # noqa: FBT003  its only argument
    hold_signals()
    os.execve(program[0], program, {**os.environ, VARIABLE: str(told)})  # noqa: S606  our own command line


def find(environment: MutableMapping[str, str]) -> Handover | None:
    """Take what was left, if anything was; nobody else inherits it.  Raises HandoverInvalid."""
    number = environment.pop(VARIABLE, None)
    if number is None:
        return None
    try:
        with os.fdopen(int(number), "rb") as told:
            told.seek(0)
            handover = msgspec.msgpack.decode(told.read(), type=Handover)
        for descriptor in handover.descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003  its only argument
    except (msgspec.DecodeError, OSError, ValueError) as error:
        text = f"{VARIABLE} does not name what a proxy leaves to its successor ({error}): unset it, and start again"
        raise HandoverInvalid(text) from None
    return handover
