"""What happens to keys, tokens and certificates, on the log and on the audit log, and counted.

The parts report through synchronous callbacks; records that must be on the disk are written by one task, in order.  The
queue has no bound because nothing may be dropped from it, and needs none: each report stands for work of the HSM that
is limited itself.
"""

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Literal

import trio

from sottovoce.audit import (
    AuditEvent,
    AuditFailed,
    AuditLog,
    CertificateIssued,
    HsmSealed,
    HsmUnsealed,
    HsmUnsealing,
    RootSigned,
    ShareRefused,
    TicketKeyCreated,
    TicketKeyErased,
    TokenLost,
    TokenStarted,
)
from sottovoce.hsm import TokenDown, TokenEvent, TokenLocked, TokenSealed, TokenUp
from sottovoce.hsm.seal import SealClosed, SealEvent, SealOpened, ShareCounted, StateLost, UnsealingEnded
from sottovoce.identity import BatchEvent, BatchFailed, BatchSigned, TicketKeyEvent, TicketKeyFailed, TicketKeyReplaced
from sottovoce.observe import KeyCounting, Logger, Uncounted, events
from sottovoce.pki import CertificateRenewed, RenewalEvent, RenewalFailed
from sottovoce.session import LeafKind

_DRAIN_SECONDS = 10.0


@asynccontextmanager
async def open_ledger(
    logger: Logger, audit: AuditLog, tokens: Mapping[str, str], metrics: KeyCounting | None = None
) -> AsyncGenerator["Ledger"]:
    """Write what is reported until the block ends, however it ends, and then what is left.  `audit` outlives it."""
    ledger = Ledger(logger, audit, tokens, metrics)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.run)
            try:
                yield ledger
            finally:
                ledger.close()
    except BaseExceptionGroup as group:
        # The nursery is our own affair: an error of the block comes out as it was raised.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


Kind = Literal["tls_leaf", "voice"]


