"""What the foreign peers are made of: the reference's functions, TLVs, key shares and chains of records without rules.

Nothing here is of `proxy/`.
"""

import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vector_report import VECTORS

Exchange = Callable[[bytes], bytes]


def load_reference() -> ModuleType:
    """tests/vectors/sottovoce.v1/reference.py, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("reference", VECTORS / "sottovoce.v1" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ref: Any = load_reference()
u: Callable[[int, int], bytes] = ref.u
message: Callable[..., bytes] = ref.message

GROUPS = {0x0001: 0x11EC, 0x0002: 0x11EC, 0x0101: 0x11ED, 0xF001: 0x001D, 0xF002: 0x0018}
AUDIO, SWITCH, DTMF, PING, PONG, HANDSHAKE, CLOSE, JSON, COVER, MARK, CLEAR, MUTE, DATA = range(1, 14)


def tlvs_of(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while body:
        size = int.from_bytes(body[1:3])
        found[body[0]] = body[3 : 3 + size]
        body = body[3 + size :]
    return found


def split(plaintext: bytes) -> list[bytes]:
    found: list[bytes] = []
    while plaintext:
        size = 4 + int.from_bytes(plaintext[1:4])
        found.append(plaintext[:size])
        plaintext = plaintext[size:]
    return found


def with_tlv(made: bytes, tag: int, value: bytes | None) -> bytes:
    """The message with a TLV replaced, added, or (None) taken out."""
    found = tlvs_of(made[4:]) | ({} if value is None else {tag: value})
    if value is None:
        found.pop(tag)
    return message(made[0], **{f"t{tag}": value for tag, value in found.items()})


def _x25519() -> tuple[bytes, Exchange]:
    private = x25519.X25519PrivateKey.generate()
    return private.public_key().public_bytes_raw(), lambda peer: private.exchange(
        x25519.X25519PublicKey.from_public_bytes(peer)
    )


def _p384() -> tuple[bytes, Exchange]:
    private = ec.generate_private_key(ec.SECP384R1())
    return (
        private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        lambda peer: private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), peer)),
    )


def client_share(group: int) -> tuple[bytes, Exchange]:
    """(share, what makes the secret of the server's share)."""
    if group == 0x11EC:
        point, exchange = _x25519()
        private = mlkem.MLKEM768PrivateKey.generate()
        share = private.public_key().public_bytes_raw() + point
        return share, lambda answer: private.decapsulate(answer[:1088]) + exchange(answer[1088:])
    if group == 0x11ED:
        point, exchange = _p384()
        large = mlkem.MLKEM1024PrivateKey.generate()
        share = point + large.public_key().public_bytes_raw()
        return share, lambda answer: exchange(answer[:97]) + large.decapsulate(answer[97:])
    return _x25519() if group == 0x001D else _p384()


def server_share(group: int, share: bytes) -> tuple[bytes, bytes]:
    """(share, secret)."""
    if group == 0x11EC:
        point, exchange = _x25519()
        shared, sealed = mlkem.MLKEM768PublicKey.from_public_bytes(share[:1184]).encapsulate()
        return sealed + point, shared + exchange(share[1184:])
    if group == 0x11ED:
        point, exchange = _p384()
        shared, sealed = mlkem.MLKEM1024PublicKey.from_public_bytes(share[97:]).encapsulate()
        return point + sealed, exchange(share[:97]) + shared
    point, exchange = _x25519() if group == 0x001D else _p384()
    return point, exchange(share)


class Chain:
    """One direction's records of one epoch, without any rule: it seals and opens whatever it is told."""

    def __init__(self, base: bytes, epoch: int, suite: int, per_key: int) -> None:
        self.epoch = epoch
        self.per_key = per_key
        self.number = 0xF001 if suite == 0x0002 else 0x0005
        self.cipher: Any = ChaCha20Poly1305 if suite == 0x0002 else AESGCM
        self.bases = [base]
        self.sent = 0

    def base(self, generation: int) -> bytes:
        while len(self.bases) <= generation:
            self.bases.append(ref.next_base(self.bases[-1]))
        return self.bases[generation]

    def seal_at(self, generation: int, counter: int, plaintext: bytes, header: bytes | None = None) -> bytes:
        kid = ref.kid(self.epoch, generation)
        key, salt = ref.sframe_key(self.base(generation), kid, self.number)
        header = header or ref.sframe_header(kid, counter)
        return header + self.cipher(key).encrypt(ref.sframe_nonce(salt, counter), plaintext, header)

    def seal(self, plaintext: bytes) -> bytes:
        """The next record."""
        self.sent += 1
        return self.seal_at((self.sent - 1) // self.per_key, (self.sent - 1) % self.per_key, plaintext)

    def open(self, record: bytes) -> bytes:
        """The next record's plaintext."""
        generation, counter = self.sent // self.per_key, self.sent % self.per_key
        self.sent += 1
        kid = ref.kid(self.epoch, generation)
        key, salt = ref.sframe_key(self.base(generation), kid, self.number)
        header = ref.sframe_header(kid, counter)
        assert record.startswith(header)
        return self.cipher(key).decrypt(ref.sframe_nonce(salt, counter), record[len(header) :], header)
