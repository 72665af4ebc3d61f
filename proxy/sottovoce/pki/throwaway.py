"""A TLS identity that vouches for nothing, for handshakes whose both ends are in this process."""

from cryptography.hazmat.primitives.asymmetric import ec

from sottovoce.pki.profile import sign_root_certificate
from sottovoce.transport import TlsIdentity


def throwaway_identity(wall: float) -> TlsIdentity:
    """Make a key and a certificate of its own, at Unix time `wall`; both are gone with the object."""
    key = ec.generate_private_key(ec.SECP256R1())
    return TlsIdentity(sign_root_certificate(key, wall), key)
