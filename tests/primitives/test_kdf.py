"""Key derivation against the library's own, and what is left of it in memory."""

import ctypes
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.primitives import Secret, extract_labelled, labelled, sframe_derive, tls13_expand
from sottovoce.primitives.kdf import label_info

_new = ctypes.pythonapi.PyBytes_FromStringAndSize
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
SALT, INPUT, CONTEXT = bytes(range(48)), bytes(range(48, 96)), bytes(48)


@given(key=st.binary(min_size=1, max_size=200), salt=st.binary(max_size=200), length=st.integers(1, 200))
def test_it_is_the_hkdf_of_everybody_else(key: bytes, salt: bytes, length: int) -> None:
    info = label_info("res", CONTEXT, length)
    expanded = HKDFExpand(hashes.SHA384(), length, info).derive(key)
    assert labelled(Secret("key", key), "res", CONTEXT, length).expose() == expanded
    both = HKDF(hashes.SHA384(), length, salt, info).derive(key)
    assert extract_labelled(salt, Secret("key", key), "res", CONTEXT, length).expose() == both
    assert extract_labelled(Secret("salt", salt), key, "res", CONTEXT, length).expose() == both
    sframe = HKDF(hashes.SHA512(), length, b"", b"info").derive(key)
    assert sframe_derive(Secret("base", key), b"info", length, "key").expose() == sframe


@given(key=st.binary(min_size=32, max_size=32) | st.binary(min_size=48, max_size=48), length=st.integers(1, 48))
def test_the_expansion_of_tls_goes_by_the_length_of_the_secret(key: bytes, length: int) -> None:
    algorithm = hashes.SHA256() if len(key) == 32 else hashes.SHA384()
    info = length.to_bytes(2) + b"\x09tls13 key\0"  # RFC 8446 §7.1
    assert tls13_expand(Secret("key", key), "key", length).expose() == HKDFExpand(algorithm, length, info).derive(key)


def freed_after(derive: Callable[[], Secret], length: int) -> list[bytes]:
    """Derive, and give what freed objects of that length still hold: objects are made, and nothing is put into them."""
    secret = derive()
    with secret:
        found: list[bytes] = [_new(None, length) for _ in range(64)]
        return [each for each in found if each[8:32] == secret.expose()[8:32]]


@pytest.mark.parametrize("length", [32, 48])
def test_nothing_derived_is_left_in_what_was_freed(length: int) -> None:
    secret = Secret("secret", INPUT)
    assert freed_after(lambda: labelled(secret, "res", CONTEXT, length), length) == []
    assert freed_after(lambda: extract_labelled(SALT, secret, "res", CONTEXT, length), length) == []
    assert freed_after(lambda: sframe_derive(secret, b"info", length, "key"), length) == []
    assert freed_after(lambda: tls13_expand(secret, "traffic upd", length), length) == []


def test_the_control_what_the_library_derives_is_left() -> None:
    def derive() -> Secret:
        out = Secret.blank("out", 48)
        HKDFExpand(hashes.SHA384(), 48, b"info").derive_into(INPUT, out.expose())
        return out

    assert freed_after(derive, 48)
