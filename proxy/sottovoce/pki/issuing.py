"""The issuing side, inside the token process: the CA's certificates, and TLS leaves on request.

Only a public key and names come in.  The process checks both, reads the clock itself and lets the certificate be made
by `profile`: nobody can hand it a certificate to sign.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from sottovoce.hsm import Counts, Handler, KeyName, Operation, Start, Worker
from sottovoce.pki.errors import IssuerUnusable, LeafRefused
from sottovoce.pki.profile import LEAF_SECONDS, sign_issuing_certificate, sign_leaf, sign_root_certificate
from sottovoce.pki.token_key import TokenKey

ISSUING_CERTIFICATE = "issuing_certificate"
"""The name in `Start.files` under which the issuing CA's certificate is given."""


class IssueLeaf(msgspec.Struct, frozen=True):
    """Ask for a TLS certificate: the P-256 key as DER SubjectPublicKeyInfo, the names, how long it is to last."""

    public_key: bytes
    names: tuple[str, ...]
    lifetime_seconds: int = LEAF_SECONDS


class Leaf(msgspec.Struct, frozen=True):
    """The certificate, DER."""

    certificate: bytes


ISSUE_LEAF = Operation("issue_leaf", IssueLeaf, Leaf)


class CaCertificates(msgspec.Struct, frozen=True):
    """The root's and the issuing CA's certificates, DER."""

    root: bytes
    issuing: bytes


def make_ca_certificates(worker: Worker, wall: float) -> CaCertificates:
    """Make the certificates of a new token's CA keys."""
    root_key = TokenKey(worker, KeyName.ROOT_CA)
    root = sign_root_certificate(root_key, wall)
    issuing = sign_issuing_certificate(root, root_key, TokenKey(worker, KeyName.ISSUING_CA).public_key(), wall)
    return CaCertificates(root.public_bytes(Encoding.DER), issuing.public_bytes(Encoding.DER))


def leaf_handler(worker: Worker, start: Start, counts: Counts, wall: Callable[[], float] = time.time) -> Handler:
    """Give the answerer of ISSUE_LEAF.  Raises IssuerUnusable unless the certificate is that of the token's key."""
    path = Path(start.files[ISSUING_CERTIFICATE])
    issuing = read_issuing_certificate(path)
    if issuing.public_key() != TokenKey(worker, KeyName.ISSUING_CA).public_key():
        text = f"{path} is not the certificate of this token's issuing CA: restore both from the same backup"
        raise IssuerUnusable(text)

    def issue(worker: Worker, question: IssueLeaf) -> Leaf:
        public = _leaf_key(question.public_key)
        now = wall()
        if not issuing.not_valid_before_utc.timestamp() <= now < issuing.not_valid_after_utc.timestamp():
            text = (
                f"the issuing CA's certificate {path} is valid from {issuing.not_valid_before_utc:%Y-%m-%d} "
                f"to {issuing.not_valid_after_utc:%Y-%m-%d}: check this machine's clock, or renew it"
            )
            raise IssuerUnusable(text)
        key = TokenKey(worker, KeyName.ISSUING_CA)
        leaf = sign_leaf(issuing, key, public, question.names, now, lifetime_seconds=question.lifetime_seconds)
        counts.add("leaves_issued")
        return Leaf(leaf.public_bytes(Encoding.DER))

    return Handler(ISSUE_LEAF, issue)


def read_issuing_certificate(path: Path) -> x509.Certificate:
    """Read the issuing CA's certificate, PEM.  Raises IssuerUnusable."""
    return _read(path, "the issuing CA's certificate")[0]


def check_root_certificate(path: Path, issuing: x509.Certificate, name: str) -> None:
    """See that one of the root certificates clients are given, PEM, vouches for an issuing CA's, which lies in `name`.

    Raises IssuerUnusable.
    """
    for root in _read(path, "the root CA's certificate"):
        with suppress(ValueError, TypeError, InvalidSignature):
            issuing.verify_directly_issued_by(root)
            return
    text = f"{path} did not issue {name}, so clients would refuse us: restore both from the same backup"
    raise IssuerUnusable(text)


def _read(path: Path, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        text = f"{what} {path} cannot be read ({error.strerror}): restore it from its backup"
    except ValueError:
        text = f"{path} holds no PEM certificate: restore it from its backup"
    raise IssuerUnusable(text)


def _leaf_key(data: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(data)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        text = "a TLS certificate is made for a P-256 key only"
        raise LeafRefused(text)
    if data != key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        text = "a TLS key comes as a named curve and an uncompressed point"
        raise LeafRefused(text)
    return key
