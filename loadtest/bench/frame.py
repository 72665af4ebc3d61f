"""What a voice frame's sealing and opening cost beside bare AES-256-GCM with the same library and lengths.

The yardstick is one call of `cryptography`'s AESGCM a frame, with the cipher made once and every nonce computed before:
nothing but the encryption and Python's call of it.  What comes on top on our side is nonce, header, counters, and every
thousand frames the step to a new key.  The session's figures have the padding and the frame's own bytes as well.

The lossy carrier is measured beside the ordered one, each through a whole session; its datagrams come in blocks of
eight, shuffled.
"""

import random

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loadtest.bench.figure import Figure
from loadtest.bench.talking import talking
from loadtest.bench.timing import Comparison, Work
from sottovoce.primitives import Secret, Suite
from sottovoce.session import ReceiveChain, SendChain

FRAMES = 10_000
ROUNDS = 7
MESSAGES_PER_KEY = 1000
PLAINTEXT = bytes(range(160))
SEAL_LIMIT = 2.5
OPEN_LIMIT = 3.0
LOSSY_LIMIT = 1.3
_BLOCK = 8

_SUITE = Suite.X25519MLKEM768_AES256GCM
_KEY = bytes(range(32))
_BASE = bytes(range(64))
_HEADER = bytes(4)
"""As long as most SFrame headers here are."""


def measure() -> list[Figure]:
    """Give the figures of sealing and opening, through the chains and through a whole session."""
    sealing = Comparison(_chain_seals, lambda: _bare_seals(PLAINTEXT), rounds=ROUNDS)
    opening = Comparison(_chain_opens, lambda: _bare_opens(PLAINTEXT), rounds=ROUNDS)
    codec_bytes = PLAINTEXT[:158]
    padded = bytes(168)
    whole_sealing = Comparison(lambda: _session_seals(codec_bytes), lambda: _bare_seals(padded), rounds=ROUNDS)
    whole_opening = Comparison(lambda: _session_opens(codec_bytes), lambda: _bare_opens(padded), rounds=ROUNDS)
    lossy_opening = Comparison(
        lambda: _session_opens_datagrams(codec_bytes), lambda: _session_opens(codec_bytes), rounds=ROUNDS
    )
    return [
        Figure("frame sealed", sealing.ratio, SEAL_LIMIT, "x", sealing.describe(FRAMES)),
        Figure("frame opened in order", opening.ratio, OPEN_LIMIT, "x", opening.describe(FRAMES)),
        Figure("frame sealed by a session", whole_sealing.ratio, None, "x", whole_sealing.describe(FRAMES)),
        Figure("frame opened by a session", whole_opening.ratio, None, "x", whole_opening.describe(FRAMES)),
        Figure(
            "datagram opened, to frame in order", lossy_opening.ratio, LOSSY_LIMIT, "x", lossy_opening.describe(FRAMES)
        ),
    ]


def _send_chain() -> SendChain:
    return SendChain(Secret("measured", _BASE), 1, _SUITE, MESSAGES_PER_KEY)


def _chain_seals() -> Work:
    chain = _send_chain()

    def work() -> None:
        for _ in range(FRAMES):
            chain.seal(PLAINTEXT)

    return work


def _chain_opens() -> Work:
    sender = _send_chain()
    records = [sender.seal(PLAINTEXT) for _ in range(FRAMES)]
    chain = ReceiveChain(Secret("measured", _BASE), 1, _SUITE, MESSAGES_PER_KEY)

    def work() -> None:
        for record in records:
            chain.open(record)

    return work


def _session_seals(codec_bytes: bytes) -> Work:
    client, _ = talking()

    def work() -> None:
        for _ in range(FRAMES):
            client.seal_audio(codec_bytes, 1.0)

    return work


def _session_opens(codec_bytes: bytes) -> Work:
    client, server = talking()
    records = [client.seal_audio(codec_bytes, 1.0) or b"" for _ in range(FRAMES)]

    def work() -> None:
        for record in records:
            server.open_audio(record, 1.0)

    return work


def _session_opens_datagrams(codec_bytes: bytes) -> Work:
    client, server = talking(has_datagrams=True)
    datagrams = [client.seal_datagram(codec_bytes, 1.0) or b"" for _ in range(FRAMES)]
    order = random.Random(8)  # noqa: S311  which of eight comes first
    blocks = [datagrams[start : start + _BLOCK] for start in range(0, FRAMES, _BLOCK)]
    for block in blocks:
        order.shuffle(block)
    shuffled = [datagram for block in blocks for datagram in block]

    def work() -> None:
        for datagram in shuffled:
            server.open_datagram(datagram, 1.0)

    return work


def _nonces() -> list[bytes]:
    return [number.to_bytes(12) for number in range(FRAMES)]


def _bare_seals(plaintext: bytes) -> Work:
    encrypt = AESGCM(_KEY).encrypt
    nonces = _nonces()

    def work() -> None:
        for nonce in nonces:
            encrypt(nonce, plaintext, _HEADER)

    return work


def _bare_opens(plaintext: bytes) -> Work:
    cipher = AESGCM(_KEY)
    sealed = [(nonce, cipher.encrypt(nonce, plaintext, _HEADER)) for nonce in _nonces()]
    decrypt = cipher.decrypt

    def work() -> None:
        for nonce, record in sealed:
            decrypt(nonce, record, _HEADER)

    return work
