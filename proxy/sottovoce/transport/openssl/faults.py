"""From what OpenSSL says to our errors: one reason of a small set, and a line with the remedy.

OpenSSL's own numbers for these faults are not exposed, its words are; a word that is not known here is a `PROTOCOL`
fault, with OpenSSL's words in the text.  Tests provoke each one.
"""

from typing import Final

from sottovoce.transport.errors import CertificateProblem, CertificateRefused, TlsError, TlsReason
from sottovoce.transport.openssl.binding import Fault
from sottovoce.transport.openssl.contexts import PqPolicy
from sottovoce.transport.records import ended_by_alert

_REASONS: Final = {
    "no suitable key share": TlsReason.NO_COMMON_GROUP,
    "no suitable groups": TlsReason.NO_COMMON_GROUP,
    "bad key share": TlsReason.NO_COMMON_GROUP,
    "unsupported protocol": TlsReason.NO_COMMON_VERSION,
    "no protocols available": TlsReason.NO_COMMON_VERSION,
    "version too low": TlsReason.NO_COMMON_VERSION,
    "no shared cipher": TlsReason.NO_COMMON_CIPHER,
    "no suitable signature algorithm": TlsReason.NO_COMMON_CIPHER,
    "no application protocol": TlsReason.NO_COMMON_ALPN,
    "wrong version number": TlsReason.NOT_TLS,
    "http request": TlsReason.NOT_TLS,
    "https proxy request": TlsReason.NOT_TLS,
    "packet length too long": TlsReason.NOT_TLS,
    "record layer failure": TlsReason.NOT_TLS,
    "decryption failed or bad record mac": TlsReason.BAD_RECORD,
    "peer did not return a certificate": TlsReason.CERTIFICATE,
}

# X509_V_ERR_… of OpenSSL's x509_vfy.h, which pyOpenSSL gives only in part.
_CERTIFICATE_PROBLEMS: Final = {
    2: CertificateProblem.UNKNOWN_CA,
    9: CertificateProblem.NOT_YET_VALID,
    10: CertificateProblem.EXPIRED,
    18: CertificateProblem.UNKNOWN_CA,
    19: CertificateProblem.UNKNOWN_CA,
    20: CertificateProblem.UNKNOWN_CA,
    21: CertificateProblem.UNKNOWN_CA,
    62: CertificateProblem.WRONG_HOST,
    64: CertificateProblem.WRONG_HOST,
}

_TEXTS: Final = {
    TlsReason.NO_COMMON_GROUP: "the peer offers no key agreement group that the policy pq = {pq} allows",
    TlsReason.NO_COMMON_VERSION: "the peer does not speak TLS 1.3",
    TlsReason.NOT_TLS: "the peer does not speak TLS on this port",
    TlsReason.CERTIFICATE: "the peer showed no certificate, and one is demanded",
}


def certificate_refused(code: int, words: str, host: str | None) -> CertificateRefused:
    """Name the failed check of a certificate; `host` is the name that a client demands, None on a server."""
    problem = _CERTIFICATE_PROBLEMS.get(code, CertificateProblem.OTHER)
    if host is None:
        return CertificateRefused(problem, f"the client's certificate is not accepted: {words}")
    match problem:
        case CertificateProblem.WRONG_HOST:
            text = f"the server's certificate is not for {host}: connect by a name that it was issued for"
        case CertificateProblem.EXPIRED:
            text = f"the certificate of {host}, or of its CA, has expired: renew it, or set this machine's clock"
        case CertificateProblem.NOT_YET_VALID:
            text = f"the certificate of {host}, or of its CA, is not valid yet: set this machine's clock"
        case CertificateProblem.UNKNOWN_CA:
            text = f"the certificate of {host} leads to no CA that is trusted here: give the CA file of that server"
        case CertificateProblem.OTHER:
            text = f"the certificate of {host} is not accepted ({words}): have it issued anew"
    return CertificateRefused(problem, text)


def tls_error(fault: Fault, pq: PqPolicy) -> TlsError:
    """Name any other fault."""
    if fault.alert is not None:
        return ended_by_alert(fault.alert, pq.value)
    reason = _REASONS.get(fault.text, TlsReason.PROTOCOL)
    return TlsError(reason, _TEXTS.get(reason, f"TLS failed: {fault.text or 'no reason given'}").format(pq=pq.value))
