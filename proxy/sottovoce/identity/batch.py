"""A batch of leaves that are signed together, by whichever node: one Merkle tree for each node that is asked.

What a leaf is depends on the certificate, and that on the node that signs.  So a tree is made when a node is about to
be asked, under that node's certificate, and the node that answers says which tree counts.
"""

from typing import Protocol

import trio

from sottovoce.hsm import HsmError
from sottovoce.identity.gathering import Group
from sottovoce.identity.operations import RootSignatures, SignRoot
from sottovoce.session import Path, Proof, ServedCertificate, SignatureWanted, Signed, merkle_tree


class ServedCertificates(Protocol):
    """Which certificates there are (`certificates.Certificates`)."""

    def under(self, node: str, anchor_id: bytes | None) -> ServedCertificate | None:
        """Give the certificate of a node's keys under an anchor (None: the current one); None if there is none now."""
        ...


class WaitingLeaf:
    """A leaf and its owner."""

    def __init__(self, wanted: SignatureWanted, source: str, deadline: float) -> None:
        """`source` is the client's IP address, `deadline` on Trio's clock."""
        self.wanted = wanted
        self.source = source
        self.deadline = deadline
        self.done = trio.Event()
        self.outcome: Signed | HsmError | None = None
        self.batch: Batch | None = None

    @property
    def group(self) -> Group:
        """With which others it may be signed."""
        return self.wanted.kind, self.wanted.anchor_id

    def finish(self, outcome: Signed | HsmError) -> None:
        """Wake the owner."""
        self.outcome = outcome
        self.done.set()


class _Tree:
    """A batch as one node signs it."""

    def __init__(self, certificate: ServedCertificate, leaves: list[WaitingLeaf]) -> None:
        self._certificate = certificate
        self._paths: list[Path]
        self.root, self._paths = merkle_tree([leaf.wanted.leaf_under(certificate) for leaf in leaves])

    def proofs(self, signatures: RootSignatures) -> list[Signed]:
        """Give each leaf's, in their order."""
        return [
            Signed(self._certificate, Proof(nodes, directions, self.root, signatures.classical, signatures.pq))
            for nodes, directions in self._paths
        ]


class Batch:
    """Leaves of one group that are being signed together."""

    def __init__(self, group: Group, leaves: list[WaitingLeaf], certificates: ServedCertificates) -> None:
        """Take at least one leaf; no tree is made yet."""
        self.kind, self._anchor_id = group
        self.leaves = leaves
        self.present = len(leaves)
        """Owners that are still there."""
        self.scope = trio.CancelScope()
        self._certificates = certificates
        self._trees: dict[str, _Tree] = {}
        """By the nodes that were asked."""
        for leaf in leaves:
            leaf.batch = self

    def ask(self, node: str) -> SignRoot | None:
        """Give the question for a node, the same each time; None where it has no certificate."""
        tree = self._trees.get(node)
        if tree is None:
            certificate = self._certificates.under(node, self._anchor_id)
            if certificate is None:
                return None
            tree = self._trees[node] = _Tree(certificate, self.leaves)
        return SignRoot(self.kind, tree.root)

    def why_nobody_can_sign(self, nodes: tuple[str, ...]) -> str:
        """Say why none of these nodes could be asked, were it up; empty where one can."""
        if any(self._certificates.under(node, self._anchor_id) is not None for node in nodes):
            return ""
        if self._anchor_id is None:
            return "there is no voice certificate that is valid"
        return "there is no voice certificate that is valid of the anchor under which the session began"

    def finish(self, node: str, signatures: RootSignatures) -> bytes:
        """Give each owner its proof, as the node that was asked has signed; gives the root."""
        tree = self._trees[node]
        for leaf, signed in zip(self.leaves, tree.proofs(signatures), strict=True):
            leaf.finish(signed)
        return tree.root

    def fail(self, error: HsmError) -> None:
        """Tell each owner."""
        for leaf in self.leaves:
            leaf.finish(error)

    def leave(self) -> None:
        """One owner goes; with the last the call is given up."""
        self.present -= 1
        if not self.present:
            self.scope.cancel()
