"""`LeafKeeper`: the proxy's TLS certificate, always one that is valid, its key never outside this process's memory.

For each certificate it makes a fresh P-256 key and asks the token process to certify it.  A new certificate is handed
to `install`; connections that exist keep the old one, so no call notices.
"""

import hashlib
from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.hsm import Caller
from sottovoce.pki.errors import LeafWrong
from sottovoce.pki.issuing import ISSUE_LEAF, IssueLeaf
from sottovoce.pki.names import general_names
from sottovoce.pki.profile import LEAF_SECONDS
from sottovoce.pki.renewal import Validity, attempt, renew_for_ever
from sottovoce.primitives import Entropy, SottovoceError
from sottovoce.transport import Clock, TlsIdentity

_DEADLINE_SECONDS = 10.0
_FIRST_ATTEMPTS = 3


class LeafIssued(msgspec.Struct, frozen=True, tag="leaf_issued"):
    """A TLS certificate was issued and is in use.  `serial` and `sha256` (of its DER) are hexadecimal."""

    serial: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    sha256: str


class LeafFailed(msgspec.Struct, frozen=True, tag="leaf_failed"):
    """No TLS certificate could be had; it is tried again.  `not_after` is the end of the one in use, 0 without one."""

    reason: str
    retry_seconds: float
    not_after: int


LeafEvent = LeafIssued | LeafFailed


class LeafKeeper:
    """Gets the first certificate (`first`), then renews it for ever (`run`)."""

    def __init__(  # noqa: PLR0913  parts handed in by name
        self,
        token: Caller,
        issuing: x509.Certificate,
        names: tuple[str, ...],
        *,
        lifetime_seconds: int = LEAF_SECONDS,
        install: Callable[[TlsIdentity], None],
        report: Callable[[LeafEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take the names to certify, and whom to tell.  Raises LeafRefused for names that no certificate may carry."""
        general_names(names)
        self._token = token
        self._issuing = issuing
        self._names = names
        self._lifetime_seconds = lifetime_seconds
        self._install = install
        self._report = report
        self._clock = clock
        self._entropy = entropy
        self._validity = Validity(0, 0)

    @property
    def not_after(self) -> float:
        """When the certificate in use ends, Unix seconds; 0 before the first."""
        return self._validity.not_after

    async def first(self) -> None:
        """Get the first certificate and install it.  Raises HsmError or PkiError after a few tries."""
        self._validity = await attempt(self._renew, self._failed, _FIRST_ATTEMPTS)

    async def run(self) -> NoReturn:
        """Renew until cancelled; call it after `first`.  A failure is reported and tried again, never raised."""
        await renew_for_ever(self._validity, self._renew, self._failed, self._clock, self._entropy)

    async def _renew(self) -> Validity:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        question = IssueLeaf(public, self._names, self._lifetime_seconds)
        answer = await self._token.call(ISSUE_LEAF, question, deadline_seconds=_DEADLINE_SECONDS)
        leaf = await trio.to_thread.run_sync(self._checked, answer.certificate, public)
        validity = Validity(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp())
        self._install(TlsIdentity(leaf, key, (self._issuing,)))
        self._validity = validity
        self._report(
            LeafIssued(
                serial=f"{leaf.serial_number:x}",
                names=self._names,
                not_before=int(validity.not_before),
                not_after=int(validity.not_after),
                sha256=hashlib.sha256(answer.certificate).hexdigest(),
            )
        )
        return validity

    def _checked(self, data: bytes, public: bytes) -> x509.Certificate:
        """Read what the issuer answered, and see that it is ours.  In a thread: it verifies a P-384 signature."""
        try:
            leaf = x509.load_der_x509_certificate(data)
            leaf.verify_directly_issued_by(self._issuing)
            ours = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
        except (ValueError, TypeError, InvalidSignature):
            ours = False
            leaf = None
        if leaf is None or not ours:
            text = "the token process issued a TLS certificate of another CA or key: check certs/issuing.pem"
            raise LeafWrong(text)
        return leaf

    def _failed(self, error: SottovoceError, retry_seconds: float) -> None:
        self._report(LeafFailed(str(error), retry_seconds, int(self.not_after)))
