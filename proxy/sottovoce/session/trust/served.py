"""What a server shows of itself: a voice certificate with its proof, whichever of several tokens gave them."""

from typing import Self

import msgspec

from sottovoce.primitives import ApiMisuse, sha384
from sottovoce.session.trust.certificate import VoiceCertificate, decode_certificate_untrusted
from sottovoce.session.trust.merkle import Proof
from sottovoce.wire import WireError


class ServedCertificate(msgspec.Struct, frozen=True):
    """A voice certificate to serve under, decoded and hashed once; made with `of`."""

    encoded: bytes
    decoded: VoiceCertificate
    sha384: bytes
    """Of the encoded certificate, 48 bytes."""

    @property
    def anchor_id(self) -> bytes:
        """The anchor that has signed it, 32 bytes."""
        return self.decoded.fields.anchor_id

    @classmethod
    def of(cls, encoded: bytes) -> Self:
        """Decode a certificate of our own.  Raises ApiMisuse where it is none."""
        try:
            decoded = decode_certificate_untrusted(encoded)
        except WireError as error:
            raise ApiMisuse(f"the certificate to serve under is none: {error.reason}") from None
        return cls(encoded, decoded, sha384(encoded))


class Signed(msgspec.Struct, frozen=True):
    """A leaf's proof, and the certificate of whose keys its signatures are."""

    certificate: ServedCertificate
    proof: Proof
