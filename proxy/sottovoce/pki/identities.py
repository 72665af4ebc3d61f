"""TLS identities that are made or carried within this machine.

One that vouches for nothing is for handshakes whose both ends are in this process.  A packed one is on its way from the
process that keeps the proxy's certificate to one that serves under it.
"""

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from sottovoce.pki.profile import sign_root_certificate
from sottovoce.primitives import ApiMisuse, Secret, wipe_bytes
from sottovoce.transport import TlsIdentity


def throwaway_identity(wall: float) -> TlsIdentity:
    """Make a key and a certificate of its own, at Unix time `wall`; both are gone with the object."""
    key = ec.generate_private_key(ec.SECP256R1())
    return TlsIdentity(sign_root_certificate(key, wall), key)


class PackedIdentity(msgspec.Struct, frozen=True):
    """An identity in DER: PKCS #8 of the key, which its owner wipes, and the certificates, the leaf's first."""

    key: Secret
    certificates: tuple[bytes, ...]


def pack_identity(identity: TlsIdentity) -> PackedIdentity:
    """Take an identity apart; the caller wipes the key."""
    key = identity.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificates = (identity.certificate, *identity.chain)
    return PackedIdentity(Secret.take("TLS key", key), tuple(each.public_bytes(Encoding.DER) for each in certificates))


def unpack_identity(packed: PackedIdentity) -> TlsIdentity:
    """Put an identity together again, and wipe what it was packed in.  The library keeps a copy of its own."""
    certificate, *chain = map(x509.load_der_x509_certificate, packed.certificates)
    plain = packed.key.copy_for_sealing()
    try:
        key = load_der_private_key(plain, None)
    finally:
        wipe_bytes(plain)
        packed.key.wipe()
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ApiMisuse("a TLS leaf has a key on a curve")
    return TlsIdentity(certificate, key, chain)
