"""Certificates for tests of the carriage: a CA, leaves it issued, and such as nobody should accept."""

import datetime as dt
import ipaddress
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sottovoce.transport import TlsIdentity

HOST = "localhost"
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """A CA with its key."""

    def __init__(self, name: str, parent: "Authority | None" = None) -> None:
        self.name = _name(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        issuer = parent or self
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.chain = () if parent is None else (self.certificate, *parent.chain)

    def issue(
        self,
        *names: str,
        days: tuple[float, float] = (-1, 1),
        usage: x509.ObjectIdentifier | None = None,
        subject: str = "leaf",
    ) -> TlsIdentity:
        """Issue a leaf for `names`, valid from and until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(_alternative, names)), critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return TlsIdentity(builder.sign(self.key, hashes.SHA256()), key, self.chain)


@cache
def authority() -> Authority:
    """Give the CA that the tests trust."""
    return Authority("Test root")


@cache
def leaf() -> TlsIdentity:
    """Give a good leaf for the loopback names."""
    return authority().issue(HOST, "127.0.0.1", "::1")


def pem_of(identity: TlsIdentity) -> tuple[bytes, bytes]:
    """Give an identity's certificates and its key as PEM text."""
    certificates = b"".join(each.public_bytes(Encoding.PEM) for each in (identity.certificate, *identity.chain))
    key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificates, key
