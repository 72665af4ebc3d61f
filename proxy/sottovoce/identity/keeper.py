"""`CertificateKeeper`: the voice certificate that the proxy serves under, always one that is valid.

The anchor in the token process signs each; it is judged here as a client judges it, before it is used.  Sessions that
run go on under the certificate they began with, until their next re-authentication.
"""

import hashlib
from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio

from sottovoce.hsm import Caller
from sottovoce.identity.errors import AnchorsUnusable
from sottovoce.identity.operations import ISSUE_VOICE_CERTIFICATE, MAX_VOICE_CERTIFICATE_SECONDS, IssueVoiceCertificate
from sottovoce.pki import Validity, attempt, renew_for_ever
from sottovoce.primitives import ApiMisuse, Entropy, SottovoceError
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
_FIRST_ATTEMPTS = 3


class VoiceCertificateIssued(msgspec.Struct, frozen=True, tag="voice_certificate_issued"):
    """A voice certificate was issued and is in use.  `serial` and `sha256` are hexadecimal."""

    serial: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    sha256: str


class VoiceCertificateFailed(msgspec.Struct, frozen=True, tag="voice_certificate_failed"):
    """None could be had; it is tried again.  `not_after` is the end of the one in use, 0 without one."""

    reason: str
    retry_seconds: float
    not_after: int


CertificateEvent = VoiceCertificateIssued | VoiceCertificateFailed


class CertificateKeeper:
    """Gets the first certificate (`first`), then renews it for ever (`run`).  A session.ServingCertificate."""

    def __init__(  # noqa: PLR0913  parts handed in by name
        self,
        token: Caller,
        anchors: tuple[Anchor, ...],
        authorities: tuple[str, ...],
        *,
        lifetime_seconds: int = MAX_VOICE_CERTIFICATE_SECONDS,
        report: Callable[[CertificateEvent], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Take the names to be certified for, and the anchors that clients are given."""
        self._token = token
        self._anchors = anchors
        self._question = IssueVoiceCertificate(authorities, lifetime_seconds)
        self._report = report
        self._clock = clock
        self._entropy = entropy
        self._validity = Validity(0, 0)
        self._certificate: bytes | None = None

    @property
    def certificate(self) -> bytes:
        """The encoded certificate that is current now.  Raises ApiMisuse before `first` has returned."""
        if self._certificate is None:
            message = "there is no voice certificate yet: await first()"
            raise ApiMisuse(message)
        return self._certificate

    @property
    def not_after(self) -> float:
        """When the certificate in use ends, Unix seconds; 0 before the first."""
        return self._validity.not_after

    async def first(self) -> None:
        """Get the first certificate.  Raises HsmError or AnchorsUnusable after a few tries."""
        self._validity = await attempt(self._renew, self._failed, _FIRST_ATTEMPTS)

    async def run(self) -> NoReturn:
        """Renew until cancelled; call it after `first`.  A failure is reported and tried again, never raised."""
        await renew_for_ever(self._validity, self._renew, self._failed, self._clock, self._entropy)

    async def _renew(self) -> Validity:
        answer = await self._token.call(ISSUE_VOICE_CERTIFICATE, self._question, deadline_seconds=_DEADLINE_SECONDS)
        fields = await trio.to_thread.run_sync(self._checked, answer.certificate, self._clock.wall())
        self._certificate = answer.certificate
        self._validity = Validity(fields.not_before, fields.not_after)
        self._report(
            VoiceCertificateIssued(
                serial=fields.serial.hex(),
                names=fields.authorities,
                not_before=fields.not_before,
                not_after=fields.not_after,
                sha256=hashlib.sha256(answer.certificate).hexdigest(),
            )
        )
        return self._validity

    def _checked(self, data: bytes, wall: float) -> CertificateFields:
        """Judge a certificate as a client of each name would.  In a thread: it verifies signatures."""
        try:
            certificate = decode_certificate_untrusted(data)
            for name in self._question.authorities:
                verify_certificate(certificate, self._anchors, name.replace("*.", "any.", 1), wall)
        except (WireError, CertificateRefused) as error:
            text = f"clients would refuse our voice certificate: {error} (certs/anchor.json and token must match)"
            raise AnchorsUnusable(text) from None
        return certificate.fields

    def _failed(self, error: SottovoceError, retry_seconds: float) -> None:
        self._report(VoiceCertificateFailed(str(error), retry_seconds, int(self.not_after)))
