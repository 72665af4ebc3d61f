"""What runs while the proxy serves, put together in the order in which each needs the others.

    audit ─▶ ledger ─▶ seal ─▶ token processes ─▶ certificates ─▶ listeners

Where the HSM has a seal, a start has neither tokens nor certificates; both come when it is unsealed.

Nothing here decides anything: it hands each part what it asks for.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from sottovoce.app.anchors import record_anchor_changes
from sottovoce.app.checking import build_routes, read_credentials
from sottovoce.app.doctor.sockets import naming_holder
from sottovoce.app.floor import Change, versions
from sottovoce.app.ledger import open_ledger
from sottovoce.app.places import token_places
from sottovoce.app.serving.carriage import Alone, Carriage, Given, Kept, Several, Tasks
from sottovoce.app.serving.certificates import leaf_keeper, voice_keeper
from sottovoce.app.serving.health import Health, Reports, Tokens
from sottovoce.app.serving.measuring import read
from sottovoce.app.serving.sealing import Sealing, open_keeper
from sottovoce.app.token_process import COMMAND
from sottovoce.app.workers import Handover
from sottovoce.app.workers.handover import ADMIN
from sottovoce.audit import AuditFailed, AuditLog, ConfigurationLoaded, PlaintextNetworkAllowed, open_audit
from sottovoce.edge import Address, listen, parse_address
from sottovoce.hsm import Cluster, open_pool
from sottovoce.hsm.seal import Effects
from sottovoce.identity import Certificates, Clients, ClientsContents
from sottovoce.observe import Logger, events
from sottovoce.observe.metrics import Metrics
from sottovoce.pki import LeafKeeper, throwaway_identity
from sottovoce.relay import Route
from sottovoce.settings import Configuration
from sottovoce.transport import SystemClock, SystemEntropy

CLOCK = SystemClock()
ENTROPY = SystemEntropy()


class Parts:
    """Made by `build`; everything that must be closed is on its stack."""

    def __init__(  # noqa: PLR0913  the parts
        self,
        *,
        change: Change,
        file: Path,
        logger: Logger,
        audit: AuditLog,
        sealing: Sealing,
        tokens: Cluster,
        leaf: LeafKeeper,
        voice: Certificates,
        metrics: Metrics,
        health: Health,
        admin: trio.SocketListener,
        carriage: Carriage,
    ) -> None:
        self.configuration = change.configuration
        self.clients = Clients(change.clients, CLOCK.wall)
        """Who may call, as those who carry calls know it."""
        self.file = file
        self.logger = logger
        self.sealing = sealing
        self.tokens = tokens
        self.leaf = leaf
        self.voice = voice
        self.ticket_keys = carriage.ticket_keys
        self.metrics = metrics
        self.health = health
        self.admin = admin
        self.audit = audit
        self.carrier = carriage.carrier
        self.exposition = carriage.exposition
        """The metrics of all processes; `metrics` are this one's own."""
        self.is_handed_over = False
        """Whether another program goes on with the sockets and the calls."""
        self._carrying = carriage.tasks

    @classmethod
    async def build(  # noqa: PLR0913  what a start is given
        cls,
        configuration: Configuration,
        file: Path,
        logger: Logger,
        stack: AsyncExitStack,
        *,
        given: Given | None = None,
        handover: Handover | None = None,
    ) -> "Parts":
        """Start the token processes, get certificates, bind the listeners, or take what was `given` of them.

        A `handover` is what this process had before it became this program.
        """
        given = given or {}
        base = file.absolute().parent  # noqa: ASYNC240  at start, nobody waits
        routes = build_routes(configuration, file)
        change = Change(configuration, routes, read_credentials(configuration).contents)
        places = {each.name: each for each in token_places(configuration.hsm)}
        sections = {name: each.section for name, each in places.items()}
        health = Health(CLOCK, Tokens(CLOCK, sections, configuration.hsm.needed))
        report = _reporter(logger, health)
        checked = None if handover is None else handover.audit
        audit = await stack.enter_async_context(open_audit(configuration.audit, CLOCK, report=report, checked=checked))
        if handover is None:
            _forget_killed(configuration)
        await record_configuration(configuration, file, routes, audit, logger)
        await record_anchor_changes(places.values(), audit)
        metrics = Metrics(versions())
        metrics.keys.know_nodes(places)
        labels = {name: each.config.token for name, each in places.items()}
        ledger = await stack.enter_async_context(open_ledger(logger, audit, labels, metrics.keys))
        admin = await _admin_listener(configuration, given)
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
        voice = voice_keeper(configuration, base, tokens, reports, CLOCK, ENTROPY)
        kept = Kept(
            change=change,
            file=str(file),
            logger=logger,
            audit=audit,
            sealing=sealing,
            tokens=tokens,
            voice=voice,
            reports=reports,
            metrics=metrics,
            clock=CLOCK,
            entropy=ENTROPY,
        )
        carriage = _carriage(kept, given, handover)
        leaf = leaf_keeper(configuration, tokens, carriage.carrier.install, reports, CLOCK, ENTROPY)
        if sealing.is_open:
            await leaf.first()
            await voice.first()
            if not carriage.ticket_keys.living:
                await carriage.ticket_keys.first()
        else:
            carriage.carrier.install(throwaway_identity(CLOCK.wall()))  # to say 503 under
        await carriage.open(stack)
        health.carrying = carriage.carrier
        parts = cls(
            change=change,
            file=file,
            logger=logger,
            audit=audit,
            sealing=sealing,
            tokens=tokens,
            leaf=leaf,
            voice=voice,
            metrics=metrics,
            health=health,
            admin=admin,
            carriage=carriage,
        )
        await stack.enter_async_context(sealing.followed_by(parts.heed))
        metrics.watch(partial(read, parts, CLOCK))
        return parts

    @property
    def background_tasks(self) -> Tasks:
        """What runs beside the listeners, as long as they do."""
        needing_tokens = partial(self.sealing.run, self.leaf.run, self.voice.run, self.ticket_keys.run)
        return needing_tokens, *self._carrying, self.metrics.loop_lag.run

    def heed(self, effects: Effects) -> None:
        """Do what it means that the HSM was sealed or unsealed; never waits."""
        if effects.lets_rekey:
            self.health.unsealed()
        else:
            self.ticket_keys.forget()
        self.carrier.heed(effects)

    async def apply(self, change: Change) -> None:
        """Let calls from now on be served by this; those that run keep what they have, if they may still call there.

        Addresses and whatever else a start settles have to be those of the configuration before.  Raises SottovoceError
        where somebody who carries calls cannot take it, and then nothing has changed.
        """
        await self.carrier.prepare(change)
        await record_configuration(change.configuration, self.file, change.routes, self.audit, self.logger)
        await record_anchor_changes(token_places(change.configuration.hsm), self.audit)
        self.configuration = change.configuration
        self._note_clients(change.clients)
        await self.carrier.apply(change)

    async def take_clients(self, contents: ClientsContents) -> int:
        """Let these call from now on, and end the calls of those who may no longer; gives how many ended."""
        self._note_clients(contents)
        return await self.carrier.take_clients(contents)

    @property
    def admin_address(self) -> str:
        """The address of the admin listener, as it was got."""
        host, port, *_ = self.admin.socket.getsockname()
        return str(Address(host, port))

    def drain(self) -> None:
        """Let nobody in and send the calls away; the listeners end when they have gone, or their time is over."""
        self.health.is_draining = True
        self.logger.info(events.PROXY_DRAINING, calls=sum(self.carrier.load.listeners.values()))
        process = self.configuration.process
        self.carrier.drain(process.drain_seconds, process.stop_seconds)

    def hand_over_admin(self) -> int:
        """Let go of the admin listener without closing it; gives its descriptor."""
        self.is_handed_over = True
        return self.admin.socket.detach()

    def _note_clients(self, contents: ClientsContents) -> None:
        for event in contents.changes_since(self.clients.contents):
            self.audit.note(event)
        self.clients.replace(contents)


async def _admin_listener(configuration: Configuration, given: Given) -> trio.SocketListener:
    if numbers := given.get(ADMIN):
        return trio.SocketListener(trio.socket.socket(fileno=numbers[0]))
    with naming_holder():
        return await listen(ADMIN, parse_address(configuration.admin.address))


def _carriage(kept: Kept, given: Given, handover: Handover | None) -> Carriage:
    count = kept.change.configuration.process.worker_count
    if count == 1 and handover is None:
        return Alone(kept, given)
    return Several(kept, count, given, handover)


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
