"""What a certificate says of itself, for files and logs."""

import hashlib

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding


class CertificateFacts(msgspec.Struct, frozen=True):
    """Serial number and SHA-256 of the DER in hexadecimal, subject as RFC 4514 text, dates in Unix seconds."""

    serial: str
    subject: str
    not_before: int
    not_after: int
    sha256: str


def certificate_facts(der: bytes) -> CertificateFacts:
    """Read a certificate of ours."""
    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        serial=f"{certificate.serial_number:x}",
        subject=certificate.subject.rfc4514_string(),
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def certificate_pem(der: bytes) -> bytes:
    """Give a certificate of ours as PEM text."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
