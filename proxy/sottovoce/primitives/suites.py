"""The cipher suites of `sottovoce.v1` (protocol §3): which group, which cipher, which SFrame suite."""

from enum import IntEnum

from sottovoce.primitives.aead import Cipher
from sottovoce.primitives.kem import Group


class Suite(IntEnum):
    """Suites by number.  0xF0xx are classical: only where the listener's policy says so, and audited."""

    X25519MLKEM768_AES256GCM = 0x0001
    X25519MLKEM768_CHACHA20POLY1305 = 0x0002
    SECP384R1MLKEM1024_AES256GCM = 0x0101
    X25519_AES256GCM = 0xF001
    SECP384R1_AES256GCM = 0xF002

    @property
    def group(self) -> Group:
        """The key agreement of the suite."""
        return _GROUPS[self]

    @property
    def cipher(self) -> Cipher:
        """The AEAD of the suite."""
        if self is Suite.X25519MLKEM768_CHACHA20POLY1305:
            return Cipher.CHACHA20_POLY1305
        return Cipher.AES_256_GCM

    @property
    def sframe_suite(self) -> int:
        """The SFrame cipher suite: 5 (RFC 9605 §8.1), or the private 0xF001 for ChaCha20-Poly1305."""
        return 0xF001 if self.cipher is Cipher.CHACHA20_POLY1305 else 0x0005

    @property
    def is_classical(self) -> bool:
        """Whether no post-quantum KEM takes part."""
        return not self.group.is_hybrid


_GROUPS = {
    Suite.X25519MLKEM768_AES256GCM: Group.X25519MLKEM768,
    Suite.X25519MLKEM768_CHACHA20POLY1305: Group.X25519MLKEM768,
    Suite.SECP384R1MLKEM1024_AES256GCM: Group.SECP384R1MLKEM1024,
    Suite.X25519_AES256GCM: Group.X25519,
    Suite.SECP384R1_AES256GCM: Group.SECP384R1,
}

DEFAULT_SUITES = (
    Suite.X25519MLKEM768_AES256GCM,
    Suite.X25519MLKEM768_CHACHA20POLY1305,
    Suite.SECP384R1MLKEM1024_AES256GCM,
)
"""What is offered and served unless configured otherwise: every hybrid suite, no classical one."""
