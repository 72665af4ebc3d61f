"""Which certificates the two ends of `sottovoce.transport.tls` accept, and what each is told."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from sottovoce.transport import (
    CertificateProblem,
    CertificateRefused,
    PqPolicy,
    TlsCore,
    TlsIdentity,
    TlsReason,
    client_context,
    self_test,
    server_context,
)
from tests.transport.certificates import HOST, Authority, authority, leaf
from tests.transport.ends import client, connected, failures, server

SHOWN_BY_SERVER = [
    (lambda: Authority("Unknown").issue(HOST), CertificateProblem.UNKNOWN_CA, 48),
    (lambda: authority().issue(HOST, days=(-3, -2)), CertificateProblem.EXPIRED, 45),
    (lambda: authority().issue(HOST, days=(2, 3)), CertificateProblem.NOT_YET_VALID, 42),
    (lambda: authority().issue("other.example"), CertificateProblem.WRONG_HOST, 42),
    (lambda: authority().issue(subject=HOST), CertificateProblem.WRONG_HOST, 42),
    (lambda: authority().issue(HOST, usage=ExtendedKeyUsageOID.CLIENT_AUTH), CertificateProblem.OTHER, 43),
]


@pytest.mark.parametrize(("make", "problem", "alert"), SHOWN_BY_SERVER, ids=lambda value: getattr(value, "value", None))
def test_certificates_a_client_refuses(
    make: Callable[[], TlsIdentity], problem: CertificateProblem, alert: int
) -> None:
    ours, theirs = TlsCore(client()), TlsCore(server_context(make(), pq=PqPolicy.PREFER))
    by_client, by_server = failures(ours, theirs)
    assert isinstance(by_client, CertificateRefused)
    assert (by_client.reason, by_client.problem) == (TlsReason.CERTIFICATE, problem)
    assert HOST in str(by_client)
    assert by_server is not None
    assert (by_server.reason, by_server.alert) == (TlsReason.ALERT, alert)


def test_an_address_the_certificate_does_not_name() -> None:
    by_client, _ = failures(TlsCore(client(host="127.0.0.2")), TlsCore(server()))
    assert isinstance(by_client, CertificateRefused)
    assert by_client.problem is CertificateProblem.WRONG_HOST


def test_a_chain_is_sent_whole() -> None:
    identity = Authority("Issuing", authority()).issue(HOST)
    ours, theirs = TlsCore(client()), TlsCore(server_context(identity, pq=PqPolicy.PREFER))
    assert failures(ours, theirs) == (None, None)


def test_client_certificates() -> None:
    settings = server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=authority().pem)
    shown = authority().issue("some client", subject="some client")
    mine = client_context(HOST, pq=PqPolicy.PREFER, ca_pem=authority().pem, identity=shown)
    ours, theirs = connected(mine, settings)
    der = theirs.peer_certificate_der()
    assert der is not None
    assert x509.load_der_x509_certificate(der) == shown.certificate
    assert ours.exporter() == theirs.exporter()


def test_a_client_without_the_certificate_that_is_demanded() -> None:
    settings = server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=authority().pem)
    by_client, by_server = failures(TlsCore(client()), TlsCore(settings))
    assert by_server is not None
    assert by_server.reason is TlsReason.CERTIFICATE
    assert by_client is not None
    assert by_client.alert == 116


def test_a_client_with_a_certificate_of_somebody_else() -> None:
    settings = server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=authority().pem)
    shown = Authority("Somebody else").issue(subject="some client")
    mine = client_context(HOST, pq=PqPolicy.PREFER, ca_pem=authority().pem, identity=shown)
    by_client, by_server = failures(TlsCore(mine), TlsCore(settings))
    assert isinstance(by_server, CertificateRefused)
    assert by_server.problem is CertificateProblem.UNKNOWN_CA
    assert "client's certificate" in str(by_server)
    assert by_client is not None
    assert by_client.alert == 48


@pytest.mark.parametrize(
    "make",
    [
        lambda: authority().issue(subject="some client"),
        lambda: Authority("Somebody else").issue(subject="some client"),
        lambda: authority().issue(subject="some client", days=(-3, -2)),
        lambda: authority().issue("a server", usage=ExtendedKeyUsageOID.SERVER_AUTH),
        lambda: Authority("Issuing", Authority("Unknown root")).issue(subject="some client"),
    ],
    ids=["ours", "unknown", "expired", "for servers", "chain"],
)
def test_a_certificate_that_was_asked_for_is_handed_on_to_be_judged(make: Callable[[], TlsIdentity]) -> None:
    settings, shown = server_context(leaf(), pq=PqPolicy.PREFER, request_client_certificate=True), make()
    mine = client_context(HOST, pq=PqPolicy.PREFER, ca_pem=authority().pem, identity=shown)
    _, theirs = connected(mine, settings)
    der = theirs.peer_certificate_der()
    assert der is not None
    assert x509.load_der_x509_certificate(der) == shown.certificate


@pytest.mark.parametrize("is_first", [True, False])
def test_a_certificate_that_only_openssl_can_read_is_handed_on_too(tmp_path: Path, is_first: bool) -> None:  # noqa: FBT001  a parameter of pytest
    shown, path = authority().issue(subject="some client"), tmp_path / "chain.pem"
    good = shown.certificate.public_bytes(Encoding.DER)
    strange = good.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)  # of X.509's tenth version
    with pytest.raises(x509.InvalidVersion):
        x509.load_der_x509_certificate(strange)
    chain = (strange, good) if is_first else (good, strange)
    path.write_bytes(b"".join(ssl.DER_cert_to_PEM_cert(der).encode() for der in chain))
    mine = client()
    mine._openssl.use_certificate_chain_file(path)
    mine._openssl.use_privatekey(shown.key)
    _, theirs = connected(mine, server_context(leaf(), pq=PqPolicy.PREFER, request_client_certificate=True))
    assert theirs.peer_certificate_der() == chain[0]
    assert chain[-1] in theirs.peer_chain_der()


def test_a_client_without_a_certificate_is_let_in_where_one_is_only_asked_for() -> None:
    settings = server_context(leaf(), pq=PqPolicy.PREFER, request_client_certificate=True)
    _, theirs = connected(client(), settings)
    assert theirs.peer_certificate_der() is None
    assert self_test(settings) == "X25519MLKEM768"


def test_no_certificate_is_asked_for_unless_somebody_wants_one() -> None:
    mine = client_context(HOST, pq=PqPolicy.PREFER, ca_pem=authority().pem, identity=authority().issue(subject="x"))
    _, theirs = connected(mine, server_context(leaf(), pq=PqPolicy.PREFER))
    assert theirs.peer_certificate_der() is None
