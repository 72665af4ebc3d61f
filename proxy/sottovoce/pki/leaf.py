"""`LeafKeeper`: the proxy's TLS certificate, always one that is valid, its key never outside this process's memory.

For each certificate it makes a fresh P-256 key and asks whichever node is well to certify it.  A new certificate is
handed to `install`; connections that exist keep the old one, so no call notices.
"""

from collections.abc import Callable, Mapping

import trio
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.hsm import Pool
from sottovoce.pki.errors import LeafWrong
from sottovoce.pki.facts import certificate_facts
from sottovoce.pki.issuing import ISSUE_LEAF, IssueLeaf
from sottovoce.pki.names import general_names
from sottovoce.pki.profile import LEAF_SECONDS
from sottovoce.pki.renewal import CertificateRenewed, Keeper, RenewalEvent, Validity
from sottovoce.primitives import Entropy
from sottovoce.transport import Clock, TlsIdentity

_DEADLINE_SECONDS = 10.0


class LeafKeeper(Keeper):
    """Keeps the TLS certificate: `first`, then `run`."""

    def __init__(  # noqa: PLR0913  parts handed in by name
        self,
        pool: Pool,
        issuing: Mapping[str, x509.Certificate],
        names: tuple[str, ...],
        *,
        lifetime_seconds: int = LEAF_SECONDS,
        install: Callable[[TlsIdentity], None],
        report: Callable[[RenewalEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take each node's issuing certificate, the names to certify, and whom to tell.

        A node without an issuing certificate is not asked.  Raises LeafRefused for names that no certificate may carry.
        """
        super().__init__(report, clock, entropy)
        general_names(names)
        self._pool = pool
        self._issuing = issuing
        self._names = names
        self._lifetime_seconds = lifetime_seconds
        self._install = install

    async def _renew(self) -> Validity:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        question = IssueLeaf(public, self._names, self._lifetime_seconds)
        answered = await self._pool.call_on(
            ISSUE_LEAF, lambda node: question if node in self._issuing else None, deadline_seconds=_DEADLINE_SECONDS
        )
        issuing, der = self._issuing[answered.node], answered.answer.certificate
        leaf = await trio.to_thread.run_sync(_checked, answered.node, issuing, der, public)
        validity = Validity(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp())
        self._install(TlsIdentity(leaf, key, (issuing,)))
        self._validity = validity
        facts = certificate_facts(der)
        self._report(
            CertificateRenewed(
                serial=facts.serial,
                names=self._names,
                not_before=facts.not_before,
                not_after=facts.not_after,
                sha256=facts.sha256,
                node=answered.node,
            )
        )
        return validity


def _checked(node: str, issuing: x509.Certificate, der: bytes, public: bytes) -> x509.Certificate:
    """Read what a node answered, and see that it is ours.  In a thread: it verifies a P-384 signature."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        leaf.verify_directly_issued_by(issuing)
        ours = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
    except (ValueError, TypeError, InvalidSignature):
        ours = False
        leaf = None
    if leaf is None or not ours:
        text = f"node {node} issued a TLS certificate of another CA or key: check the file that its `issuing` names"
        raise LeafWrong(text)
    return leaf
