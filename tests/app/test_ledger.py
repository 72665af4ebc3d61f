from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sottovoce import identity
from sottovoce.app.ledger import Ledger, open_ledger
from sottovoce.audit import (
    AuditEvent,
    AuditFailed,
    CertificateIssued,
    RootSigned,
    TicketKeyCreated,
    TicketKeyErased,
    TokenLost,
    TokenStarted,
)
from sottovoce.hsm import TokenDown, TokenLocked, TokenUp
from sottovoce.identity import BatchFailed, BatchSigned, TicketKeyFailed, TicketKeyReplaced
from sottovoce.observe import events
from sottovoce.pki import CertificateRenewed, RenewalFailed
from sottovoce.session import LeafKind

LEAF = CertificateRenewed(serial="1f", names=("localhost",), not_before=10, not_after=20, sha256="ab")
VOICE = CertificateRenewed(serial="2f", names=("localhost",), not_before=30, not_after=40, sha256="cd", node="b")


class FakeLogger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))


class FakeAudit:
    """An audit log that takes a second for each record, or refuses."""

    def __init__(self) -> None:
        self.recorded: list[AuditEvent] = []
        self.noted: list[AuditEvent] = []
        self.refuses = False

    async def record(self, event: AuditEvent) -> None:
        await trio.sleep(1)
        if self.refuses:
            raise AuditFailed("the disk is full: make room")
        self.recorded.append(event)

    def note(self, event: AuditEvent) -> None:
        self.noted.append(event)


@pytest.fixture
def logger() -> FakeLogger:
    return FakeLogger()


@pytest.fixture
def audit() -> FakeAudit:
    return FakeAudit()


@asynccontextmanager
async def opened(logger: FakeLogger, audit: FakeAudit) -> AsyncGenerator[Ledger]:
    async with open_ledger(logger, audit, {"a": "sottovoce-a", "b": "sottovoce-b"}) as ledger:  # type: ignore[arg-type]
        yield ledger


