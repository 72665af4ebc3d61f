"""What an operator asks a running proxy, over HTTP: metrics, health, status.

    config   where it listens                  status   what it answers, which `sottovoce status` reads back
    asking   the client of the commands        web      the listener itself, alone here in needing an HTTP server

Nothing can be changed through it, and nothing secret is told.
"""

from sottovoce.admin.asking import Unanswered, ask_status, url_of
from sottovoce.admin.config import AdminConfig
from sottovoce.admin.durations import duration
from sottovoce.admin.status import (
    SCHEMA,
    Answers,
    AuditStatus,
    CallCounts,
    CertificateStatus,
    Concern,
    Exposition,
    HandshakeStatus,
    HsmStatus,
    ListenerStatus,
    Readiness,
    RouteStatus,
    SealShown,
    Severity,
    State,
    Status,
    TicketKeyStatus,
    TokenStatus,
    WorkersStatus,
    WorkerStatus,
)

__all__ = [
    "SCHEMA",
    "AdminConfig",
    "Answers",
    "AuditStatus",
    "CallCounts",
    "CertificateStatus",
    "Concern",
    "Exposition",
    "HandshakeStatus",
    "HsmStatus",
    "ListenerStatus",
    "Readiness",
    "RouteStatus",
    "SealShown",
    "Severity",
    "State",
    "Status",
    "TicketKeyStatus",
    "TokenStatus",
    "Unanswered",
    "WorkerStatus",
    "WorkersStatus",
    "ask_status",
    "duration",
    "url_of",
]
