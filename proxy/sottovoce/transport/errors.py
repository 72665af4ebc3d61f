"""What can go wrong on the carriage, by whose fault it is.

The text of each error is one line fit to be shown: it names what was wrong and, where a person can do something about
it, the remedy.  Words that a peer chose never stand in it.
"""

from enum import StrEnum

from sottovoce.primitives import SottovoceError


class TransportError(SottovoceError):
    """Root of the errors of this package."""


class TransportMisconfigured(TransportError):
    """A certificate, key, host name or environment that TLS cannot be served or used with.  The operator's to mend."""


class SelfTestFailed(TransportError):
    """The handshake made at start did not negotiate what the policy promises: do not serve."""


class TlsReason(StrEnum):
    """Why a TLS connection failed: a small fixed set, fit for a log field or a metric label."""

    NO_COMMON_GROUP = "no_common_group"
    NO_COMMON_VERSION = "no_common_version"
    NO_COMMON_CIPHER = "no_common_cipher"
    NO_COMMON_ALPN = "no_common_alpn"
    NOT_TLS = "not_tls"
    CERTIFICATE = "certificate"
    HANDSHAKE_TOO_LARGE = "handshake_too_large"
    BAD_RECORD = "bad_record"
    ALERT = "alert"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"


class TlsError(TransportError):
    """The TLS connection failed and is over; what remains in `to_send()` is the alert for the peer.

    `alert` is the number of the alert that the peer sent, None if the fault was found here (RFC 8446 §6).
    """

    def __init__(self, reason: TlsReason, text: str, *, alert: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.alert = alert


class TlsTruncated(TlsError):
    """The bytes ended without close_notify: whether the peer had more to say is unknown (RFC 8446 §6.1)."""

    def __init__(self) -> None:
        super().__init__(TlsReason.TRUNCATED, "the connection ended without TLS's closing alert")


class CertificateProblem(StrEnum):
    """What a client found wrong with the server's certificate."""

    UNKNOWN_CA = "unknown_ca"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_HOST = "wrong_host"
    OTHER = "other"


class CertificateRefused(TlsError):
    """The peer's certificate was not accepted; `problem` says which check failed."""

    def __init__(self, problem: CertificateProblem, text: str) -> None:
        super().__init__(TlsReason.CERTIFICATE, text)
        self.problem = problem


class WebSocketClosed(TransportError):
    """A message was to be sent after the WebSocket had closed or was closing: it was not sent."""


class ProxyHeaderInvalid(TransportError):
    """What a balancer sent before TLS is no header of the PROXY protocol: the connection is to be closed."""
