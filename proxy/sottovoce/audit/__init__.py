"""The audit log: everything that happens to a key, a certificate and a call, in a file that cannot be changed unseen.

First form: one append-only file, a hash chain through its lines (`chain`).  What it proves: no record was changed,
removed or moved within the log.  What it does not prove: that nobody who may write the file cut its end or made it
anew; that takes a head noted elsewhere, as `verify` prints it, until witnesses come.
"""

from sottovoce.audit.errors import AuditBroken, AuditError, AuditFailed
from sottovoce.audit.events import (
    AnchorCreated,
    AnchorRetired,
    AnchorSwitched,
    AuditEvent,
    AuditRepaired,
    CallEnded,
    CallRefused,
    CallStarted,
    CertificateIssued,
    ClassicalSuiteUsed,
    ClientAdded,
    ClientRevoked,
    ConfigurationLoaded,
    DirectoryInitialised,
    KeyGenerated,
    PlaintextNetworkAllowed,
    RootSigned,
    TicketKeyCreated,
    TicketKeyErased,
    TokenLost,
    TokenStarted,
)
from sottovoce.audit.log import AuditConfig, AuditLog, WallClock, open_audit
from sottovoce.audit.read import AuditReport, Record, read_events, read_tail, verify_audit
from sottovoce.audit.table import format_event_line

__all__ = [
    "AnchorCreated",
    "AnchorRetired",
    "AnchorSwitched",
    "AuditBroken",
    "AuditConfig",
    "AuditError",
    "AuditEvent",
    "AuditFailed",
    "AuditLog",
    "AuditRepaired",
    "AuditReport",
    "CallEnded",
    "CallRefused",
    "CallStarted",
    "CertificateIssued",
    "ClassicalSuiteUsed",
    "ClientAdded",
    "ClientRevoked",
    "ConfigurationLoaded",
    "DirectoryInitialised",
    "KeyGenerated",
    "PlaintextNetworkAllowed",
    "Record",
    "RootSigned",
    "TicketKeyCreated",
    "TicketKeyErased",
    "TokenLost",
    "TokenStarted",
    "WallClock",
    "format_event_line",
    "open_audit",
    "read_events",
    "read_tail",
    "verify_audit",
]
