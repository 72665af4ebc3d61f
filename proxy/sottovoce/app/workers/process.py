"""A worker as it is run, `python -m sottovoce.app.workers.process FD`: a floor, and a desk in place of all else.

It takes no signal: what it is to do it hears over the desk.  When its supervisor has gone it sends its calls away, as
if it had been told to drain, and ends.
"""

import signal
import socket
import sys
from collections import deque
from pathlib import Path

import msgspec
import trio

from sottovoce.app.checking import build_routes
from sottovoce.app.floor import Change, Floor, Supplies, versions
from sottovoce.app.hardening import collect_seldom, harden_process
from sottovoce.app.workers.desk import messages
from sottovoce.app.workers.desk.desk import Desk
from sottovoce.app.workers.desk.lent import RemoteAudit, RemotePool
from sottovoce.app.workers.taking import Taking
from sottovoce.hsm.seal import Effects
from sottovoce.identity import ClientsSources, GivenCertificates, SharedRecords, Tickets, contents_of
from sottovoce.observe import Logger, configure_logging, events, get_logger
from sottovoce.observe.metrics import Metrics
from sottovoce.pki import unpack_identity
from sottovoce.primitives import ApiMisuse, SottovoceError
from sottovoce.settings import Configuration
from sottovoce.transport import SystemClock, SystemEntropy

CLOCK = SystemClock()
ENTROPY = SystemEntropy()
LOGGER = "sottovoce.app.workers.process"
"""This module, which is called __main__ when it runs."""
TELL_SECONDS = 1.0
"""How old what the supervisor knows of a worker may get."""
_SOON_SECONDS = 0.1
_TICKETS_SECONDS = 1.0
"""For ticket keys to be opened before calls come; after that they come without."""
_FAREWELL_SECONDS = 2.0
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


