"""What runs while the proxy serves, put together in the order in which each needs the others.

    audit ─▶ ledger ─▶ seal ─▶ token processes ─▶ certificates ─▶ listeners

Where the HSM has a seal, a start has neither tokens nor certificates; both come when it is unsealed.

Nothing here decides anything: it hands each part what it asks for.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from sottovoce.app.anchors import record_anchor_changes
from sottovoce.app.checking import build_routes, read_credentials
from sottovoce.app.doctor.sockets import naming_holder
from sottovoce.app.ledger import open_ledger
from sottovoce.app.places import token_places
from sottovoce.app.serving.backends import Backends
from sottovoce.app.serving.callers import Callers
from sottovoce.app.serving.certificates import TlsContexts, TlsPolicy, certificate_keepers
from sottovoce.app.serving.health import Health, Reports, Tokens
from sottovoce.app.serving.measuring import MeasuredRoute, read, versions
from sottovoce.app.serving.sealing import Sealing, open_keeper
from sottovoce.app.token_process import COMMAND
from sottovoce.audit import AuditFailed, AuditLog, ConfigurationLoaded, PlaintextNetworkAllowed, open_audit
from sottovoce.edge import (
    Address,
    CurrentServices,
    EdgeServices,
    Journal,
    Listener,
    ServedRoute,
    bind,
    listen,
    parse_address,
)
from sottovoce.hsm import Cluster, open_pool
from sottovoce.hsm.seal import Effects
from sottovoce.identity import Batcher, Certificates, Clients, ClientsContents, RecordsHere, TicketKeys, Tickets
from sottovoce.observe import Logger, events
from sottovoce.observe.metrics import Metrics
from sottovoce.pki import LeafKeeper, throwaway_identity
from sottovoce.primitives import SystemKem
from sottovoce.relay import Route
from sottovoce.session import ServerDependencies
from sottovoce.settings import Configuration
from sottovoce.transport import SystemClock, SystemEntropy

CLOCK = SystemClock()
ENTROPY = SystemEntropy()


class ServedListener(msgspec.Struct, frozen=True):
    """A listener, and what its next connections are given."""

    listener: Listener
    services: CurrentServices


class Parts:
    """Made by `build`; everything that must be closed is on its stack."""

    def __init__(  # noqa: PLR0913  the parts
        self,
        *,
        configuration: Configuration,
        file: Path,
        logger: Logger,
        audit: AuditLog,
        sealing: Sealing,
        tokens: Cluster,
        tls: TlsContexts,
        routes: Mapping[str, Route],
        leaf: LeafKeeper,
        voice: Certificates,
        batcher: Batcher,
        tickets: Tickets,
        ticket_keys: TicketKeys,
        clients: Clients,
        metrics: Metrics,
        health: Health,
        admin: trio.SocketListener,
    ) -> None:
        self.configuration = configuration
        self.file = file
        self.logger = logger
        self.sealing = sealing
        self.tokens = tokens
        self.leaf = leaf
        self.voice = voice
        self.batcher = batcher
        self.tickets = tickets
        self.ticket_keys = ticket_keys
        self.clients = clients
        self.metrics = metrics
        self.health = health
        self.backends = Backends(CLOCK)
        self.admin = admin
        self.callers = Callers(clients, lambda: self.configuration.routes)
        self.listeners: tuple[ServedListener, ...] = ()
        self.audit = audit
        self._tls = tls
        self._routes = routes

    @classmethod
    async def build(cls, configuration: Configuration, file: Path, logger: Logger, stack: AsyncExitStack) -> "Parts":
        """Start the token processes, get certificates, bind the listeners."""
        base = file.absolute().parent  # noqa: ASYNC240  at start, nobody waits
        routes = build_routes(configuration, file)
        clients = read_credentials(configuration)
        tls = TlsContexts(_tls_policies(configuration))
        places = {each.name: each for each in token_places(configuration.hsm)}
        sections = {name: each.section for name, each in places.items()}
        health = Health(CLOCK, Tokens(CLOCK, sections, configuration.hsm.needed))
        report = _reporter(logger, health)
        audit = await stack.enter_async_context(open_audit(configuration.audit, CLOCK, report=report))
        _forget_killed(configuration)
        await record_configuration(configuration, file, routes, audit, logger)
        await record_anchor_changes(places.values(), audit)
        metrics = Metrics(versions())
        metrics.keys.know_nodes(places)
        labels = {name: each.config.token for name, each in places.items()}
        ledger = await stack.enter_async_context(open_ledger(logger, audit, labels, metrics.keys))
        with naming_holder():
            admin = await listen("admin", parse_address(configuration.admin.address))
        stack.push_async_callback(admin.aclose)
        reports = Reports(ledger, health)
        keeper = await stack.enter_async_context(open_keeper(configuration.hsm, ledger, CLOCK))
        sealing = Sealing(keeper, ledger, logger)
        health.seal = sealing
        tokens = await stack.enter_async_context(
            open_pool(
                configuration.hsm,
                command=COMMAND,
                files=lambda name: places[name].files(base),
                report=reports.token,
                times=metrics.keys,
                lender=keeper,
            )
        )
        leaf, voice = certificate_keepers(
            configuration.identity, configuration.hsm, base, tokens, tls, reports, CLOCK, ENTROPY
        )
        records = RecordsHere()
        tickets = Tickets(tokens, records=records, report=reports.ticket_key, clock=CLOCK, entropy=ENTROPY)
        stack.callback(tickets.close)
        ticket_keys = TicketKeys(
            tokens,
            records=records,
            admit=tickets.admit,
            told=tickets.told,
            report=reports.ticket_key,
            clock=CLOCK,
            entropy=ENTROPY,
        )
        stack.callback(ticket_keys.close)
        if sealing.is_open:
            await leaf.first()
            await voice.first()
            await ticket_keys.first()
        else:
            tls.install(throwaway_identity(CLOCK.wall()))  # to say 503 under
        parts = cls(
            configuration=configuration,
            file=file,
            logger=logger,
            audit=audit,
            sealing=sealing,
            tokens=tokens,
            tls=tls,
            routes=routes,
            leaf=leaf,
            voice=voice,
            batcher=Batcher(tokens, voice, report=reports.batch),
            tickets=tickets,
            ticket_keys=ticket_keys,
            clients=clients,
            metrics=metrics,
            health=health,
            admin=admin,
        )
        await parts._listen(stack)
        await stack.enter_async_context(sealing.followed_by(parts.heed))
        metrics.watch(partial(read, parts, CLOCK))
        return parts

    @property
    def background_tasks(self) -> tuple[Callable[[], Awaitable[object]], ...]:
        """What runs beside the listeners, as long as they do."""
        needing_tokens = partial(self.sealing.run, self.leaf.run, self.voice.run, self.ticket_keys.run)
        return needing_tokens, self.batcher.run, self.metrics.loop_lag.run

    def heed(self, effects: Effects) -> None:
        """Do what it means that the HSM was sealed or unsealed; never waits."""
        if effects.lets_rekey:
            self.health.unsealed()
        else:
            self.ticket_keys.forget()
        for each in self.listeners:
            each.listener.heed(effects)

    async def apply(self, configuration: Configuration, routes: Mapping[str, Route], clients: ClientsContents) -> None:
        """Let calls from now on be served by this; those that run keep what they have, if they may still call there.

        Addresses and whatever else a start settles have to be those of the configuration before.
        """
        await record_configuration(configuration, self.file, routes, self.audit, self.logger)
        await record_anchor_changes(token_places(configuration.hsm), self.audit)
        for name, before in self.configuration.routes.items():
            if name not in configuration.routes or configuration.routes[name].url != before.url:
                self.backends.backend_moved(name)
        self.configuration = configuration
        self._routes = routes
        self._tls.reconfigure(_tls_policies(configuration))
        for each in self.listeners:
            each.listener.reconfigure(configuration.all_listeners()[each.listener.name])
        self.take_clients(clients)

    def take_clients(self, contents: ClientsContents) -> int:
        """Let these call from now on, and end the calls of those who may no longer; gives how many ended."""
        for event in contents.changes_since(self.clients.contents):
            self.audit.note(event)
        self.clients.replace(contents)
        served = self._served_routes()
        for each in self.listeners:
            each.services.replace(self._services(each.listener.name, served))
        return self.recheck()

    def recheck(self) -> int:
        """End the calls of those who may no longer call; gives how many ended."""
        return sum(each.listener.recheck(self.callers) for each in self.listeners)

    @property
    def admin_address(self) -> str:
        """The address of the admin listener, as it was got."""
        host, port, *_ = self.admin.socket.getsockname()
        return str(Address(host, port))

    def drain(self) -> None:
        """Let nobody in and send the calls away; the listeners end when they have gone, or their time is over."""
        self.health.is_draining = True
        calls = sum(each.listener.calls for each in self.listeners)
        self.logger.info(events.PROXY_DRAINING, calls=calls)
        process = self.configuration.process
        for each in self.listeners:
            each.listener.drain(process.drain_seconds, process.stop_seconds)

    async def _listen(self, stack: AsyncExitStack) -> None:
        served = self._served_routes()
        for name, config in self.configuration.all_listeners().items():
            with naming_holder():
                listener = await bind(name, config)
            stack.push_async_callback(listener.aclose)
            self.listeners += (ServedListener(listener, CurrentServices(self._services(name, served))),)

    def _served_routes(self) -> dict[str, ServedRoute]:
        configured, calls = self.configuration.routes, self.metrics.calls
        calls.know_routes(configured)
        return {
            name: ServedRoute.of(MeasuredRoute(route, calls), configured[name]) for name, route in self._routes.items()
        }

    def _services(self, listener: str, routes: Mapping[str, ServedRoute]) -> EdgeServices:
        return EdgeServices(
            tls=self._tls.contexts[listener],
            routes=routes,
            voice=self.configuration.voice,
            credential_kinds=self.clients.kinds,
            parts=ServerDependencies(SystemKem(), ENTROPY, self.voice, self.callers, self.tickets),
            signer=self.batcher,
            clock=CLOCK,
            seal=self.sealing,
            journal=Journal(self.logger, self.audit, self.backends, metrics=self.metrics.calls),
        )


def _tls_policies(configuration: Configuration) -> dict[str, TlsPolicy]:
    knows_certificates = bool(configuration.clients.ca_file)
    return {name: TlsPolicy(each.pq, knows_certificates) for name, each in configuration.all_listeners().items()}


def _forget_killed(configuration: Configuration) -> None:
    """Remove the ready file of a proxy that was killed: whoever holds the lock of the audit log is the only one."""
    with suppress(OSError):
        Path(configuration.process.ready_file).unlink(missing_ok=True)


async def record_configuration(
    configuration: Configuration, file: Path, routes: Mapping[str, Route], audit: AuditLog, logger: Logger
) -> None:
    """Put on the audit log what the proxy is told, and what of it leaves audio unprotected."""
    digest = hashlib.sha256(msgspec.json.encode(configuration)).hexdigest()
    await audit.record(ConfigurationLoaded(file=str(file), sha256=digest))
    logger.info(events.CONFIGURATION_LOADED, file=str(file), routes=sorted(routes))
    for name, route in routes.items():
        for warning in route.warnings:
            logger.warning(events.PLAINTEXT_NETWORK_ALLOWED, route=name, text=warning)
        if route.plaintext_network:
            # A query may hold what is no auditor's affair.
            url = (configuration.routes[name].url or "").partition("?")[0]
            await audit.record(PlaintextNetworkAllowed(route=name, url=url))


def _reporter(logger: Logger, health: Health) -> Callable[[AuditFailed | None], None]:
    """Say that the audit log can no longer be written, or (None) that it can again."""

    def report(failure: AuditFailed | None) -> None:
        health.audit(failure)
        if failure is None:
            logger.warning(events.AUDIT_REPAIRED)
        else:
            logger.error(events.AUDIT_FAILED, reason=str(failure))

    return report
