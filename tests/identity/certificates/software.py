"""Voice certificates of anchors whose keys are in memory."""

import os

import msgspec
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.hsm import HsmUnavailable, OperationRefused
from sottovoce.identity import IssuedVoiceCertificate, IssueVoiceCertificate
from sottovoce.primitives import PublicKey, SignatureAlgorithm
from sottovoce.session import Anchor, CertificateFields, ServedCertificate, encode_certificate
from tests.app.directories import HOSTS
from tests.pki.fake_token import SteppedClock


def public_key(key: ec.EllipticCurvePrivateKey) -> PublicKey:
    encoded = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return PublicKey(SignatureAlgorithm.ECDSA_P384, encoded)


class SoftwareAnchor:
    """An anchor without a PQ key, that answers as the token process of one of `nodes` does."""

    def __init__(self, clock: SteppedClock, *nodes: str) -> None:
        self.clock = clock
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.anchor = Anchor(HOSTS, public_key(self.key))
        self.published = {node: public_key(ec.generate_private_key(ec.SECP384R1())) for node in nodes}
        self.down_for = 0
        self.early = 0

    def issue(
        self, node: str, *, authorities: tuple[str, ...] = HOSTS, begin: int | None = None, seconds: int = 3600
    ) -> bytes:
        now = int(self.clock.wall()) if begin is None else begin
        fields = CertificateFields(
            serial=os.urandom(16),
            not_before=now,
            not_after=now + seconds,
            authorities=authorities,
            classical=self.published[node],
            pq=None,
            anchor_id=self.anchor.anchor_id,
        )
        r, s = decode_dss_signature(self.key.sign(fields.signed_bytes(), ec.ECDSA(hashes.SHA384())))
        classical = (SignatureAlgorithm.ECDSA_P384, r.to_bytes(48) + s.to_bytes(48))
        return encode_certificate(fields, classical, None)

    def serve(self, node: str, begin: int, seconds: int) -> ServedCertificate:
        return ServedCertificate.of(self.issue(node, begin=begin, seconds=seconds))

    async def answer(self, question: msgspec.Struct) -> IssuedVoiceCertificate:
        await trio.sleep(0.05)
        if self.down_for:
            self.down_for -= 1
            raise HsmUnavailable("the token is down: gone")
        assert isinstance(question, IssueVoiceCertificate)
        if question.node not in self.published:
            raise OperationRefused(f"no serving keys of node {question.node}")
        begin = int(self.clock.wall()) - self.early
        return IssuedVoiceCertificate(
            self.issue(question.node, authorities=question.authorities, begin=begin, seconds=question.lifetime_seconds)
        )
