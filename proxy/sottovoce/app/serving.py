"""`sottovoce serve`: builds the parts, opens the root nursery, drains and stops.

    audit ─▶ token process ─▶ certificates ─▶ listeners ─▶ ready … stop ─▶ drain ─▶ the same backwards

Whatever cannot be had at start ends the start with one error and nothing half-done.  Later the proxy goes on as long as
it can: a lost token is replaced, a renewal that fails is tried again.
"""

import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from sottovoce.app.checking import build_routes, check_loaded, read_credentials
from sottovoce.app.hardening import harden_process
from sottovoce.app.initialise import ANCHORS, ISSUING, token_files
from sottovoce.app.ledger import Ledger, open_ledger
from sottovoce.app.token_process import COMMAND
from sottovoce.audit import AuditFailed, AuditLog, ConfigurationLoaded, PlaintextNetworkAllowed, open_audit
from sottovoce.edge import CurrentServices, EdgeServices, Journal, Listener, ServedRoute, bind
from sottovoce.hsm import STATUS, HsmError, Status, Token, open_token
from sottovoce.identity import Batcher, CertificateKeeper, load_anchors
from sottovoce.observe import Logger, configure_logging, events, get_logger
from sottovoce.pki import LeafKeeper, read_issuing_certificate
from sottovoce.primitives import SystemKem
from sottovoce.relay import Route
from sottovoce.session import ServerDependencies
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem
from sottovoce.transport import (
    CurrentContext,
    PqPolicy,
    SystemClock,
    SystemEntropy,
    TlsIdentity,
    self_test,
    server_context,
)

_STATUS_SECONDS = 2.0
_CLOCK = SystemClock()
_ENTROPY = SystemEntropy()


Announce = Callable[[Mapping[str, str]], None]
"""Is told the address of each listener once calls can come."""


def _announce_nothing(_: Mapping[str, str]) -> None:
    """The log tells."""


async def serve(configuration: Configuration, file: Path, announce: Announce = _announce_nothing) -> None:
    """Serve a (resolved) configuration until SIGTERM or SIGINT.  Raises SottovoceError for what prevents a start."""
    limit = harden_process()
    configure_logging(configuration.log)
    logger = get_logger(__name__)
    logger.debug(events.FILE_LIMIT_RAISED, limit=limit)
    if problems := check_loaded(configuration, file).problems:
        raise ConfigurationInvalid(problems)
    async with AsyncExitStack() as stack:
        parts = await _Parts.build(configuration, file, logger, stack)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            await parts.run(signals, announce)
        served, signed = parts.batcher.batches_served, await _roots_signed(parts.token)
    logger.info(events.PROXY_STOPPED, batches_served=served, roots_signed=signed)


class _Parts:
    """What runs while the proxy serves.  Made by `build`; everything that must be closed is on its stack."""

    def __init__(  # noqa: PLR0913  the parts
        self,
        *,
        configuration: Configuration,
        logger: Logger,
        token: Token,
        leaf: LeafKeeper,
        voice: CertificateKeeper,
        batcher: Batcher,
        listeners: tuple[tuple[Listener, EdgeServices], ...],
    ) -> None:
        self.configuration = configuration
        self.logger = logger
        self.token = token
        self.leaf = leaf
        self.voice = voice
        self.batcher = batcher
        self.listeners = listeners

    @classmethod
    async def build(cls, configuration: Configuration, file: Path, logger: Logger, stack: AsyncExitStack) -> "_Parts":
        """Start the token process, get certificates, bind the listeners."""
        base = file.absolute().parent  # noqa: ASYNC240  at start, nobody waits
        routes = build_routes(configuration, file)
        credentials = read_credentials(configuration)
        tls = _TlsContexts({name: each.pq for name, each in configuration.all_listeners().items()})
        audit = await stack.enter_async_context(open_audit(configuration.audit, _CLOCK, report=_reporter(logger)))
        _forget_killed(configuration)
        await _record_start(configuration, file, routes, audit, logger)
        ledger = await stack.enter_async_context(open_ledger(logger, audit, configuration.hsm.token))
        token = await stack.enter_async_context(
            open_token(configuration.hsm, command=COMMAND, files=token_files(base), report=ledger.token)
        )
        leaf, voice = _keepers(configuration, base, token, tls, ledger)
        await leaf.first()
        await voice.first()
        batcher = Batcher(token, report=ledger.batch)
        served = {name: ServedRoute(route, configuration.routes[name].origins) for name, route in routes.items()}
        listeners: list[tuple[Listener, EdgeServices]] = []
        for name, each in configuration.all_listeners().items():
            services = EdgeServices(
                tls=tls.contexts[name],
                routes=served,
                voice=configuration.voice,
                credential_kinds=credentials.kinds,
                parts=ServerDependencies(SystemKem(), _ENTROPY, voice, credentials),
                signer=batcher,
                clock=_CLOCK,
                journal=Journal(logger, audit),
            )
            listener = await bind(name, each)
            stack.push_async_callback(listener.aclose)
            listeners.append((listener, services))
        return cls(
            configuration=configuration,
            logger=logger,
            token=token,
            leaf=leaf,
            voice=voice,
            batcher=batcher,
            listeners=tuple(listeners),
        )

    async def run(self, signals: AsyncIterator[int], announce: Announce) -> None:
        """Serve until a signal comes; then drain."""
        async with trio.open_nursery() as background:
            for task in (self.leaf.run, self.voice.run, self.batcher.run):
                background.start_soon(task)
            async with trio.open_nursery() as serving:
                for listener, services in self.listeners:
                    serving.start_soon(listener.serve, CurrentServices(services))
                with _ready(self, announce):
                    await anext(signals)
                calls = sum(listener.calls for listener, _ in self.listeners)
                self.logger.info(events.PROXY_DRAINING, calls=calls)
                for listener, _ in self.listeners:
                    listener.drain()
            background.cancel_scope.cancel()


