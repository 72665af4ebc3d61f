"""Clients' certificates: which are believed, and what their owners are called."""

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.pki import ClientCas, ClientCaUnusable
from tests.pki.clients.authorities import SERVER, Authority, cas, der, key_usage, named, unix

CA = Authority()
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505  to be refused
GOOD = CA.issue()
ANY_USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def test_a_good_certificate_names_its_owner() -> None:
    client = cas(CA).judge_untrusted(der(GOOD), unix())
    assert client is not None
    assert (client.name, client.expires_at) == ("kiosk-7.example.com", unix(10))
    assert client.certificate_id.startswith(f"{GOOD.serial_number:x}@")
    assert client == cas(Authority("other"), CA).judge_untrusted(der(GOOD), unix())


@pytest.mark.parametrize(
    ("names", "subject", "name"),
    [
        ((x509.DNSName("B.example"), x509.DNSName("a.example")), named("cn"), "b.example"),
        ((x509.UniformResourceIdentifier("spiffe://x/kiosk"), x509.DNSName("a.example")), named("cn"), "a.example"),
        ((x509.RFC822Name("a@example"), x509.UniformResourceIdentifier("urn:x")), named("cn"), "urn:x"),
        ((x509.RFC822Name("a@example.com"),), x509.Name([]), "a@example.com"),
        ((x509.RegisteredID(ObjectIdentifier("1.2.3")),), named("cn"), "cn"),
        ((), named("kiosk 7"), "kiosk 7"),
    ],
)
def test_the_first_name_of_the_best_kind(names: tuple[x509.GeneralName, ...], subject: x509.Name, name: str) -> None:
    client = cas(CA).judge_untrusted(der(CA.issue(names=names, subject=subject)), unix())
    assert client is not None
    assert client.name == name


@pytest.mark.parametrize(
    "certificate",
    [
        CA.issue(usage=None),
        CA.issue(usage=SERVER),
        CA.issue(usage=ANY_USAGE),
        CA.issue(days=(-2, -1)),
        CA.issue(days=(1, 2)),
        CA.issue(names=(), subject=named("a", "b")),
        CA.issue(names=(), subject=x509.Name([])),
        CA.issue(more=((x509.BasicConstraints(ca=True, path_length=None), True),)),
        CA.issue(more=((x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)),
        Authority().issue(),  # of the same name, with another key
        Authority("other").issue(),
        CA.certificate,
        Authority("below", parent=CA).issue(),
    ],
)
def test_what_is_not_believed(certificate: x509.Certificate) -> None:
    assert cas(CA).judge_untrusted(der(certificate), unix()) is None


def test_of_a_ca_with_name_constraints_only_a_name_that_they_bind_counts() -> None:
    """Else a CA for kiosks makes an admin by leaving the DNS name out."""
    constraints = x509.NameConstraints([x509.DNSName("kiosks.example.com")], None)
    authority = Authority(constraints=constraints)
    good = authority.issue(names=(x509.DNSName("a.kiosks.example.com"), x509.UniformResourceIdentifier("x://admin")))
    found = cas(authority).judge_untrusted(der(good), unix())
    assert found is not None
    assert found.name == "a.kiosks.example.com"
    for names, subject in (
        ((x509.DNSName("admin.example.com"),), None),
        ((x509.UniformResourceIdentifier("x://admin"),), None),
        ((x509.RFC822Name("admin@example.com"),), None),
        ((), named("admin")),
    ):
        certificate = authority.issue(names=names, subject=subject)
        assert cas(authority).judge_untrusted(der(certificate), unix()) is None


def test_both_usages_are_no_fault() -> None:
    assert cas(CA).judge_untrusted(der(CA.issue(usage=BOTH)), unix()) is not None


def test_a_ca_below_another_is_named_itself() -> None:
    below = Authority("below", parent=CA)
    leaf = der(below.issue())
    assert cas(CA).judge_untrusted(leaf, unix()) is None
    for authorities in ((below,), (CA, below)):
        assert cas(*authorities).judge_untrusted(leaf, unix()) is not None


def test_the_end_is_that_of_the_ca_if_it_comes_first() -> None:
    short = Authority(days=(-1, 2))
    found = cas(short)
    client = found.judge_untrusted(der(short.issue()), unix(1.9))
    assert client is not None
    assert client.expires_at == unix(2)
    assert found.judge_untrusted(der(short.issue()), unix(2.1)) is None


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@given(st.binary(max_size=300), st.integers(0, len(der(GOOD)) - 1), st.integers(1, 255))
def test_garbage_is_nobody_and_changed_bytes_are_nobody_else(garbage: bytes, place: int, change: int) -> None:
    """One byte is not signed, how many bits of the signature do not count: another there changes nothing."""
    changed = bytearray(der(GOOD))
    changed[place] ^= change
    found = cas(CA)
    assert found.judge_untrusted(garbage, unix()) is None
    assert found.judge_untrusted(bytes(changed), unix()) in {None, found.judge_untrusted(der(GOOD), unix())}
    assert found.judge_untrusted(der(GOOD) + garbage[:1], unix()) is None or not garbage


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (b"", "it holds no certificate in PEM: write the CA's"),
        (b"\xff\x00nonsense", "it holds no certificate in PEM"),
        (CA.revoke(), "it holds no certificate in PEM"),
        (CA.pem[:-40], "it holds no certificate in PEM"),
        (CA.pem.replace(b"MII", b"AII", 1), "a certificate in it is damaged: write it as openssl x509"),
        (CA.pem + CA.pem, "a CA is there twice: write one certificate for each key"),
        (GOOD.public_bytes(Encoding.PEM), "CN=kiosk is no CA: write the certificate of the CA that issued"),
        (Authority("x", is_ca=False).pem, "CN=x is no CA: write"),
        (Authority("x", usage=key_usage(sign=False)).pem, "CN=x is no CA: write"),
        (Authority("x", days=(-9, -1)).pem, "the CA CN=x expired on 2027-01-14: write its new certificate, or"),
        (CA.pem + Authority("old", days=(-9, 0)).pem, "the CA CN=old expired on 2027-01-15: write"),
        (Authority("x", days=(1, 2)).pem, "the CA CN=x is valid only from 2027-01-16 08:00 UTC on: check the clock"),
        (Authority("x", key=WEAK).pem, "the CA CN=x has a key that is not taken: ask"),
        (Authority("x", key=ed25519.Ed25519PrivateKey.generate(), algorithm=None).pem, "has a key that is not taken"),
    ],
)
def test_a_file_of_cas_that_cannot_be_used_is_one_line(pem: bytes, reason: str) -> None:
    with pytest.raises(ClientCaUnusable) as caught:
        ClientCas.read(pem, None, unix())
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


