"""A world in which a handshake costs a millisecond: key agreement and signatures by a hash, the same in every process.

Sizes and failures are those of the real ones, so every check of length, order and place is met; what is lost is that
anybody could compute the secrets.  An input of the fuzzer cannot: it would have to contain a hash of itself.
Everything else, AEAD and key schedule included, is the real thing.  Used inside `toy_world()` only, so that nothing of
it reaches the other tests of the process.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sottovoce.primitives import (
    CLIENT_SHARE_BYTES,
    SERVER_SHARE_BYTES,
    Group,
    IllegalShare,
    PublicKey,
    Secret,
    SignatureAlgorithm,
)
from sottovoce.primitives.signatures import SIGNATURE_BYTES
from tests.session import dialogue, foreign, meeting, ticketing
from tests.session.keys import HOST, Keys, anchor_of, issue
from tests.session.keys import anchor_keys as real_anchor
from tests.session.keys import serving_keys as real_serving

_SECRET_BYTES = {Group.X25519MLKEM768: 64, Group.SECP384R1MLKEM1024: 80, Group.X25519: 32, Group.SECP384R1: 48}
_ILLEGAL = 0xFF
"""A share that begins with this byte stands for one that is no point or no key."""


def _hash(length: int, *parts: bytes) -> bytes:
    return hashlib.shake_256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest(length)


def _made(length: int, *parts: bytes) -> bytes:
    """A share; the first byte is a legal one."""
    return b"\x04" + _hash(length - 1, *parts)


def _checked(share: bytes, lengths: dict[Group, int], group: Group) -> bytes:
    if len(share) != lengths[group] or share[0] == _ILLEGAL:
        raise IllegalShare(f"a share of {group.name} is illegal")
    return share


class ToyShare:
    """A client's share; what makes it private is nothing."""

    def __init__(self, group: Group, number: int) -> None:
        self.group = group
        self.public = _made(CLIENT_SHARE_BYTES[group], b"client", number.to_bytes(4))

    def finish(self, server_share: bytes) -> Secret:
        return Secret("hybrid", toy_secret(self.group, self.public, server_share))

    def erase(self) -> None:
        pass


def toy_secret(group: Group, client_share: bytes, server_share: bytes) -> bytes:
    _checked(server_share, SERVER_SHARE_BYTES, group)
    return _hash(_SECRET_BYTES[group], client_share, server_share)


class ToyKem:
    """Makes and answers shares, each one a new one."""

    def __init__(self) -> None:
        self._drawn = 0

    def generate(self, group: Group) -> ToyShare:
        self._drawn += 1
        return ToyShare(group, self._drawn)

    def encapsulate(self, group: Group, client_share: bytes) -> tuple[bytes, Secret]:
        _checked(client_share, CLIENT_SHARE_BYTES, group)
        self._drawn += 1
        share = _made(SERVER_SHARE_BYTES[group], b"server", client_share, self._drawn.to_bytes(4))
        return share, Secret("hybrid", toy_secret(group, client_share, share))


def _foreign_client_share(group: int) -> tuple[bytes, Any]:
    public = _made(CLIENT_SHARE_BYTES[Group(group)], b"foreign")
    return public, lambda answer: toy_secret(Group(group), public, answer)


def _foreign_server_share(group: int, share: bytes) -> tuple[bytes, bytes]:
    answer = _made(SERVER_SHARE_BYTES[Group(group)], b"foreign", share)
    return answer, toy_secret(Group(group), share, answer)


def _signature(key: PublicKey, message: bytes) -> bytes:
    return _hash(SIGNATURE_BYTES[key.algorithm], key.key, message)


def _verify(self: PublicKey, message: bytes, signature: bytes) -> bool:
    return signature == _signature(self, message)


class ToySigner:
    """Signs by a hash under the name of a key."""

    def __init__(self, public_key: PublicKey) -> None:
        self.public_key = public_key
        self.algorithm: SignatureAlgorithm = public_key.algorithm

    def sign(self, message: bytes) -> bytes:
        return _signature(self.public_key, message)


def _toy_keys(real: Keys) -> Keys:
    """Signers for keys that are real ones, since some checks look at a key itself."""
    return Keys(ToySigner(real.classical.public_key), ToySigner(real.pq.public_key) if real.pq else None)


@cache
def toy_anchor() -> Keys:
    return _toy_keys(real_anchor())


@cache
def toy_serving() -> Keys:
    return _toy_keys(real_serving())


@cache
def toy_certificate(*authorities: str) -> bytes:
    return issue(toy_anchor(), toy_serving(), authorities=authorities or (HOST,))


def anchors() -> tuple[Any, ...]:
    return (anchor_of(toy_anchor()),)


@contextmanager
def toy_world() -> Generator[None]:
    """Put the toys in their places for a while."""
    places: list[tuple[Any, str, Any]] = [
        (dialogue, "SystemKem", ToyKem),
        (foreign, "client_share", _foreign_client_share),
        (foreign, "server_share", _foreign_server_share),
        (PublicKey, "verify", _verify),
        (dialogue, "anchor_keys", toy_anchor),
        *((module, "serving_keys", toy_serving) for module in (dialogue, foreign, meeting)),
        *((module, "certificate", toy_certificate) for module in (dialogue, foreign, ticketing)),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    try:
        for owner, name, toy in places:
            setattr(owner, name, toy)
        yield
    finally:
        for owner, name, real in before:
            setattr(owner, name, real)
