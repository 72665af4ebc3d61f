"""Seals for the tests: PINs that are known, shares as texts, and sources of chance."""

import os
import random
from typing import NamedTuple

from sottovoce.hsm.seal import NewSeal, SealRecord, new_seal
from sottovoce.primitives import Secret

PINS = {"a": b"1234", "b": b"0f" * 16, "c": b"x" * 255}


class SystemEntropy:
    def random(self, length_bytes: int) -> bytes:
        return os.urandom(length_bytes)


class Chance:
    """Random numbers that a test can repeat."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  a test's

    def random(self, length_bytes: int) -> bytes:
        return self._random.randbytes(length_bytes)


class Made(NamedTuple):
    record: SealRecord
    texts: list[str]


def made(threshold: int = 3, count: int = 5, seed: int | None = None, pins: dict[str, bytes] | None = None) -> Made:
    entropy = SystemEntropy() if seed is None else Chance(seed)
    held = {node: Secret("PIN", pin) for node, pin in (PINS if pins is None else pins).items()}
    return as_text(new_seal(held, threshold, count, entropy))


def as_text(new: NewSeal) -> Made:
    return Made(new.record, [share.copy_for_sealing().decode() for share in new.shares])


def typed(text: str) -> Secret:
    return Secret("share", text.encode())
