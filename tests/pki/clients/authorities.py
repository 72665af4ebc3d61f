"""CAs of clients, what they issue and revoke, and such as nobody should accept."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from sottovoce.pki import ClientCas

NOW = dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
KIOSK = (x509.DNSName("kiosk-7.example.com"),)
Days = tuple[float, float]


def named(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in names])


def unix(days: float = 0) -> float:
    return (NOW + days * DAY).timestamp()


class Authority:
    """A CA with its key, and what it signs."""

    def __init__(  # noqa: PLR0913  what a CA may be, by name
        self,
        name: str = "clients",
        *,
        key: CertificateIssuerPrivateKeyTypes | None = None,
        is_ca: bool = True,
        usage: x509.KeyUsage | None = None,
        constraints: x509.NameConstraints | None = None,
        days: Days = (-1, 30),
        parent: "Authority | None" = None,
        algorithm: hashes.SHA256 | None = hashes.SHA256(),  # noqa: B008  a constant without state
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)
        signer = parent or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if usage is not None:
            builder = builder.add_extension(usage, critical=True)
        if constraints is not None:
            builder = builder.add_extension(constraints, critical=True)
        self.certificate = builder.sign(signer.key, algorithm)
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        *,
        names: tuple[x509.GeneralName, ...] = KIOSK,
        subject: x509.Name | None = None,
        usage: x509.ExtendedKeyUsage | None = CLIENT,
        days: Days = (-1, 10),
        more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> x509.Certificate:
        """Issue a client's certificate."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(named("kiosk") if subject is None else subject)
            .issuer_name(self.name)
            .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
        )
        extensions: list[tuple[x509.ExtensionType, bool]] = [*more]
        if names:
            extensions.append((x509.SubjectAlternativeName(names), False))
        if usage is not None:
            extensions.append((usage, False))
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(self.key, hashes.SHA256())

    def revoke(
        self,
        *certificates: x509.Certificate,
        days: Days = (-1, 7),
        more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        key: CertificateIssuerPrivateKeyTypes | None = None,
    ) -> bytes:
        """Write the list with these certificates on it."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(NOW + days[0] * DAY)
            .next_update(NOW + days[1] * DAY)
        )
        for each in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(NOW - DAY)
            builder = builder.add_revoked_certificate(entry.build())
        for extension, is_critical in more:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def cas(*authorities: Authority, lists: bytes | None = None, days: float = 0) -> ClientCas:
    return ClientCas.read(b"".join(each.pem for each in authorities), lists, unix(days))


def key_usage(*, sign: bool, lists: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=lists,
        encipher_only=False,
        decipher_only=False,
    )
