"""`Floor`: where calls are carried, one in each process that has listeners.  A Carrier.

It knows no key but those that calls need, writes no file, and decides nothing: what it needs of tokens, certificates,
tickets and the audit log are its `Supplies`, which lie in the same process or behind a desk.
"""

from collections.abc import Iterable, Mapping

import msgspec
import trio

from sottovoce.app.floor.backends import Backends
from sottovoce.app.floor.callers import Callers
from sottovoce.app.floor.carrier import Change, Supplies
from sottovoce.app.floor.contexts import TlsContexts, tls_policies
from sottovoce.app.floor.load import Load
from sottovoce.app.floor.measured import MeasuredRoute
from sottovoce.app.floor.staff import Staff
from sottovoce.edge import CurrentServices, EdgeServices, Journal, Listener, ServedRoute
from sottovoce.hsm.seal import Effects
from sottovoce.identity import Batcher, Clients, ClientsContents, TicketOutcome
from sottovoce.observe import CallCounts, Logger
from sottovoce.observe.metrics import CallMetrics
from sottovoce.plane import PortablePlane
from sottovoce.primitives import Entropy, SystemKem
from sottovoce.session import ServerDependencies
from sottovoce.transport import Clock, TlsIdentity


class ServedListener(msgspec.Struct, frozen=True):
    """A listener, and what its next connections are given."""

    listener: Listener
    services: CurrentServices


class Floor:
    """Made in three steps: itself, `install` of a first certificate, `listen`; then `serve` and `batcher.run`."""

    def __init__(  # noqa: PLR0913  what it is made of
        self,
        change: Change,
        supplies: Supplies,
        *,
        metrics: CallMetrics,
        logger: Logger,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Begin with a configuration, and what was made of it."""
        self.configuration = change.configuration
        self.clients = Clients(change.clients, clock.wall)
        self.batcher = Batcher(supplies.pool, supplies.voice, report=supplies.report)
        self.listeners: tuple[ServedListener, ...] = ()
        self._routes = change.routes
        self._supplies = supplies
        self._tls = TlsContexts(tls_policies(change.configuration))
        self._callers = Callers(self.clients, lambda: self.configuration.routes)
        self._backends = Backends(clock)
        self._metrics = metrics
        self._logger = logger
        self._clock = clock
        self._entropy = entropy

    def listen(self, listeners: Iterable[Listener]) -> None:
        """Take listeners that are bound; no more than once."""
        served = self._served_routes()
        self.listeners = tuple(
            ServedListener(each, CurrentServices(self._services(each.name, served))) for each in listeners
        )

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` of each listener, as it was got."""
        return {each.listener.name: str(each.listener.address) for each in self.listeners}

    @property
    def load(self) -> Load:
        """What is and was carried."""
        listeners, tickets = [each.listener for each in self.listeners], self._supplies.tickets
        return msgspec.structs.replace(
            self._backends.load,
            listeners={listener.name: listener.calls for listener in listeners},
            carried=sum((listener.carried for listener in listeners), CallCounts()),
            half_open=sum(listener.half_open for listener in listeners),
            tickets={each.value: tickets.outcomes.get(each, 0) for each in TicketOutcome},
            ticket_key_seconds=tickets.key_age_seconds,
            tasks=trio.lowlevel.current_statistics().tasks_living,
        )

    @property
    def changes(self) -> int:
        """How often a call or a backend has changed what `load` says."""
        return self._backends.changes

    async def change(self) -> None:
        """Wait until one does."""
        await self._backends.change()

    @property
    def staff(self) -> Staff | None:
        """None: this process carries calls itself."""
        return None

    def install(self, identity: TlsIdentity) -> None:
        """Serve connections from now on under this certificate."""
        self._tls.install(identity)

    def heed(self, effects: Effects) -> None:
        """Do what it means that the HSM was sealed or unsealed; never waits."""
        for each in self.listeners:
            each.listener.heed(effects)

    async def prepare(self, change: Change) -> None:
        """Have nothing against a changed configuration: it was read in this process."""
        del change
        await trio.lowlevel.checkpoint()

    async def apply(self, change: Change) -> int:
        """Let calls from now on be served by this; those that run keep what they have, if they may still call there.

        Addresses have to be those of the configuration before.
        """
        for name, before in self.configuration.routes.items():
            if name not in change.configuration.routes or change.configuration.routes[name].url != before.url:
                self._backends.backend_moved(name)
        self.configuration = change.configuration
        self._routes = change.routes
        self._tls.reconfigure(tls_policies(change.configuration))
        for each in self.listeners:
            each.listener.reconfigure(change.configuration.all_listeners()[each.listener.name])
        return await self.take_clients(change.clients)

    async def take_clients(self, contents: ClientsContents) -> int:
        """Let these call from now on, and end the calls of those who may no longer; gives how many ended."""
        await trio.lowlevel.checkpoint()
        self.clients.replace(contents)
        served = self._served_routes()
        for each in self.listeners:
            each.services.replace(self._services(each.listener.name, served))
        return self._recheck()

    async def recheck(self) -> None:
        """End the calls of those whose time is over."""
        await trio.lowlevel.checkpoint()
        self._recheck()

    async def serve(self) -> None:
        """Take calls until `drain`; return when the last has gone, or its time is over."""
        async with trio.open_nursery() as nursery:
            for each in self.listeners:
                nursery.start_soon(each.listener.serve, each.services)

    def drain(self, spread_seconds: float, stop_seconds: float) -> None:
        """Let nobody in and send the calls away."""
        for each in self.listeners:
            each.listener.drain(spread_seconds, stop_seconds)

    def retire(self, stay_seconds: float, spread_seconds: float, stop_seconds: float) -> None:
        """Let nobody in, and calls go on to their own end; send away those that stay for longer."""
        for each in self.listeners:
            each.listener.retire(stay_seconds, spread_seconds, stop_seconds)

    def _recheck(self) -> int:
        return sum(each.listener.recheck(self._callers) for each in self.listeners)

    def _served_routes(self) -> dict[str, ServedRoute]:
        configured = self.configuration.routes
        self._metrics.know_routes(configured)
        return {
            name: ServedRoute.of(MeasuredRoute(route, self._metrics), configured[name])
            for name, route in self._routes.items()
        }

    def _services(self, listener: str, routes: Mapping[str, ServedRoute]) -> EdgeServices:
        supplies = self._supplies
        return EdgeServices(
            tls=self._tls.contexts[listener],
            routes=routes,
            voice=self.configuration.voice,
            credential_kinds=self.clients.kinds,
            parts=ServerDependencies(SystemKem(), self._entropy, supplies.voice, self._callers, supplies.tickets),
            signer=self.batcher,
            clock=self._clock,
            plane=PortablePlane(self._clock),
            seal=supplies.seal,
            journal=Journal(self._logger, supplies.audit, self._backends, metrics=self._metrics),
        )