class _TlsContexts:
    """Every listener's TLS settings, made anew with each certificate."""

    def __init__(self, policies: Mapping[str, PqPolicy]) -> None:
        self.contexts: dict[str, CurrentContext] = {}
        self._policies = policies

    def install(self, identity: TlsIdentity) -> None:
        """Take a certificate; the first time, prove that each listener negotiates what its policy says."""
        for name, pq in self._policies.items():
            context = server_context(identity, pq=pq)
            if name in self.contexts:
                self.contexts[name].replace(context)
            else:
                self_test(context)
                self.contexts[name] = CurrentContext(context)


def _keepers(
    configuration: Configuration, base: Path, token: Token, tls: _TlsContexts, ledger: Ledger
) -> tuple[LeafKeeper, CertificateKeeper]:
    names = configuration.identity.names
    leaf = LeafKeeper(
        token,
        read_issuing_certificate(base / ISSUING),
        names,
        lifetime_seconds=configuration.identity.leaf_hours * 3600,
        install=tls.install,
        report=partial(ledger.certificate, "tls_leaf"),
        clock=_CLOCK,
        entropy=_ENTROPY,
    )
    voice = CertificateKeeper(
        token,
        load_anchors(base / ANCHORS),
        names,
        lifetime_seconds=configuration.identity.certificate_hours * 3600,
        report=partial(ledger.certificate, "voice"),
        clock=_CLOCK,
        entropy=_ENTROPY,
    )
    return leaf, voice


def _forget_killed(configuration: Configuration) -> None:
    """Remove the ready file of a proxy that was killed: whoever holds the lock of the audit log is the only one."""
    with suppress(OSError):
        Path(configuration.process.ready_file).unlink(missing_ok=True)


async def _record_start(
    configuration: Configuration, file: Path, routes: Mapping[str, Route], audit: AuditLog, logger: Logger
) -> None:
    """Put on the audit log what this run is told, and what of it leaves audio unprotected."""
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


def _reporter(logger: Logger) -> Callable[[AuditFailed | None], None]:
    """Say that the audit log can no longer be written, or (None) that it can again."""

    def report(failure: AuditFailed | None) -> None:
        if failure is None:
            logger.warning(events.AUDIT_REPAIRED)
        else:
            logger.error(events.AUDIT_FAILED, reason=str(failure))

    return report


@contextmanager
def _ready(parts: _Parts, announce: Announce) -> Generator[None]:
    """Say that calls can come, and to where; keep the ready file there as long as that holds."""
    path = Path(parts.configuration.process.ready_file)
    addresses = {listener.name: str(listener.address) for listener, _ in parts.listeners}
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("".join(f"{address}\n" for address in addresses.values()))
        parts.logger.info(
            events.PROXY_READY,
            addresses=addresses,
            pq={name: str(each.pq) for name, each in parts.configuration.all_listeners().items()},
            routes=sorted(parts.configuration.routes),
            pid=os.getpid(),
        )
        fresh.replace(path)
    except OSError as error:
        reason = f"{path} cannot be written ({error.strerror})"
        problem = Problem("process.ready_file", reason, "give a path in a directory that may be written to")
        raise ConfigurationInvalid([problem]) from None
    try:
        announce(addresses)
        yield
    finally:
        path.unlink(missing_ok=True)


async def _roots_signed(token: Token) -> int | None:
    """Give how many roots the token process has signed; None if it does not say."""
    try:
        status = await token.call(STATUS, Status(), deadline_seconds=_STATUS_SECONDS)
    except HsmError:
        return None
    return status.counts.get("roots_signed", 0)
