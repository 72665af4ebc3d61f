"""Who the client is, as the server's session and the judge of credentials see it (protocol §3, type 9; §4).

The session checks what stands in the handshake alone (syntax, the accepted kinds, the certificate's digest of kind 3);
who somebody is and where they may call is the judge's to say.
"""

from typing import Protocol

import msgspec

from sottovoce.primitives import PublicKey
from sottovoce.wire import Code

CLIENT_VERIFY_LABEL = b"sottovoce.v1 client verify\x00"
"""Before T(ClientCredential) in what a signing key signs (protocol §4)."""


class Identity(msgspec.Struct, frozen=True):
    """Who the client is, an empty name for nobody in particular; `expires_at` is Unix seconds, None for never.

    `credential` names what proved it, without telling it (`token:1f0c…`, `key:…`, `jwt:…`, `certificate:…`): by it a
    credential is withdrawn.
    """

    name: str
    expires_at: float | None = None
    kind: int = 0
    credential: str = ""


class Possession(msgspec.Struct, frozen=True):
    """A signing key, and the signature by which its owner claims it (kind 2)."""

    key: PublicKey
    signed: bytes
    signature: bytes

    def holds(self) -> bool:
        """Whether the signature is right.  P-384 and ML-DSA take up to a millisecond: not for the event loop."""
        return self.key.verify(self.signed, self.signature)


class ShownCredential(msgspec.Struct, frozen=True):
    """What a client showed, and where: the authority in small letters, the raw request target.

    `value` may be a bearer token: never logged; wiped by the session once there is a verdict.
    """

    kind: int
    value: bytes
    authority: bytes
    path: bytes
    possession: Possession | None = None
    """Kind 2; not verified yet."""
    certificate: bytes | None = None
    """Kind 3: the DER certificate of the outer TLS, whose SHA-256 the client named."""

    def __repr__(self) -> str:
        return f"ShownCredential(kind={self.kind}, {len(self.value)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what `rich` shows instead of a repr
        return [("kind", self.kind), ("bytes", len(self.value))]


class CredentialCheck(Protocol):
    """Judges clients' credentials.  A refusal is a code: auth_failed, or policy where the route is not for it."""

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        """Give the verdict, or None where it takes long: the session then asks for it with `CredentialShown`."""
        ...

    def judge(self, shown: ShownCredential) -> Identity | Code:
        """Give the verdict on what `check` put off: verifies signatures, so it is called in a thread."""
        ...

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        """Whether an identity that this gave out may still call there: not expired, not withdrawn.  Never waits."""
        ...
