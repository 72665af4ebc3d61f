"""OpenSSL, and what we want of it: contexts, faults by name, the private calls, and the self-test's client."""

from sottovoce.transport.openssl.binding import Fault, Outcome, RecordPipe, take_fault
from sottovoce.transport.openssl.contexts import (
    CurrentContext,
    KeyLog,
    PqPolicy,
    RecordLayer,
    Role,
    TlsContext,
    TlsIdentity,
    client_context,
    probe_context,
    server_context,
)
from sottovoce.transport.openssl.faults import certificate_refused, tls_error
from sottovoce.transport.openssl.handover import TrafficSecrets, hand_over
from sottovoce.transport.openssl.records import OpenSslRecords

__all__ = [
    "CurrentContext",
    "Fault",
    "KeyLog",
    "OpenSslRecords",
    "Outcome",
    "PqPolicy",
    "RecordLayer",
    "RecordPipe",
    "Role",
    "TlsContext",
    "TlsIdentity",
    "TrafficSecrets",
    "certificate_refused",
    "client_context",
    "hand_over",
    "probe_context",
    "server_context",
    "take_fault",
    "tls_error",
]
