"""Who carries this proxy's calls, and how that is put together with what keeps its keys: the one seam between the two.

one process    Floor ◀── the parts themselves
several        Workers ══desk══▶ a Floor in each, over the same parts
"""

import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol

import msgspec
import trio

from sottovoce.admin import Exposition
from sottovoce.app.floor import Carrier, Change, Floor, Supplies
from sottovoce.app.serving.health import Reports
from sottovoce.app.serving.sealing import Sealing
from sottovoce.app.workers import Handover, Lending, Workers, bind_places, close_places, running
from sottovoce.app.workers.desk.messages import Retire
from sottovoce.audit import AuditLog
from sottovoce.edge import Listener, ListenerConfig
from sottovoce.hsm import Cluster
from sottovoce.identity import (
    Certificates,
    LivingTicketKey,
    RecordsHere,
    SharedRecords,
    TicketKeys,
    Tickets,
    prove_ticket_key,
)
from sottovoce.observe import Logger
from sottovoce.observe.metrics import MergedMetrics, Metrics
from sottovoce.primitives import Entropy
from sottovoce.transport import Clock

Tasks = tuple[Callable[[], Awaitable[object]], ...]
Given = Mapping[str, tuple[int, ...]]
"""Listening sockets that were inherited, as descriptors, by listener."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a proxy's keys and logs, however many processes carry its calls."""

    change: Change
    file: str
    logger: Logger
    audit: AuditLog
    sealing: Sealing
    tokens: Cluster
    voice: Certificates
    reports: Reports
    metrics: Metrics
    clock: Clock
    entropy: Entropy


class Carriage(Protocol):
    """Who carries calls, and what goes with it."""

    @property
    def carrier(self) -> Carrier:
        """What is told to carry them."""
        ...

    @property
    def ticket_keys(self) -> TicketKeys:
        """The maker of ticket keys."""
        ...

    @property
    def exposition(self) -> Exposition:
        """The metrics of all processes."""
        ...

    @property
    def tasks(self) -> Tasks:
        """What has to run beside."""
        ...

    async def open(self, stack: AsyncExitStack) -> None:
        """Bind the listeners, and be able to take calls; everything that must be closed is put on `stack`.

        There is a TLS certificate by then.  Raises SottovoceError.
        """
        ...


class Alone:
    """A Carriage of this process."""

    def __init__(self, kept: Kept, given: Given) -> None:
        """Take the parts; nothing is bound yet."""
        records = RecordsHere()
        self._given = given
        tickets = Tickets(
            kept.tokens,
            records=records,
            report=kept.reports.ticket_key,
            clock=kept.clock,
            entropy=kept.entropy,
        )
        self.ticket_keys = TicketKeys(
            kept.tokens,
            records=records,
            admit=tickets.admit,
            told=tickets.told,
            report=kept.reports.ticket_key,
            clock=kept.clock,
            entropy=kept.entropy,
        )
        supplies = Supplies(
            pool=kept.tokens,
            voice=kept.voice,
            tickets=tickets,
            seal=kept.sealing,
            audit=kept.audit,
            report=kept.reports.batch,
        )
        self.carrier = Floor(
            kept.change,
            supplies,
            metrics=kept.metrics.calls,
            logger=kept.logger,
            clock=kept.clock,
            entropy=kept.entropy,
        )
        self.exposition = kept.metrics
        self.tasks: Tasks = (self.carrier.batcher.run,)

    async def open(self, stack: AsyncExitStack) -> None:
        """Bind the listeners."""
        await trio.lowlevel.checkpoint()
        stack.callback(self.ticket_keys.close)
        configuration = self.carrier.configuration
        sockets = bind_places(configuration, 1, self._given)
        listeners: list[Listener] = []
        for name, config in configuration.all_listeners().items():
            listeners.append(listening(name, config, sockets[name]))
            stack.push_async_callback(listeners[-1].aclose)
        self.carrier.listen(listeners)


def listening(name: str, config: ListenerConfig, sockets: Iterable[socket.socket]) -> Listener:
    """Make a listener that accepts from all of its sockets: systemd may have given it several."""
    first, *others = (trio.SocketListener(trio.socket.from_stdlib_socket(each)) for each in sockets)
    listener = Listener(name, config, first)
    for each in others:
        listener.accept_from(each)
    return listener


class Several:
    """A Carriage of workers."""

    def __init__(self, kept: Kept, count: int, given: Given, handover: Handover | None) -> None:
        """Take the parts, how many workers there are to be, and what the supervisor before this one left."""
        self._handover = handover
        inherited = None if handover is None else _inherited(handover.records)
        self._records = inherited or SharedRecords.create()
        self.ticket_keys = TicketKeys(
            kept.tokens,
            records=self._records,
            admit=partial(prove_ticket_key, kept.tokens),
            told=self._tell_ticket_keys,
            report=kept.reports.ticket_key,
            clock=kept.clock,
            entropy=kept.entropy,
        )
        if handover is not None and inherited is not None:
            self.ticket_keys.take_over(handover.living)
        past = None if handover is None else handover.past
        metrics = MergedMetrics(kept.metrics) if handover is None else MergedMetrics(kept.metrics, handover.metrics)
        lending = Lending(
            tokens=kept.tokens,
            audit=kept.audit,
            voice=kept.voice,
            ticket_keys=self.ticket_keys,
            records=self._records,
            batch=kept.reports.batch,
            ticket_key=kept.reports.ticket_key,
            metrics=metrics,
            seal=kept.sealing,
            retire=self._retire,
        )
        self._sockets = bind_places(kept.change.configuration, count, given)
        self.carrier = Workers(
            count, kept.change, kept.file, self._sockets, lending, past=past, logger=kept.logger, clock=kept.clock
        )
        kept.reports.voice_changed = self.carrier.voice_changed
        self.exposition = metrics
        self.tasks: Tasks = ()

    async def open(self, stack: AsyncExitStack) -> None:
        """Start the workers; those of before are sent away when these take calls."""
        stack.callback(self._close)
        await stack.enter_async_context(running(self.carrier, () if self._handover is None else self._handover.workers))

    def _tell_ticket_keys(self, living: tuple[LivingTicketKey, ...]) -> None:
        self.carrier.ticket_keys(living)

    def _close(self) -> None:
        if not self.carrier.crew.is_handed_over:
            self.ticket_keys.close()
            self._records.close()
            close_places(self._sockets)

    def _retire(self) -> Retire:
        process = self.carrier.configuration.process
        return Retire(process.upgrade_seconds, process.drain_seconds, process.stop_seconds)


def _inherited(descriptor: int) -> SharedRecords | None:
    """Take the record of used tickets; None where another version made it: then there are new keys, too."""
    records = SharedRecords(descriptor)
    if records.is_of_this_version:
        return records
    records.close()
    return None
