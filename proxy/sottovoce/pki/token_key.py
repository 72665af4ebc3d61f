"""A private key inside the token, in the shape that `cryptography` signs certificates with.

The library asks for DER and names the hash; the token gives `r ‖ s` over SHA-384.  Nothing else of the interface exists
here, since the key cannot leave its token.
"""

from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sottovoce.hsm import KeyName, Worker
from sottovoce.primitives import ApiMisuse

_SCALAR_BYTES = 48


class TokenKey(ec.EllipticCurvePrivateKey):
    """A P-384 key of the token, used through one thread's `Worker`."""

    def __init__(self, worker: Worker, name: KeyName) -> None:
        """Look the key up.  Raises KeyMissing."""
        self._worker = worker
        self._name = name
        self._public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), worker.public_key(name).key)

    def sign(self, data: object, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign `data` with ECDSA and SHA-384; the signature is DER, and verified."""
        if not isinstance(signature_algorithm, ec.ECDSA) or not isinstance(
            signature_algorithm.algorithm, hashes.SHA384
        ):
            message = "keys of the token sign with ECDSA and SHA-384 only"
            raise ApiMisuse(message)
        signature = self._worker.sign(self._name, bytes(memoryview(data)))  # type: ignore[arg-type]  # the library passes bytes
        return encode_dss_signature(
            int.from_bytes(signature[:_SCALAR_BYTES]), int.from_bytes(signature[_SCALAR_BYTES:])
        )

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Give the public half."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-384."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """The bits of the curve."""
        return self._public.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Refuse: these keys sign."""
        self._refuse(algorithm, peer_public_key)

    def private_numbers(self) -> NoReturn:
        """Refuse: the key stays in its token."""
        self._refuse()

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:  # noqa: A002  the library's name
        """Refuse: the key stays in its token."""
        self._refuse(encoding, format, encryption_algorithm)

    def __copy__(self) -> NoReturn:
        self._refuse()

    def __deepcopy__(self, memo: object) -> NoReturn:
        self._refuse(memo)

    def _refuse(self, *_: object) -> NoReturn:
        message = f"{self._name} is in the token, it signs and does nothing else"
        raise ApiMisuse(message)
