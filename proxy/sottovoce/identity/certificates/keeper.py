"""`Certificates`: the voice certificates that the proxy serves under, always some that are valid.

One node's anchor signs a certificate for each node's serving keys, so that under one anchor any node can serve.  The
anchor that is current stays so while its node can renew; when it cannot, the next node's takes its place.  Clients know
the anchors of all (`certs/anchor.json`), so they learn nothing new by that.

Each certificate is judged here as a client judges it, before it is used.  Sessions that run stay under the anchor they
began with, whose certificates are kept until they end.
"""

import hashlib
from collections.abc import Callable, Iterator

import trio

from sottovoce.hsm import HsmError, OperationRefused, Pool
from sottovoce.identity.certificates.sets import CertificateSets
from sottovoce.identity.errors import AnchorsUnusable
from sottovoce.identity.operations import ISSUE_VOICE_CERTIFICATE, MAX_VOICE_CERTIFICATE_SECONDS, IssueVoiceCertificate
from sottovoce.pki import CertificateRenewed, Keeper, RenewalEvent, RenewalFailed, Validity
from sottovoce.primitives import ApiMisuse, Entropy, SottovoceError
from sottovoce.session import Anchor, CertificateRefused, ServedCertificate, verify_certificate
from sottovoce.transport import Clock

_DEADLINE_SECONDS = 10.0
"""For a certificate of the last node that is asked to issue."""
_IMPATIENT_SECONDS = 3.0
"""Of one that others come after."""


class Certificates(Keeper):
    """Keeps the voice certificates: `first`, then `run`.  A session.ServingAnchors."""

    def __init__(  # noqa: PLR0913  parts handed in by name
        self,
        pool: Pool,
        anchors: Callable[[], tuple[Anchor, ...]],
        authorities: tuple[str, ...],
        *,
        lifetime_seconds: int = MAX_VOICE_CERTIFICATE_SECONDS,
        report: Callable[[RenewalEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take the names to be certified for, and what reads the anchors that clients are given; read for each round.

        There is no certificate before `first` has returned.
        """
        super().__init__(report, clock, entropy)
        self._pool = pool
        self._anchors = anchors
        self._authorities = authorities
        self._lifetime_seconds = lifetime_seconds
        self._sets = CertificateSets()
        self._issuer = ""

    @property
    def sets(self) -> tuple[dict[str, ServedCertificate], ...]:
        """All certificates, a set for each anchor, the current one last."""
        return self._sets.all

    def under(self, node: str, anchor_id: bytes | None) -> ServedCertificate | None:
        """Give the certificate of a node's keys under an anchor (None: the current one); None if there is none now."""
        return self._sets.under(node, anchor_id, self._clock.wall())

    def serves(self, anchor_id: bytes) -> bool:
        """Whether any node has a certificate under this anchor now."""
        return self._sets.serves(anchor_id, self._clock.wall())

    async def _renew(self) -> Validity:
        """Have each node's keys certified by one anchor: the current one, or else the next that can."""
        error: SottovoceError | None = None
        for issuer, seconds in self._issuers():
            try:
                issued, refused = await self._issued_by(issuer, seconds)
            except (HsmError, AnchorsUnusable) as caught:
                error = error or caught
                continue
            self._issuer = issuer
            self._take(issued, refused)
            return self._validity
        if error is None:
            message = "a pool without nodes issues nothing"
            raise ApiMisuse(message)
        raise error

    def _issuers(self) -> Iterator[tuple[str, float]]:
        """Give the nodes in the order in which they are asked to issue, each with the seconds it has for an answer."""
        nodes = self._pool.nodes
        first = nodes.index(self._issuer) if self._issuer in nodes else 0
        order = (*nodes[first:], *nodes[:first])
        for place, node in enumerate(order, start=1):
            yield node, _DEADLINE_SECONDS if place == len(order) else _IMPATIENT_SECONDS

    async def _issued_by(
        self, issuer: str, seconds: float
    ) -> tuple[dict[str, ServedCertificate], dict[str, OperationRefused]]:
        """Have a node's anchor certify each node: certificates by node, and why there is none for others.

        Raises HsmError when the issuer fails, or refuses all; AnchorsUnusable for what clients would refuse.
        """
        encoded: dict[str, bytes] = {}
        refused: dict[str, OperationRefused] = {}
        for node in self._pool.nodes:
            try:
                encoded[node] = await self._issue(issuer, node, seconds)
            except OperationRefused as error:
                refused[node] = error
        if not encoded:
            raise next(iter(refused.values()))
        return await trio.to_thread.run_sync(self._checked, encoded, self._clock.wall()), refused

    async def _issue(self, issuer: str, node: str, seconds: float) -> bytes:
        question = IssueVoiceCertificate(node, self._authorities, self._lifetime_seconds)
        answered = await self._pool.call_on(
            ISSUE_VOICE_CERTIFICATE, lambda asked: question if asked == issuer else None, deadline_seconds=seconds
        )
        return answered.answer.certificate

    def _checked(self, encoded: dict[str, bytes], wall: float) -> dict[str, ServedCertificate]:
        """Judge certificates as a client of each name would.  In a thread: it reads a file and verifies signatures."""
        anchors = self._anchors()
        try:
            served = {node: ServedCertificate.of(data) for node, data in encoded.items()}
            for certificate in served.values():
                for name in self._authorities:
                    verify_certificate(certificate.decoded, anchors, name.replace("*.", "any.", 1), wall)
        except (ApiMisuse, CertificateRefused) as error:
            text = f"clients would refuse our voice certificate: {error} (certs/anchor.json and token must match)"
            raise AnchorsUnusable(text) from None
        if len({certificate.anchor_id for certificate in served.values()}) != 1:
            text = "the anchor was replaced while certificates were issued: they are issued anew"
            raise AnchorsUnusable(text)
        return served

    def _take(self, issued: dict[str, ServedCertificate], refused: dict[str, OperationRefused]) -> None:
        """Take certificates into use, and report each, and for whom there is none."""
        self._sets.take(issued, self._clock.wall())
        fields = {node: certificate.decoded.fields for node, certificate in issued.items()}
        self._validity = Validity(
            max(each.not_before for each in fields.values()), min(each.not_after for each in fields.values())
        )
        for node, each in fields.items():
            self._report(
                CertificateRenewed(
                    serial=each.serial.hex(),
                    names=each.authorities,
                    not_before=each.not_before,
                    not_after=each.not_after,
                    sha256=hashlib.sha256(issued[node].encoded).hexdigest(),
                    anchor=each.anchor_id.hex(),
                    node=node,
                )
            )
        for node, error in refused.items():
            self._report(RenewalFailed(str(error), 0.0, self._end_of(node), node))

    def _end_of(self, node: str) -> int:
        certificate = self.under(node, None)
        return 0 if certificate is None else certificate.decoded.fields.not_after
