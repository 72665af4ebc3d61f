"""The CA's certificates and leaves out of a real token."""

import copy
import datetime as dt
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from sottovoce.hsm import Counts, KeyName, OperationRefused, Start, Worker
from sottovoce.pki import (
    ISSUE_LEAF,
    ISSUING_CERTIFICATE,
    IssueLeaf,
    IssuerUnusable,
    TokenKey,
    leaf_handler,
    make_ca_certificates,
    read_issuing_certificate,
)
from sottovoce.primitives import ApiMisuse, PublicKey, SignatureAlgorithm
from tests.app.directories import DEADLINE, OpenToken

NAMES = ("voice.example.com", "127.0.0.1")


def spki(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def p256() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


async def issue(opened: OpenToken, *names: str, public: bytes) -> x509.Certificate:
    async with opened() as token:
        answer = await token.call(ISSUE_LEAF, IssueLeaf(public, names), deadline_seconds=DEADLINE)
    return x509.load_der_x509_certificate(answer.certificate)


def test_the_ca_certificates_say_what_they_may(made_directory: Path) -> None:
    root = x509.load_pem_x509_certificate((made_directory / "certs/ca.pem").read_bytes())
    issuing = read_issuing_certificate(made_directory / "certs/issuing.pem")
    root.verify_directly_issued_by(root)
    issuing.verify_directly_issued_by(root)
    for certificate, path_length, days in ((root, 1, 3650), (issuing, 0, 1825)):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca) == (True, True)
        assert constraints.value.path_length == path_length
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)
        assert not usage.value.digital_signature
        assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == dt.timedelta(days=days)
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA384)
    assert root.public_key() != issuing.public_key()
    assert root.subject != issuing.subject


