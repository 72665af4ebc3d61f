"""What the proxy asks its token process about the voice identity (protocol §6).  Pure.

A root and its kind, or a node, names and a lifetime: the process builds what is signed itself, and knows the keys of a
node from where they are published.
"""

import msgspec

from sottovoce.hsm import Operation

ROOT_BYTES = 48
MAX_VOICE_CERTIFICATE_SECONDS = 7 * 86_400
"""There is no revocation, so a stolen pair of serving keys serves for this long."""
MIN_VOICE_CERTIFICATE_SECONDS = 60


class SignRoot(msgspec.Struct, frozen=True):
    """Have a Merkle root signed; `kind` is a LeafKind."""

    kind: int
    root: bytes


class RootSignatures(msgspec.Struct, frozen=True):
    """Both serving keys' signatures, in the protocol's byte form, verified."""

    classical: bytes
    pq: bytes


class IssueVoiceCertificate(msgspec.Struct, frozen=True):
    """Have the anchor certify the serving keys of `node` for `authorities`, from now on for so many seconds."""

    node: str
    authorities: tuple[str, ...]
    lifetime_seconds: int


class IssuedVoiceCertificate(msgspec.Struct, frozen=True):
    """The encoded certificate."""

    certificate: bytes


SIGN_ROOT = Operation("sign_root", SignRoot, RootSignatures)
ISSUE_VOICE_CERTIFICATE = Operation("issue_voice_certificate", IssueVoiceCertificate, IssuedVoiceCertificate)
