"""Merkle trees over handshakes, so that one HSM signature serves many (protocol §6).

`leaf = H(0x00 ‖ …)`, `node = H(0x01 ‖ left ‖ right)`, SHA-384.  An odd node at the end of a level moves up as it is.
A path goes from leaf to root; direction 0 means that the sibling stands on the right, 1 on the left.
"""

from enum import IntEnum

import msgspec

from sottovoce.primitives import sha384

Path = tuple[tuple[bytes, ...], tuple[int, ...]]
"""(nodes, directions), leaf to root."""


class LeafKind(IntEnum):
    """What a leaf stands for; a batch holds leaves of one kind."""

    SERVER_VERIFY = 1
    REKEY_VERIFY = 2

    @property
    def label(self) -> bytes:
        """What the signed string begins with."""
        return b"sottovoce.v1 server verify" if self is LeafKind.SERVER_VERIFY else b"sottovoce.v1 rekey verify"


class Proof(msgspec.Struct, frozen=True):
    """A signed batch, as one leaf of it sees it.  Signatures are raw; their algorithms are the certificate's keys'."""

    path: tuple[bytes, ...]
    directions: tuple[int, ...]
    root: bytes
    classical: bytes
    pq: bytes | None


def handshake_leaf(transcript_hash: bytes) -> bytes:
    """The leaf of a handshake: `H(0x00 ‖ T(ServerCertificate))`."""
    return sha384(b"\x00", transcript_hash)


def rekey_leaf(transcript_hash: bytes, certificate: bytes) -> bytes:
    """The leaf of a root step: `H(0x00 ‖ TH[e+1] ‖ H(certificate))`."""
    return rekey_leaf_under(transcript_hash, sha384(certificate))


def rekey_leaf_under(transcript_hash: bytes, certificate_sha384: bytes) -> bytes:
    """The same, from the certificate's hash."""
    return sha384(b"\x00", transcript_hash, certificate_sha384)


def signed_root(kind: LeafKind, root: bytes) -> bytes:
    """The string that both signatures are over."""
    return kind.label + b"\x00" + root


def merkle_root(leaf: bytes, path: tuple[bytes, ...], directions: tuple[int, ...]) -> bytes:
    """Climb from a leaf to the root; an empty path means that the leaf is the root."""
    node = leaf
    for sibling, direction in zip(path, directions, strict=True):
        node = sha384(b"\x01", sibling, node) if direction else sha384(b"\x01", node, sibling)
    return node


def merkle_tree(leaves: list[bytes]) -> tuple[bytes, list[Path]]:
    """Build the tree over at least one leaf: (root, the path of each leaf)."""
    nodes: list[list[bytes]] = [[] for _ in leaves]
    directions: list[list[int]] = [[] for _ in leaves]
    level = [(leaf, [index]) for index, leaf in enumerate(leaves)]
    while len(level) > 1:
        above: list[tuple[bytes, list[int]]] = []
        for (left, under_left), (right, under_right) in zip(level[::2], level[1::2], strict=False):
            for index in under_left:
                nodes[index].append(right)
                directions[index].append(0)
            for index in under_right:
                nodes[index].append(left)
                directions[index].append(1)
            above.append((sha384(b"\x01", left, right), under_left + under_right))
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0][0], [(tuple(n), tuple(d)) for n, d in zip(nodes, directions, strict=True)]
