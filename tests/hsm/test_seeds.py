"""Sealed seeds as files."""

import msgspec
import pytest

from sottovoce.hsm import SealedSeed, SealedSeedInvalid, WrappedKey, read_sealed_seed
from sottovoce.primitives import SignatureAlgorithm

SEED = SealedSeed(purpose="serving", serial=bytes(range(16)), algorithm="mldsa65", nonce=bytes(12), sealed=bytes(48))


def test_it_reads_back_from_its_file() -> None:
    assert read_sealed_seed(SEED.to_file(), purpose="serving", algorithm=SignatureAlgorithm.MLDSA65) == SEED


def test_what_is_authenticated_with_it() -> None:
    expected = b"sottovoce.v1 sealed seed\x00\x07serving" + bytes(range(16)) + b"\x09\x05"
    assert SEED.associated_data == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no sealed seed"),
        (b"\xff", "is no sealed seed"),
        (b'{"purpose": 1}', "is no sealed seed"),
        (msgspec.structs.replace(SEED, purpose="anchor").to_file(), "is sealed for anchor with mldsa65"),
        (msgspec.structs.replace(SEED, algorithm="mldsa87").to_file(), "for serving with mldsa87, not for serving"),
        (msgspec.structs.replace(SEED, format="other").to_file(), "is sealed for"),
    ],
)
def test_another_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SealedSeedInvalid, match=reason):
        read_sealed_seed(data, purpose="serving", algorithm=SignatureAlgorithm.MLDSA65)


def test_a_wrapped_key_is_never_taken_for_a_seed() -> None:
    """What is authenticated begins with another label, whatever stands in the fields."""
    key = WrappedKey(purpose="serving", serial=bytes(range(16)), nonce=bytes(12), sealed=bytes(48))
    assert key.associated_data == b"sottovoce.v1 wrapped key\x00\x07serving" + bytes(range(16)) + b"aes256"
    assert key.associated_data[:24] != SEED.associated_data[:24]
    with pytest.raises(KeyError):
        _ = msgspec.structs.replace(key, algorithm="mldsa65").associated_data


@pytest.mark.parametrize("wrong", [{"serial": bytes(15)}, {"nonce": bytes(13)}, {"purpose": 1}])
def test_a_wrapped_key_of_another_shape_is_not_decoded(wrong: dict[str, object]) -> None:
    key = WrappedKey(purpose="ticket", serial=bytes(16), nonce=bytes(12), sealed=bytes(48))
    data = msgspec.msgpack.encode(msgspec.to_builtins(key, builtin_types=(bytes,)) | wrong)
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(data, type=WrappedKey)
