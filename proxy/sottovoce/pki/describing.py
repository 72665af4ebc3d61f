"""Says what X.509 things are, for people: certificates, requests, keys.  Takes any bytes, and shows no private key."""

import re
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.utils import CryptographyDeprecationWarning

from sottovoce.primitives import one_line

_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_MAX_BLOCKS: Final = 100
_MAX_NAMES: Final = 20
_ENCRYPTED: Final = (b"ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
_UNREADABLE: Final = (
    *(ValueError, TypeError, OverflowError, UnsupportedAlgorithm),
    *(x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType),
)
_UNKNOWN: Final = "a kind that is not known here"
Wanted = TypeVar("Wanted", x509.BasicConstraints, x509.SubjectAlternativeName)


class CertificateSeen(msgspec.Struct, frozen=True, tag="certificate"):
    """A certificate; dates are Unix seconds."""

    subject: str
    issuer: str
    serial: str
    not_before: int
    not_after: int
    names: tuple[str, ...]
    key: str
    is_ca: bool
    sha256: str

    @property
    def is_self_issued(self) -> bool:
        """Whether it names itself as its issuer, as a root does."""
        return self.subject == self.issuer


class RequestSeen(msgspec.Struct, frozen=True, tag="certificate request"):
    """A request for a certificate."""

    subject: str
    names: tuple[str, ...]
    key: str
    is_signed_well: bool


class PrivateKeySeen(msgspec.Struct, frozen=True, tag="private key"):
    """A private key, of which nothing but its kind is told."""

    key: str
    is_encrypted: bool


class PublicKeySeen(msgspec.Struct, frozen=True, tag="public key"):
    """A public key."""

    key: str


class Unreadable(msgspec.Struct, frozen=True, tag="unreadable"):
    """A PEM block that is not what it says."""

    label: str


PemSeen = CertificateSeen | RequestSeen | PrivateKeySeen | PublicKeySeen | Unreadable


def describe_pem(data: bytes) -> tuple[PemSeen, ...]:
    """Say what the PEM blocks in these bytes are; there may be none."""
    found: list[PemSeen] = []
    with _whatever_it_breaks():
        for begin in islice(_BEGIN.finditer(data), _MAX_BLOCKS):
            last = b"-----END " + begin[1] + b"-----"
            end = data.find(last, begin.end())
            found.append(_describe(begin[1], data[begin.start() : end + len(last)] if end >= 0 else b""))
    return tuple(found)


def describe_der(data: bytes) -> CertificateSeen | None:
    """Say what a certificate in DER is; None if it is none."""
    try:
        with _whatever_it_breaks():
            return _certificate(x509.load_der_x509_certificate(data))
    except _UNREADABLE:
        return None


@contextmanager
def _whatever_it_breaks() -> Generator[None]:
    """Read what some later version of the library will not, such as a serial number below zero, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def _describe(label: bytes, block: bytes) -> PemSeen:
    name = label.decode("ascii")
    try:
        if label in {b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"}:
            return _certificate(x509.load_pem_x509_certificate(block))
        if label.endswith(b"CERTIFICATE REQUEST"):
            return _request(x509.load_pem_x509_csr(block))
        if label.endswith(b"PRIVATE KEY"):
            if any(mark in block for mark in _ENCRYPTED):
                return PrivateKeySeen(_UNKNOWN, is_encrypted=True)
            return PrivateKeySeen(_key(load_pem_private_key(block, None)), is_encrypted=False)
        if label.endswith(b"PUBLIC KEY"):
            return PublicKeySeen(_key(load_pem_public_key(block)))
    except _UNREADABLE:
        pass
    return Unreadable(name)


def _certificate(certificate: x509.Certificate) -> CertificateSeen:
    constraints = _extension(certificate.extensions, x509.BasicConstraints)
    return CertificateSeen(
        subject=_name(certificate.subject),
        issuer=_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        not_before=_seconds(certificate.not_valid_before_utc),
        not_after=_seconds(certificate.not_valid_after_utc),
        names=_names(certificate.extensions),
        key=_tried(lambda: _key(certificate.public_key())),
        is_ca=constraints is not None and constraints.ca,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _request(request: x509.CertificateSigningRequest) -> RequestSeen:
    return RequestSeen(
        subject=_name(request.subject),
        names=_names(request.extensions),
        key=_tried(lambda: _key(request.public_key())),
        is_signed_well=request.is_signature_valid,
    )


def _extension(extensions: x509.Extensions, kind: type[Wanted]) -> Wanted | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(extensions: x509.Extensions) -> tuple[str, ...]:
    alternatives = _extension(extensions, x509.SubjectAlternativeName)
    return tuple(_each(alternatives))[:_MAX_NAMES] if alternatives else ()


def _each(alternatives: x509.SubjectAlternativeName) -> Iterator[str]:
    for each in alternatives:
        match each:
            case x509.DNSName() | x509.RFC822Name() | x509.UniformResourceIdentifier():
                yield one_line(each.value)
            case x509.IPAddress():
                yield str(each.value)
            case _:
                yield type(each).__name__


def _key(key: object) -> str:
    match key:
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}.get(key.curve.name)
            return f"ECDSA {curve or key.curve.name}"
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            return f"RSA {key.key_size}"
        case _:
            kind = re.sub(r"^_?(.*?)(Public|Private)Key$", r"\1", type(key).__name__)
            return re.sub(r"^MLDSA(\d+)$", r"ML-DSA-\1", kind)


def _name(name: x509.Name) -> str:
    return one_line(name.rfc4514_string(), max_characters=300)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _tried(what: Callable[[], str]) -> str:
    try:
        return what()
    except _UNREADABLE:
        return _UNKNOWN