class GivenSeal:
    """An edge.Seal, as the supervisor told it last."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects


class Worker:
    """One worker, from its first message to its end."""

    def __init__(self, desk: Desk) -> None:
        """Take its end of the desk."""
        self._desk = desk
        self._early: deque[msgspec.Struct] = deque()
        """What was told before there was a floor."""
        self._welcomed = trio.Event()
        self._built = trio.Event()
        self._is_draining = False
        self._prepared: Change | None = None

    async def run(self) -> None:
        """Serve until drained, or told that there is nothing to begin with."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._hear_supervisor)
            await self._welcomed.wait()
            if self._early:
                await self._serve(self._early.popleft())
            await self._desk.released()  # an upgrade takes seconds, and the log wants this worker's last calls
            with trio.move_on_after(_FAREWELL_SECONDS):
                await self._desk.quiet()
            nursery.cancel_scope.cancel()

    async def _serve(self, welcome: msgspec.Struct) -> None:
        if not isinstance(welcome, messages.Welcome):
            raise ApiMisuse("the first message to a worker is its welcome")
        try:
            await self._build(welcome)
        except (SottovoceError, OSError) as error:
            self._desk.tell(messages.Failed(str(error)))
            return
        collect_seldom()
        while self._early:
            self._take(self._early.popleft())
        self._built.set()
        async with trio.open_nursery() as background:
            for task in (self.floor.batcher.run, self.metrics.loop_lag.run, self.tickets.run, self._taking.run):
                background.start_soon(task)
            background.start_soon(self._tell_load)
            self._desk.tell(messages.Ready(messages.VERSION))
            await self.floor.serve()
            background.cancel_scope.cancel()
        self._desk.tell(self._told())

    async def _build(self, welcome: messages.Welcome) -> None:
        change = await self._change(welcome.given, welcome.file)
        configure_logging(change.configuration.log)
        self.file = welcome.file
        self.logger: Logger = get_logger(LOGGER).bind(worker=welcome.worker)
        self.metrics = Metrics(versions())
        pool = RemotePool(self._desk, welcome.nodes, welcome.most_out)
        self.voice = GivenCertificates(CLOCK)
        self.voice.replace(welcome.voice)
        self.seal = GivenSeal(welcome.effects)
        self.tickets = Tickets(
            pool,
            records=SharedRecords(welcome.records),
            report=lambda event: self._desk.tell(messages.TicketKeyTold(event)),
            clock=CLOCK,
            entropy=ENTROPY,
        )
        supplies = Supplies(
            pool=pool,
            voice=self.voice,
            tickets=self.tickets,
            seal=self.seal,
            audit=RemoteAudit(self._desk),
            report=lambda event: self._desk.tell(messages.Batched(event)),
        )
        self.floor = Floor(
            change, supplies, metrics=self.metrics.calls, logger=self.logger, clock=CLOCK, entropy=ENTROPY
        )
        self.floor.install(unpack_identity(welcome.leaf))
        self.tickets.told(welcome.ticket_keys)
        with trio.move_on_after(_TICKETS_SECONDS):
            await self.tickets.first()
        sockets = {
            name: tuple(socket.socket(fileno=number) for number in numbers) for name, numbers in welcome.sockets.items()
        }
        self._taking = Taking(sockets)
        self.floor.listen(self._taking.listen(change.configuration, welcome.places))

    async def _change(self, given: messages.Given, file: str) -> Change:
        configuration = msgspec.msgpack.decode(given.configuration, type=Configuration)
        routes = await trio.to_thread.run_sync(build_routes, configuration, Path(file))
        contents = await trio.to_thread.run_sync(contents_of, given.clients, ENTROPY)
        return Change(configuration, routes, contents)

    def _told(self) -> messages.Told:
        return messages.Told(self.floor.load, self.metrics.snapshot())

    async def _tell_load(self) -> None:
        """Tell everything every second, and of calls and backends when they come and go, ten times a second at most."""
        while True:
            self._desk.tell(self._told())
            with trio.move_on_after(TELL_SECONDS):
                await self._tell_changes()

    async def _tell_changes(self) -> None:
        told = self.floor.changes
        while True:
            if self.floor.changes == told:
                await self.floor.change()
            told = self.floor.changes
            self._desk.tell(messages.Told(self.floor.load))
            await trio.sleep(_SOON_SECONDS)

    # What is heard.

    async def _hear_supervisor(self) -> None:
        try:
            await self._desk.run(self._hear, self._answer)
        except SottovoceError as error:
            if self._built.is_set():
                self.logger.error(events.SUPERVISOR_LOST, reason=str(error))  # noqa: TRY400  one line
        self._welcomed.set()
        if self._built.is_set() and not self._is_draining:
            self.logger.warning(events.SUPERVISOR_LOST, reason="it has ended")
            process = self.floor.configuration.process
            self._drain(process.drain_seconds, process.stop_seconds)
        elif not self._built.is_set():
            self._nursery.cancel_scope.cancel()

    def _hear(self, message: msgspec.Struct) -> None:
        if self._built.is_set():
            self._take(message)
        else:
            self._early.append(message)
            self._welcomed.set()

    def _take(self, message: msgspec.Struct) -> None:
        match message:
            case messages.Leaf(leaf):
                self.floor.install(unpack_identity(leaf))
            case messages.Voice(sets):
                self.voice.replace(sets)
            case messages.TicketKeys(living):
                self.tickets.told(living)
            case messages.Sealed(effects):
                self.seal.effects = effects
                self.floor.heed(effects)
            case messages.Places(places):
                self._taking.want(places)
            case messages.Recheck():
                self._nursery.start_soon(self.floor.recheck)
            case messages.Drain(spread_seconds, stop_seconds):
                self._drain(spread_seconds, stop_seconds)
            case messages.Retire(stay_seconds, spread_seconds, stop_seconds):
                self._taking.let_go()
                self.floor.retire(stay_seconds, spread_seconds, stop_seconds)
            case messages.Resume():
                self._desk.release()
            case _:
                pass  # of a later version, or too late

    def _drain(self, spread_seconds: float, stop_seconds: float) -> None:
        self._is_draining = True
        self._taking.let_go()
        self.floor.drain(spread_seconds, stop_seconds)

    async def _answer(self, question: msgspec.Struct) -> msgspec.Struct:
        await self._built.wait()
        match question:
            case messages.Prepare(given):
                self._prepared = await self._change(given, self.file)
                return messages.Done()
            case messages.Commit() if self._prepared is not None:
                change, self._prepared = self._prepared, None
                configure_logging(change.configuration.log)
                return messages.Done(await self.floor.apply(change))
            case messages.Clients(clients):
                return messages.Done(await self._take_clients(clients))
            case messages.Pause():
                return messages.Done()
            case _:
                text = f"a worker does not know what to do with a {type(question).__name__} now"
                raise messages.WorkerFault(text)

    async def _take_clients(self, clients: ClientsSources) -> int:
        return await self.floor.take_clients(await trio.to_thread.run_sync(contents_of, clients, ENTROPY))


def main(words: list[str]) -> None:
    """Run a worker whose end of the desk is the descriptor that is named."""
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    harden_process()
    try:
        trio.run(_run, socket.socket(fileno=int(words[0])))
    except Exception as error:  # noqa: BLE001  the log tells where, and nothing that may be secret
        get_logger(LOGGER).error(events.TASK_CRASHED, task="worker", exc_info=error)
        raise SystemExit(1) from None


async def _run(channel: socket.socket) -> None:
    desk = Desk(channel)
    try:
        await Worker(desk).run()
    finally:
        desk.close()


if __name__ == "__main__":
    main(sys.argv[1:])
