"""Words and numbers of OpenSSL, by our names.  `test_tls` and `test_tls_certificates` provoke the usual ones."""

import pytest

from sottovoce.transport import CertificateProblem, PqPolicy, TlsReason
from sottovoce.transport.openssl.binding import Fault
from sottovoce.transport.openssl.faults import certificate_refused, tls_error


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("no suitable key share", TlsReason.NO_COMMON_GROUP),
        ("no suitable groups", TlsReason.NO_COMMON_GROUP),
        ("bad key share", TlsReason.NO_COMMON_GROUP),
        ("unsupported protocol", TlsReason.NO_COMMON_VERSION),
        ("no protocols available", TlsReason.NO_COMMON_VERSION),
        ("version too low", TlsReason.NO_COMMON_VERSION),
        ("no shared cipher", TlsReason.NO_COMMON_CIPHER),
        ("no suitable signature algorithm", TlsReason.NO_COMMON_CIPHER),
        ("no application protocol", TlsReason.NO_COMMON_ALPN),
        ("wrong version number", TlsReason.NOT_TLS),
        ("http request", TlsReason.NOT_TLS),
        ("https proxy request", TlsReason.NOT_TLS),
        ("packet length too long", TlsReason.NOT_TLS),
        ("record layer failure", TlsReason.NOT_TLS),
        ("decryption failed or bad record mac", TlsReason.BAD_RECORD),
        ("peer did not return a certificate", TlsReason.CERTIFICATE),
        ("something new", TlsReason.PROTOCOL),
    ],
)
def test_reasons(words: str, reason: TlsReason) -> None:
    error = tls_error(Fault(words, None), PqPolicy.REQUIRE)
    assert (error.reason, error.alert) == (reason, None)
    assert "{" not in str(error)
    assert str(error) in str(error).splitlines()


def test_an_unknown_fault_keeps_openssls_words() -> None:
    assert str(tls_error(Fault("something new", None), PqPolicy.OFF)) == "TLS failed: something new"
    assert str(tls_error(Fault("", None), PqPolicy.OFF)) == "TLS failed: no reason given"


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        (
            40,
            r"\(handshake_failure\): no key agreement group in common, most likely; this side's policy is pq = prefer$",
        ),
        (48, r"\(unknown_ca\): it does not know the CA"),
        (70, r"\(protocol_version\): it does not speak TLS 1\.3"),
        (116, r"\(certificate_required\): it wants a client certificate"),
        (80, r"\(internal_error\)$"),
        (255, r"alert 255 \(unnamed\)$"),
    ],
)
def test_alerts_of_the_peer(alert: int, words: str) -> None:
    error = tls_error(Fault("whatever", alert), PqPolicy.PREFER)
    assert (error.reason, error.alert) == (TlsReason.ALERT, alert)
    with pytest.raises(type(error), match=words):
        raise error


@pytest.mark.parametrize(
    ("code", "problem", "words"),
    [
        (2, CertificateProblem.UNKNOWN_CA, "leads to no CA"),
        (9, CertificateProblem.NOT_YET_VALID, "is not valid yet"),
        (10, CertificateProblem.EXPIRED, "has expired"),
        (18, CertificateProblem.UNKNOWN_CA, "give the CA file"),
        (19, CertificateProblem.UNKNOWN_CA, "give the CA file"),
        (20, CertificateProblem.UNKNOWN_CA, "give the CA file"),
        (21, CertificateProblem.UNKNOWN_CA, "give the CA file"),
        (62, CertificateProblem.WRONG_HOST, "connect by a name"),
        (64, CertificateProblem.WRONG_HOST, "connect by a name"),
        (79, CertificateProblem.OTHER, r"\(OpenSSL's words\)"),
    ],
)
def test_certificates(code: int, problem: CertificateProblem, words: str) -> None:
    error = certificate_refused(code, "OpenSSL's words", "voice.example.com")
    assert error.problem is problem
    with pytest.raises(type(error), match=rf"voice\.example\.com.*{words}|{words}.*voice\.example\.com"):
        raise error


def test_a_client_has_no_host() -> None:
    error = certificate_refused(10, "certificate has expired", None)
    assert error.problem is CertificateProblem.EXPIRED
    assert str(error) == "the client's certificate is not accepted: certificate has expired"
