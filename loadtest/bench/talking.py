"""Two ends of a voice session in memory that have finished their handshake, with keys made on the spot."""

import time
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.primitives import MldsaSigner, PublicKey, Secret, SignatureAlgorithm, SystemKem
from sottovoce.session import (
    BINDING_TLS_EXPORTER,
    BINDING_WEBTRANSPORT_EXPORTER,
    Anchor,
    Carriage,
    CertificateFields,
    ClientConfig,
    ClientSession,
    Dependencies,
    Identity,
    Proof,
    ServedCertificate,
    ServerConfig,
    ServerDependencies,
    ServerSession,
    ShownCredential,
    SignatureWanted,
    encode_certificate,
    merkle_tree,
    signed_root,
)
from sottovoce.transport import SystemEntropy

_HOST = "localhost"
_CARRIAGE = Carriage(BINDING_TLS_EXPORTER, bytes(32), _HOST.encode(), b"/v1/voice/echo")
_TWO_CARRIERS = Carriage(
    BINDING_WEBTRANSPORT_EXPORTER, bytes(32), _HOST.encode(), b"/v1/voice/echo", has_datagrams=True
)
_HOUR = 3600


class _Keys:
    """A P-384 and an ML-DSA key, and what they sign in the protocol's form."""

    def __init__(self, pq: SignatureAlgorithm) -> None:
        self._p384 = ec.generate_private_key(ec.SECP384R1())
        self._mldsa = MldsaSigner(pq, Secret("measured", SystemEntropy().random(32)))
        point = self._p384.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.classical = PublicKey(SignatureAlgorithm.ECDSA_P384, point)
        self.pq = self._mldsa.public_key

    def sign(self, message: bytes) -> tuple[bytes, bytes]:
        r, s = decode_dss_signature(self._p384.sign(message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48) + s.to_bytes(48), self._mldsa.sign(message)


class _Identity:
    """An anchor, serving keys, and the certificate that binds them."""

    def __init__(self) -> None:
        anchor_keys, self._serving = _Keys(SignatureAlgorithm.MLDSA87), _Keys(SignatureAlgorithm.MLDSA65)
        self.anchor = Anchor((_HOST,), anchor_keys.classical, anchor_keys.pq)
        now = int(time.time())
        fields = CertificateFields(
            serial=SystemEntropy().random(16),
            not_before=now - _HOUR,
            not_after=now + 24 * _HOUR,
            authorities=(_HOST,),
            classical=self._serving.classical,
            pq=self._serving.pq,
            anchor_id=self.anchor.anchor_id,
        )
        classical, pq = anchor_keys.sign(fields.signed_bytes())
        encoded = encode_certificate(
            fields, (anchor_keys.classical.algorithm, classical), (anchor_keys.pq.algorithm, pq)
        )
        self.certificate = ServedCertificate.of(encoded)

    def serves(self, anchor_id: bytes) -> bool:
        """Serve under the one anchor."""
        return anchor_id == self.anchor.anchor_id

    def prove(self, wanted: SignatureWanted) -> Proof:
        """Sign a batch of one."""
        root, ((path, directions),) = merkle_tree([wanted.leaf_under(self.certificate)])
        classical, pq = self._serving.sign(signed_root(wanted.kind, root))
        return Proof(path, directions, root, classical, pq)

    def check(self, shown: ShownCredential) -> Identity:
        """Let everybody in."""
        del shown
        return Identity("measured")

    def judge(self, shown: ShownCredential) -> Identity:
        """Let everybody in."""
        return self.check(shown)

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        """Let everybody stay."""
        del identity, authority, path
        return True


_identity = cache(_Identity)


def talking(*, has_datagrams: bool = False) -> tuple[ClientSession, ServerSession]:
    """Give both ends after their handshake; their clocks stand at 0."""
    carriage = _TWO_CARRIERS if has_datagrams else _CARRIAGE
    identity = _identity()
    entropy, wall = SystemEntropy(), time.time()
    client = ClientSession(
        ClientConfig(anchors=(identity.anchor,)), carriage, Dependencies(SystemKem(), entropy), 0.0, wall
    )
    server = ServerSession(
        ServerConfig(), carriage, ServerDependencies(SystemKem(), entropy, identity, identity), 0.0, wall
    )
    while upward := client.to_send():
        for record in upward:
            for event in server.receive(record, 0.0):
                if isinstance(event, SignatureWanted):
                    server.provide_proof(event, identity.certificate, identity.prove(event), 0.0)
        for record in server.to_send():
            client.receive(record, 0.0)
    if not (client.is_open and server.is_open):
        raise AssertionError("two of our own ends did not agree")
    return client, server
