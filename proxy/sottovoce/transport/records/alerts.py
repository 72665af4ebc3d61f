"""Alerts: their numbers, what they are called, and how a connection ends by one (RFC 8446 §6)."""

from enum import IntEnum
from typing import Final

from sottovoce.transport.errors import TlsError, TlsReason

FATAL: Final = 2
"""An alert's level.  Of what is received nobody looks at it: the number says all (RFC 8446 §6)."""

WARNING: Final = 1


class Alert(IntEnum):
    """Those that this side says or tells apart."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    ILLEGAL_PARAMETER = 47
    DECODE_ERROR = 50
    USER_CANCELED = 90


_NAMES: Final = {
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    109: "missing_extension",
    112: "unrecognized_name",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""The IANA registry "TLS Alerts"."""

_REMEDIES: Final = {
    40: "no key agreement group in common, most likely; this side's policy is pq = {pq}",
    48: "it does not know the CA of the certificate shown to it",
    70: "it does not speak TLS 1.3, and nothing older is spoken here",
    116: "it wants a client certificate: give one",
}


class RecordRefused(Exception):
    """The peer broke a rule; `alert` is what it is told.  Stays inside this package."""

    def __init__(self, alert: Alert, words: str) -> None:
        super().__init__(words)
        self.alert = alert

    def told(self) -> TlsError:
        """Give what the caller is told."""
        reason = TlsReason.BAD_RECORD if self.alert is Alert.BAD_RECORD_MAC else TlsReason.PROTOCOL
        return TlsError(reason, f"TLS failed: {self}")


def ended_by_alert(number: int, pq: str) -> TlsError:
    """Tell that the peer ended the connection by an alert; `pq` is this side's policy."""
    remedy = _REMEDIES.get(number, "").format(pq=pq)
    name = _NAMES.get(number, "unnamed")
    text = f"the peer ended TLS with alert {number} ({name})" + (f": {remedy}" if remedy else "")
    return TlsError(TlsReason.ALERT, text, alert=number)
