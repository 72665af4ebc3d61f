"""`CertificateKeeper`: the voice certificate that the proxy serves under, always one that is valid.

The anchor in the token process signs each; it is judged here as a client judges it, before it is used.  Sessions that
run go on under the certificate they began with, until their next re-authentication.
"""

import hashlib
from collections.abc import Callable

import trio

from sottovoce.hsm import ONLY_NODE, Caller
from sottovoce.identity.errors import AnchorsUnusable
from sottovoce.identity.operations import ISSUE_VOICE_CERTIFICATE, MAX_VOICE_CERTIFICATE_SECONDS, IssueVoiceCertificate
from sottovoce.pki import CertificateRenewed, Keeper, RenewalEvent, Validity
from sottovoce.primitives import ApiMisuse, Entropy
from sottovoce.session import (
    Anchor,
    CertificateFields,
    CertificateRefused,
    decode_certificate_untrusted,
    verify_certificate,
)
from sottovoce.transport import Clock
from sottovoce.wire import WireError

_DEADLINE_SECONDS = 10.0


class CertificateKeeper(Keeper):
    """Keeps the voice certificate: `first`, then `run`.  A session.ServingCertificate."""

    def __init__(  # noqa: PLR0913  parts handed in by name
        self,
        token: Caller,
        anchors: Callable[[], tuple[Anchor, ...]],
        authorities: tuple[str, ...],
        *,
        lifetime_seconds: int = MAX_VOICE_CERTIFICATE_SECONDS,
        report: Callable[[RenewalEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take the names to be certified for, and what reads the anchors that clients are given; read for each one."""
        super().__init__(report, clock, entropy)
        self._token = token
        self._anchors = anchors
        self._question = IssueVoiceCertificate(ONLY_NODE, authorities, lifetime_seconds)
        self._certificate: bytes | None = None

    @property
    def certificate(self) -> bytes:
        """The encoded certificate that is current now.  Raises ApiMisuse before `first` has returned."""
        if self._certificate is None:
            message = "there is no voice certificate yet: await first()"
            raise ApiMisuse(message)
        return self._certificate

    async def _renew(self) -> Validity:
        answer = await self._token.call(ISSUE_VOICE_CERTIFICATE, self._question, deadline_seconds=_DEADLINE_SECONDS)
        fields = await trio.to_thread.run_sync(self._checked, answer.certificate, self._clock.wall())
        self._certificate = answer.certificate
        self._validity = Validity(fields.not_before, fields.not_after)
        self._report(
            CertificateRenewed(
                serial=fields.serial.hex(),
                names=fields.authorities,
                not_before=fields.not_before,
                not_after=fields.not_after,
                sha256=hashlib.sha256(answer.certificate).hexdigest(),
                anchor=fields.anchor_id.hex(),
            )
        )
        return self._validity

    def _checked(self, data: bytes, wall: float) -> CertificateFields:
        """Judge a certificate as a client of each name would.  In a thread: it reads a file and verifies signatures."""
        anchors = self._anchors()
        try:
            certificate = decode_certificate_untrusted(data)
            for name in self._question.authorities:
                verify_certificate(certificate, anchors, name.replace("*.", "any.", 1), wall)
        except (WireError, CertificateRefused) as error:
            text = f"clients would refuse our voice certificate: {error} (certs/anchor.json and token must match)"
            raise AnchorsUnusable(text) from None
        return certificate.fields