class Ledger:
    """Takes reports; `run` writes them, and what cannot be written is noted, so that the audit log keeps it."""

    def __init__(
        self, logger: Logger, audit: AuditLog, tokens: Mapping[str, str], metrics: KeyCounting | None = None
    ) -> None:
        """Write to these and tell `metrics`; `tokens` gives each token's label by its name in the configuration."""
        self._logger = logger
        self._audit = audit
        self._tokens = tokens
        self._metrics: KeyCounting = metrics or Uncounted()
        self._pids: dict[str, int] = {}
        self._send, self._receive = trio.open_memory_channel[AuditEvent](math.inf)
        self._writing = trio.CancelScope(shield=True)

    async def run(self) -> None:
        """Write what was reported until `close`.  Cancellation does not reach it: what has happened goes on the log."""
        with self._writing:
            async for event in self._receive:
                try:
                    await self._audit.record(event)
                except AuditFailed as error:
                    self._audit.note(event)  # it has happened: it goes on the log as soon as that can be written
                    self._logger.error(events.AUDIT_FAILED, reason=str(error))  # noqa: TRY400  one line, no trail
        with suppress(trio.EndOfChannel):  # time is up: what still waits is left to the audit log, which counts it
            while True:
                self._audit.note(self._receive.receive_nowait())

    def close(self) -> None:
        """Take no more; `run` ends behind what is left, or when that takes too long."""
        self._send.close()
        self._writing.deadline = trio.current_time() + _DRAIN_SECONDS

    def token(self, node: str, event: TokenEvent) -> None:
        """Take what became of a node's token process."""
        token = self._tokens[node]
        match event:
            case TokenUp(pid):
                self._pids[node] = pid
                self._metrics.token_started(node)
                self._logger.info(events.TOKEN_STARTED, node=node, token=token, pid=pid)
                self._record(TokenStarted(node=node, token=token, pid=pid))
            case TokenDown(reason, in_flight):
                self._metrics.token_lost(node)
                pid = self._pids.get(node, 0)
                self._logger.warning(
                    events.TOKEN_LOST, node=node, token=token, pid=pid, reason=reason, in_flight=in_flight
                )
                self._record(TokenLost(node=node, token=token, pid=pid, reason=reason))
            case TokenLocked(reason):
                self._metrics.token_lost(node)
                pid = self._pids.get(node, 0)
                self._logger.error(events.TOKEN_LOST, node=node, token=token, pid=pid, reason=reason)
                self._record(TokenLost(node=node, token=token, pid=pid, reason=reason))

            case TokenSealed(reason):
                if (ended := self._pids.pop(node, None)) is not None:
                    self._record(TokenLost(node=node, token=token, pid=ended, reason=reason))

    def begun_sealed(self, reason: str) -> None:
        """Take that the proxy begins without PINs."""
        self._logger.warning(events.HSM_SEALED, reason=reason)
        self._record(HsmSealed(reason=reason))

    def seal(self, event: SealEvent | StateLost) -> None:
        """Take what became of the seal."""
        match event:
            case SealClosed(reason):
                self._logger.warning(events.HSM_SEALED, reason=reason)
                self._record(HsmSealed(reason=reason))
            case ShareCounted(have, wanted):
                self._logger.warning(events.HSM_UNSEALING, have=have, wanted=wanted)
                self._record(HsmUnsealing(have=have, wanted=wanted))
            case SealOpened():
                self._logger.warning(events.HSM_UNSEALED)
                self._record(HsmUnsealed())
            case UnsealingEnded(have, why):
                reason = f"the unsealing was given up: {why}"
                self._logger.warning(events.HSM_SEALED, reason=reason, have=have)
                self._record(HsmSealed(reason=reason))
            case StateLost(text):
                self._logger.error(events.HSM_SEAL_STATE_LOST, reason=text)

    def share_refused(self, kind: str, reason: str) -> None:
        """Take that something was offered that was no share, or not wanted; `kind` is the error's name."""
        self._logger.warning(events.HSM_SHARE_REFUSED, kind=kind, reason=reason)
        self._record(ShareRefused(kind=kind))

    def certificate(self, kind: Kind, event: RenewalEvent) -> None:
        """Take what became of a certificate."""
        issued, failed = _CERTIFICATE_EVENTS[kind]
        self._metrics.certificate_renewed(kind, succeeded=isinstance(event, CertificateRenewed))
        match event:
            case CertificateRenewed(serial, names, not_before, not_after, sha256, anchor, node):
                more = {name: value for name, value in (("anchor", anchor), ("node", node)) if value}
                self._logger.info(issued, serial=serial, names=names, not_after=not_after, **more)
                self._record(
                    CertificateIssued(
                        kind=kind,
                        serial=serial,
                        names=names,
                        not_before=not_before,
                        not_after=not_after,
                        sha256=sha256,
                        anchor=anchor,
                        node=node,
                    )
                )
            case RenewalFailed(reason, retry_seconds, not_after, node):
                of = {"node": node} if node else {}
                self._logger.error(failed, reason=reason, retry_seconds=retry_seconds, not_after=not_after, **of)

    def ticket_key(self, event: TicketKeyEvent) -> None:
        """Take what became of a ticket key."""
        match event:
            case TicketKeyReplaced(key, node):
                self._metrics.ticket_key("replaced")
                self._logger.info(events.TICKET_KEY_REPLACED, key=key, node=node)
                self._record(TicketKeyCreated(key=key, node=node, token=self._tokens[node]))
            case TicketKeyFailed(reason, retry_seconds, seals):
                self._metrics.ticket_key("failed")
                self._logger.warning(events.TICKET_KEY_FAILED, reason=reason, retry_seconds=retry_seconds, seals=seals)
            case erased:
                self._metrics.ticket_key("erased")
                self._record(TicketKeyErased(key=erased.key, sealed=erased.sealed, spent=erased.spent))

    def batch(self, event: BatchEvent) -> None:
        """Take what became of a batch of leaves; there are many of these, so they are noted with the calls."""
        match event:
            case BatchSigned(kind, leaves, _, root, node):
                self._metrics.root_signed(_ROOTS[kind], leaves)
                self._logger.debug(events.ROOT_SIGNED, kind=kind.name.lower(), leaves=leaves, node=node)
                self._audit.note(RootSigned(kind=_ROOTS[kind], leaves=leaves, root=root.hex(), node=node))
            case BatchFailed(kind, leaves, reason):
                self._metrics.root_failed(_ROOTS[kind])
                self._logger.warning(events.SIGNATURE_DROPPED, kind=kind.name.lower(), leaves=leaves, reason=reason)

    def _record(self, event: AuditEvent) -> None:
        self._send.send_nowait(event)


_CERTIFICATE_EVENTS: dict[Kind, tuple[str, str]] = {
    "tls_leaf": (events.LEAF_ISSUED, events.LEAF_RENEWAL_FAILED),
    "voice": (events.VOICE_CERTIFICATE_ISSUED, events.VOICE_CERTIFICATE_RENEWAL_FAILED),
}
"""What is logged when a certificate was issued, and when it was not."""
_ROOTS: dict[LeafKind, Literal["server_verify", "rekey_verify"]] = {
    LeafKind.SERVER_VERIFY: "server_verify",
    LeafKind.REKEY_VERIFY: "rekey_verify",
}
