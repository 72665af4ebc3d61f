"""`GivenCertificates`: the voice certificates that another process keeps, as it told them last."""

from collections.abc import Iterable, Mapping

from sottovoce.identity.certificates.sets import CertificateSets
from sottovoce.session import ServedCertificate
from sottovoce.transport import Clock


class GivenCertificates:
    """As `Certificates`, but for keeping them: a session.ServingAnchors."""

    def __init__(self, clock: Clock) -> None:
        """Have none yet."""
        self._clock = clock
        self._sets = CertificateSets()

    def replace(self, sets: Iterable[Mapping[str, bytes]]) -> None:
        """Take all certificates, encoded, a set for each anchor, the current one last; there may be none."""
        fresh = CertificateSets()
        for each in sets:
            fresh.take({node: ServedCertificate.of(data) for node, data in each.items()}, self._clock.wall())
        self._sets = fresh

    def under(self, node: str, anchor_id: bytes | None) -> ServedCertificate | None:
        """Give the certificate of a node's keys under an anchor (None: the current one); None if there is none now."""
        return self._sets.under(node, anchor_id, self._clock.wall())

    def serves(self, anchor_id: bytes) -> bool:
        """Whether any node has a certificate under this anchor now."""
        return self._sets.serves(anchor_id, self._clock.wall())
