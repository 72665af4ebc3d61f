"""Which voice certificates there are: sets of one anchor each, with a certificate for each node.  Pure.

A set that is taken becomes the current one, which new sessions begin under.  Those of other anchors stay until they
end: a session that began under one has to be proved again under it (protocol §6).
"""

from collections.abc import Mapping

from sottovoce.session import CLOCK_TOLERANCE_SECONDS, ServedCertificate


class CertificateSets:
    """The sets, by their anchors' ids."""

    def __init__(self) -> None:
        """Begin with none."""
        self.current: bytes | None = None
        """The id of the anchor that sessions begin under now."""
        self._sets: dict[bytes, dict[str, ServedCertificate]] = {}

    def take(self, certificates: Mapping[str, ServedCertificate], wall: float) -> None:
        """Take new certificates of one anchor, by node, which is current from now on; at least one.

        A node that is not among them keeps the one that it has of that anchor.  What has ended by `wall` is forgotten.
        """
        self.current = next(iter(certificates.values())).anchor_id
        kept = {anchor_id: _living(each, wall) for anchor_id, each in self._sets.items()}
        kept[self.current] = kept.get(self.current, {}) | dict(certificates)
        self._sets = {anchor_id: each for anchor_id, each in kept.items() if each}

    @property
    def all(self) -> tuple[dict[str, ServedCertificate], ...]:
        """Each set, the current one last: taken in this order elsewhere, they are the same there."""
        others = [each for anchor_id, each in self._sets.items() if anchor_id != self.current]
        return (*others, self._sets[self.current]) if self.current in self._sets else tuple(others)

    def under(self, node: str, anchor_id: bytes | None, wall: float) -> ServedCertificate | None:
        """Give the certificate of a node under an anchor (None: the current one); None if it has none that lives."""
        wanted = self.current if anchor_id is None else anchor_id
        certificate = None if wanted is None else self._sets.get(wanted, {}).get(node)
        return None if certificate is None or _has_ended(certificate, wall) else certificate

    def serves(self, anchor_id: bytes, wall: float) -> bool:
        """Whether any node has a certificate under this anchor that lives."""
        return any(not _has_ended(certificate, wall) for certificate in self._sets.get(anchor_id, {}).values())


def _living(certificates: Mapping[str, ServedCertificate], wall: float) -> dict[str, ServedCertificate]:
    return {node: each for node, each in certificates.items() if not _has_ended(each, wall)}


def _has_ended(certificate: ServedCertificate, wall: float) -> bool:
    """As a client sees it whose clock may differ from ours by so much."""
    return wall > certificate.decoded.fields.not_after + CLOCK_TOLERANCE_SECONDS