async def test_what_becomes_of_the_token_is_on_both_logs(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        ledger.token("a", TokenUp(7))
        ledger.token("b", TokenUp(8))
        ledger.token("a", TokenDown("it was killed"))
        ledger.token("b", TokenLocked("the PIN is refused"))
    assert audit.recorded == [
        TokenStarted(node="a", token="sottovoce-a", pid=7),
        TokenStarted(node="b", token="sottovoce-b", pid=8),
        TokenLost(node="a", token="sottovoce-a", pid=7, reason="it was killed"),
        TokenLost(node="b", token="sottovoce-b", pid=8, reason="the PIN is refused"),
    ]
    assert [(level, event, fields["node"]) for level, event, fields in logger.lines] == [
        ("info", events.TOKEN_STARTED, "a"),
        ("info", events.TOKEN_STARTED, "b"),
        ("warning", events.TOKEN_LOST, "a"),
        ("error", events.TOKEN_LOST, "b"),
    ]


async def test_a_token_that_never_started_has_no_process(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        ledger.token("b", TokenDown("its directory is missing"))
    assert audit.recorded == [TokenLost(node="b", token="sottovoce-b", pid=0, reason="its directory is missing")]


async def test_certificates_are_on_both_logs_and_failures_on_one(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        ledger.certificate("tls_leaf", LEAF)
        ledger.certificate("voice", VOICE)
        ledger.certificate("tls_leaf", RenewalFailed("the token is down", 2.0, 20))
        ledger.certificate("voice", RenewalFailed("it stands in no list", 0.0, 40, "a"))
    assert audit.recorded == [
        CertificateIssued(kind="tls_leaf", serial="1f", names=("localhost",), not_before=10, not_after=20, sha256="ab"),
        CertificateIssued(
            kind="voice", serial="2f", names=("localhost",), not_before=30, not_after=40, sha256="cd", node="b"
        ),
    ]
    assert [(level, event) for level, event, _ in logger.lines] == [
        ("info", events.LEAF_ISSUED),
        ("info", events.VOICE_CERTIFICATE_ISSUED),
        ("error", events.LEAF_RENEWAL_FAILED),
        ("error", events.VOICE_CERTIFICATE_RENEWAL_FAILED),
    ]
    assert logger.lines[2][2] == {"reason": "the token is down", "retry_seconds": 2.0, "not_after": 20}
    assert logger.lines[1][2]["node"] == "b"
    assert logger.lines[3][2]["node"] == "a"


async def test_ticket_keys_are_on_the_audit_log_from_their_making_to_their_end(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        ledger.ticket_key(TicketKeyReplaced("1f2e", "b"))
        ledger.ticket_key(TicketKeyFailed("the token is down", 2.0, seals=True))
        ledger.ticket_key(identity.TicketKeyErased("1f2e", sealed=7, spent=3))
    assert audit.recorded == [
        TicketKeyCreated(key="1f2e", node="b", token="sottovoce-b"),
        TicketKeyErased(key="1f2e", sealed=7, spent=3),
    ]
    assert logger.lines == [
        ("info", events.TICKET_KEY_REPLACED, {"key": "1f2e", "node": "b"}),
        ("warning", events.TICKET_KEY_FAILED, {"reason": "the token is down", "retry_seconds": 2.0, "seals": True}),
    ]


async def test_batches_are_noted_without_waiting(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        ledger.batch(BatchSigned(LeafKind.SERVER_VERIFY, 3, 3, b"\x01" * 48, "a"))
        ledger.batch(BatchSigned(LeafKind.REKEY_VERIFY, 1, 1, b"\x02" * 48, "b"))
        ledger.batch(BatchFailed(LeafKind.SERVER_VERIFY, 2, "the token is down"))
        assert audit.noted == [
            RootSigned(kind="server_verify", leaves=3, root="01" * 48, node="a"),
            RootSigned(kind="rekey_verify", leaves=1, root="02" * 48, node="b"),
        ]
    assert [(level, event) for level, event, _ in logger.lines] == [
        ("debug", events.ROOT_SIGNED),
        ("debug", events.ROOT_SIGNED),
        ("warning", events.SIGNATURE_DROPPED),
    ]


async def test_what_was_reported_is_written_though_the_start_fails(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async def start() -> None:
        async with opened(logger, audit) as ledger:
            ledger.certificate("tls_leaf", LEAF)
            ledger.certificate("voice", VOICE)
            raise ValueError("the port is busy")

    with pytest.raises(ValueError, match="the port is busy"):
        await start()
    assert len(audit.recorded) == 2


async def test_what_was_reported_is_written_though_all_is_cancelled(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    with trio.CancelScope() as scope:
        async with opened(logger, audit) as ledger:
            ledger.certificate("tls_leaf", LEAF)
            ledger.certificate("voice", VOICE)
            scope.cancel()
            await trio.sleep_forever()
    assert len(audit.recorded) == 2


async def test_a_log_that_hangs_does_not_keep_the_proxy_for_ever(autojump_clock: MockClock, logger: FakeLogger) -> None:
    class Hanging(FakeAudit):
        async def record(self, event: AuditEvent) -> None:
            self.noted.append(event)
            await trio.sleep_forever()

    with trio.fail_after(20):
        async with opened(logger, Hanging()) as ledger:
            ledger.certificate("tls_leaf", LEAF)


async def test_what_a_slow_log_did_not_take_in_time_is_left_to_it(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        for pid in range(30):
            ledger.token("a", TokenUp(pid))
    written = [event.pid for event in audit.recorded + audit.noted if isinstance(event, TokenStarted)]
    assert 8 <= len(audit.recorded) <= 10
    assert written[: len(audit.recorded)] == list(range(len(audit.recorded)))
    assert written[-1] == 29
    assert len(written) >= 29, "the one under way when time was up is the log's already"


async def test_a_record_that_is_refused_is_told_and_kept_and_the_next_is_tried(
    autojump_clock: MockClock, logger: FakeLogger, audit: FakeAudit
) -> None:
    async with opened(logger, audit) as ledger:
        audit.refuses = True
        ledger.certificate("tls_leaf", LEAF)
        await trio.sleep(1.5)
        audit.refuses = False
        ledger.certificate("voice", VOICE)
    assert [event.serial for event in audit.noted if isinstance(event, CertificateIssued)] == ["1f"]
    assert [event.serial for event in audit.recorded if isinstance(event, CertificateIssued)] == ["2f"]
    assert logger.lines[1] == ("error", events.AUDIT_FAILED, {"reason": "the disk is full: make room"})