def test_other_things_in_the_file_are_passed_over() -> None:
    text = b"the CA of our clients:\r\n" + CA.pem.replace(b"\n", b"\r\n") + CA.revoke() + b"and that is all"
    assert len(ClientCas.read(text, None, unix())) == 1


@given(st.binary() | st.binary().map(lambda data: CA.pem[:80] + data + CA.pem[80:]))
def test_any_file_is_cas_or_a_line(data: bytes) -> None:
    try:
        ClientCas.read(data, None, unix())
    except ClientCaUnusable as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right


def test_a_ca_that_is_gone_no_longer_vouches() -> None:
    client = cas(CA).judge_untrusted(der(GOOD), unix())
    assert client is not None
    renewed = Authority("renewed", key=CA.key)
    assert cas(CA).still_vouches(client.certificate_id)
    assert cas(renewed).still_vouches(client.certificate_id)
    assert not cas(Authority()).still_vouches(client.certificate_id)
    assert not any(
        cas(CA, lists=CA.revoke()).still_vouches(each) for each in ("", "@", f"x@{client.certificate_id[-12:]}")
    )


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_cas_of_each_curve(curve: ec.EllipticCurve) -> None:
    other = Authority("curve", key=ec.generate_private_key(curve))
    assert cas(other).judge_untrusted(der(other.issue()), unix()) is not None


CONFIGURATION = """
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = crlnumber
default_md = sha256
default_days = 5
default_crl_days = 5
policy = any
[any]
commonName = supplied
[client]
extendedKeyUsage = clientAuth
"""


@pytest.mark.interop(tool="openssl")
@pytest.mark.parametrize("kind", ["rsa:2048", "ec"])
def test_a_ca_that_openssl_runs(tmp_path: Path, kind: str) -> None:
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else []
    (tmp_path / "ca.cnf").write_text(CONFIGURATION)
    (tmp_path / "index.txt").touch()
    (tmp_path / "serial").write_text("1000\n")
    (tmp_path / "crlnumber").write_text("01\n")
    new = ("req", "-newkey", kind, *curve, "-nodes")
    openssl(*new, "-x509", "-days", "9", "-subj", "/CN=our clients", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("good", "bad"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        issue = ("ca", "-batch", "-notext", "-config", "ca.cnf", "-extensions", "client", "-cert", "ca.pem")
        openssl(*issue, "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem")
    signer = ("-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key")
    openssl("ca", *signer, "-revoke", "bad.pem")
    openssl("ca", *signer, "-gencrl", "-out", "crl.pem")

    now = dt.datetime.now(dt.UTC).timestamp() + 1
    found = ClientCas.read((tmp_path / "ca.pem").read_bytes(), (tmp_path / "crl.pem").read_bytes(), now)
    good, bad = (
        found.judge_untrusted(der(x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())), now)
        for name in ("good", "bad")
    )
    assert good is not None
    assert (good.name, bad) == ("good", None)