async def test_a_leaf_says_what_it_may(opened: OpenToken, directory: Path) -> None:
    issuing = read_issuing_certificate(directory / "certs/issuing.pem")
    key = p256()
    before = dt.datetime.now(dt.UTC)
    leaf = await issue(opened, *NAMES, public=spki(key))
    leaf.verify_directly_issued_by(issuing)
    assert leaf.public_key() == key
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == dt.timedelta(days=1)
    assert before - dt.timedelta(seconds=310) < leaf.not_valid_before_utc < before - dt.timedelta(seconds=290)
    extensions = leaf.extensions
    alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["voice.example.com"]
    assert [str(each) for each in alternatives.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert extensions.get_extension_for_class(
        x509.AuthorityKeyIdentifier
    ).value == x509.AuthorityKeyIdentifier.from_issuer_public_key(_ec(issuing))
    assert extensions.get_extension_for_class(
        x509.SubjectKeyIdentifier
    ).value == x509.SubjectKeyIdentifier.from_public_key(key)


def _ec(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


async def test_two_leaves_have_serial_numbers_of_their_own(opened: OpenToken) -> None:
    public = spki(p256())
    assert (await issue(opened, "a", public=public)).serial_number != (
        await issue(opened, "a", public=public)
    ).serial_number


def compressed() -> bytes:
    """A P-256 key whose point is compressed: the same key in a second spelling."""
    public = p256()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    uncompressed = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    assert spki(public).endswith(uncompressed)
    return header + point


@pytest.mark.parametrize(
    ("public", "reason"),
    [
        (b"", "for a P-256 key only"),
        (b"nonsense", "for a P-256 key only"),
        (spki(ec.generate_private_key(ec.SECP384R1()).public_key()), "for a P-256 key only"),
        (spki(ed25519.Ed25519PrivateKey.generate().public_key()), "for a P-256 key only"),
        (spki(p256())[:-1], "for a P-256 key only"),
        (compressed(), "uncompressed point"),
    ],
    ids=["empty", "nonsense", "P-384", "Ed25519", "cut", "compressed"],
)
async def test_other_keys_are_refused(opened: OpenToken, public: bytes, reason: str) -> None:
    with pytest.raises(OperationRefused, match=reason):
        await issue(opened, "a", public=public)


@pytest.mark.parametrize("seconds", [3_600, 86_400])
async def test_a_leaf_lasts_as_long_as_was_asked_for(opened: OpenToken, seconds: int) -> None:
    async with opened() as token:
        question = IssueLeaf(spki(p256()), NAMES, seconds)
        answer = await token.call(ISSUE_LEAF, question, deadline_seconds=DEADLINE)
    leaf = x509.load_der_x509_certificate(answer.certificate)
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds() == seconds


@pytest.mark.parametrize("seconds", [-1, 0, 3_599, 86_401])
async def test_a_lifetime_out_of_bounds_is_refused(opened: OpenToken, seconds: int) -> None:
    async with opened() as token:
        with pytest.raises(OperationRefused, match="lives for 1 to 24 hours"):
            await token.call(ISSUE_LEAF, IssueLeaf(spki(p256()), NAMES, seconds), deadline_seconds=DEADLINE)


async def test_unfit_names_are_refused_by_the_token_process_itself(opened: OpenToken) -> None:
    with pytest.raises(OperationRefused, match="'a b' is no host name"):
        await issue(opened, "a b", public=spki(p256()))


class SoftwareWorker(Worker):
    """A worker whose keys are in memory, for what a token cannot be brought to."""

    def __init__(self) -> None:
        self.keys = {str(name): ec.generate_private_key(ec.SECP384R1()) for name in KeyName}

    def public_key(self, name: str) -> PublicKey:
        point = self.keys[name].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return PublicKey(SignatureAlgorithm.ECDSA_P384, point)

    def sign(self, name: str, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.keys[name].sign(message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48) + s.to_bytes(48)


def issued_at(directory: Path, worker: Worker, now: float, made: float) -> x509.Certificate:
    path = directory / "issuing.pem"
    issuing = x509.load_der_x509_certificate(make_ca_certificates(worker, made).issuing)
    path.write_bytes(issuing.public_bytes(Encoding.PEM))
    start = Start("", "", "", create=False, files={ISSUING_CERTIFICATE: str(path)})
    handler = leaf_handler(worker, start, Counts(), lambda: now)
    question = msgspec.Raw(msgspec.msgpack.encode(IssueLeaf(spki(p256()), NAMES)))
    answer = msgspec.msgpack.decode(handler.respond(worker, question))
    return x509.load_der_x509_certificate(answer["certificate"])


def test_a_leaf_does_not_outlive_its_issuer(tmp_path: Path) -> None:
    made = 1_800_000_000.0
    end = made + 1825 * 86_400
    leaf = issued_at(tmp_path, SoftwareWorker(), end - 3600, made)
    assert leaf.not_valid_after_utc.timestamp() == end


@pytest.mark.parametrize("offset", [-1.0, 1825 * 86_400])
def test_an_issuer_out_of_its_dates_issues_nothing(tmp_path: Path, offset: float) -> None:
    made = 1_800_000_000.0
    with pytest.raises(IssuerUnusable, match="is valid from 2027-01-15 to 2032-01-14: check this machine's clock"):
        issued_at(tmp_path, SoftwareWorker(), made + offset, made)


def test_a_key_of_the_token_signs_and_does_nothing_else() -> None:
    key = TokenKey(SoftwareWorker(), KeyName.ROOT_CA)
    assert (key.key_size, key.curve.name) == (384, "secp384r1")
    key.public_key().verify(key.sign(b"data", ec.ECDSA(hashes.SHA384())), b"data", ec.ECDSA(hashes.SHA384()))
    with pytest.raises(ApiMisuse, match="SHA-384 only"):
        key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    for attempt in (
        key.private_numbers,
        lambda: key.private_bytes(None, None, None),
        lambda: key.exchange(ec.ECDH(), key.public_key()),
        lambda: copy.copy(key),
        lambda: copy.deepcopy(key),
    ):
        with pytest.raises(ApiMisuse, match="sottovoce-root-ca is in the token, it signs and does nothing else"):
            attempt()
