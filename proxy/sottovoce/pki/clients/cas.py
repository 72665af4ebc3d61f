"""Clients' certificates (protocol §4, kind 3): the CAs that issue them, and who a certificate says its owner is.  Pure.

The outer TLS proves that the peer has the private key; whether the certificate means anything is judged here, when the
sealed handshake names it.  A certificate must be issued directly by one of the CAs, for client authentication, and be
on no list of theirs: the peer's own intermediate certificates are not looked at.

With lists, each CA must have one of its own, whole and not outdated: an old list is no list, so nobody gets in by it.
A certificate is named by its serial number and its CA's key, `SERIAL@CA`, since a serial number alone is not unique.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Self, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from sottovoce.pki.clients.lists import RevocationList, read_lists
from sottovoce.pki.clients.pem import UNREADABLE, pem_blocks, shown
from sottovoce.pki.errors import ClientCaUnusable

_MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_CA_ID_DIGITS = 12

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class CertifiedClient(msgspec.Struct, frozen=True):
    """What a good certificate says: its owner's name, when it or its CA ends (Unix seconds), and what it is called."""

    name: str
    expires_at: float
    certificate_id: str


class _Ca(msgspec.Struct, frozen=True):
    certificate: x509.Certificate
    expires_at: float
    revoked: RevocationList | None


class ClientCas:
    """The CAs of clients, and their lists.  Never changed: a new file makes a new one."""

    def __init__(self, cas: Sequence[_Ca]) -> None:
        """Made by `read`."""
        self._cas = {_ca_id(ca.certificate): ca for ca in cas}
        self._store = Store([ca.certificate for ca in cas])

    @classmethod
    def read(cls, ca_pem: bytes, crl_pem: bytes | None, now: float) -> Self:
        """Read certificates and lists.  Raises ClientCaUnusable or RevocationListUnusable, whose text says why."""
        certificates = _certificates(ca_pem)
        for certificate in certificates:
            _check_ca(certificate, now)
        if len({_ca_id(certificate) for certificate in certificates}) != len(certificates):
            raise ClientCaUnusable("a CA is there twice: write one certificate for each key")
        lists = [None] * len(certificates) if crl_pem is None else read_lists(crl_pem, certificates, now)
        return cls(
            [
                _Ca(certificate, certificate.not_valid_after_utc.timestamp(), revoked)
                for certificate, revoked in zip(certificates, lists, strict=True)
            ]
        )

    def __len__(self) -> int:
        return len(self._cas)

    def judge_untrusted(self, der: bytes, now: float) -> CertifiedClient | None:
        """Say whose certificate this is; None if it is not to be believed.  Slow: it verifies a signature."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            builder = PolicyBuilder().store(self._store).time(dt.datetime.fromtimestamp(now, dt.UTC))
            builder = builder.extension_policies(ca_policy=_CA_POLICY, ee_policy=_CLIENT_POLICY)
            chain = builder.build_client_verifier().verify(certificate, []).chain
            name = _name(certificate, is_constrained=_extension(chain[-1], x509.NameConstraints) is not None)
        except (VerificationError, *UNREADABLE):
            return None
        ca_id, serial = _ca_id(chain[-1]), certificate.serial_number
        ca = self._cas.get(ca_id)
        if ca is None or not name:
            return None
        if ca.revoked is not None and (serial in ca.revoked.serials or now >= ca.revoked.ends_at):
            return None
        ends = min(certificate.not_valid_after_utc.timestamp(), ca.expires_at)
        return CertifiedClient(name, ends, f"{serial:x}@{ca_id}")

    def still_vouches(self, certificate_id: str) -> bool:
        """Whether the CA of a certificate that was good is still there, and the certificate not on its list.

        A list that has become outdated in the meantime ends nothing: it lets nobody in, but a CA whose machine is
        down must not end every call.
        """
        serial, _, ca_id = certificate_id.rpartition("@")
        ca = self._cas.get(ca_id)
        try:
            return ca is not None and (ca.revoked is None or int(serial, 16) not in ca.revoked.serials)
        except ValueError:
            return False


def _check_client_usage(_: Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("not for client authentication")


def _check_ca_usage(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("not for signing certificates")


# The rules of the public web, less what private CAs leave out as a rule: key identifiers, a CA's key usage, and names
# other than the subject's.  An extended key usage is demanded: a certificate for a server is nobody's name here.
_CA_POLICY = (
    ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_ca_usage)
    .may_be_present(x509.SubjectKeyIdentifier, Criticality.AGNOSTIC, None)
    .may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None)
)
_CLIENT_POLICY = (
    ExtensionPolicy.webpki_defaults_ee()
    .may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None)
    .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_client_usage)
)


def _name(certificate: x509.Certificate, *, is_constrained: bool) -> str:
    """Give the first DNS name, else the first URI, else the first e-mail address, else the one common name.

    Of a CA with name constraints only a DNS name counts: the verifier holds no other name against them.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        if dns := names.get_values_for_type(x509.DNSName):
            return dns[0].lower()
        for kind in () if is_constrained else (x509.UniformResourceIdentifier, x509.RFC822Name):
            if found := names.get_values_for_type(kind):
                return found[0]
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if len(common) == 1 and not is_constrained else ""


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        found = [x509.load_pem_x509_certificate(block) for block in pem_blocks(pem, b"CERTIFICATE")]
    except UNREADABLE:
        raise ClientCaUnusable("a certificate in it is damaged: write it as openssl x509 -outform PEM does") from None
    if not found:
        raise ClientCaUnusable("it holds no certificate in PEM: write the CA's, from BEGIN CERTIFICATE to its END")
    return found


def _check_ca(certificate: x509.Certificate, now: float) -> None:
    subject = shown(certificate)
    try:
        _ = certificate.subject, certificate.issuer  # the library reads them when they are asked for, not before
        has_usable_key = _is_usable(certificate.public_key())
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
    except UNREADABLE:
        raise ClientCaUnusable(f"the certificate of {subject} cannot be read: ask its CA for another") from None
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise ClientCaUnusable(f"{subject} is no CA: write the certificate of the CA that issued the clients'")
    if not has_usable_key:
        text = f"the CA {subject} has a key that is not taken: ask for one with P-256, P-384, P-521, or RSA from 2048"
        raise ClientCaUnusable(text)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= ends.timestamp():
        raise ClientCaUnusable(
            f"the CA {subject} expired on {ends:%Y-%m-%d}: write its new certificate, or take it out"
        )
    if now < begins.timestamp():
        raise ClientCaUnusable(f"the CA {subject} is valid only from {begins:%Y-%m-%d %H:%M} UTC on: check the clock")


def _is_usable(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _ca_id(certificate: x509.Certificate) -> str:
    """Give the beginning of the SHA-256 of a CA's public key: a renewed certificate of the same key is the same CA."""
    info = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()[:_CA_ID_DIGITS]
