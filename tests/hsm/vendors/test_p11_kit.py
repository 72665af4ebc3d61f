"""p11-kit, which GnuTLS and OpenSSH's friends read URIs with, reads ours as we meant them."""

import ctypes
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm.vendors import Pkcs11Uri, parse_uri, uri_text

LIBRARY = "/usr/lib/x86_64-linux-gnu/libp11-kit.so.0"
FOR_ANYTHING = 0xFFFF
pytestmark = pytest.mark.interop(tool=LIBRARY)
TEXTS = st.none() | st.text(string.printable, min_size=1, max_size=16)


TOKEN_INFO_BYTES = 208
PLACES = {"token": (0, 32), "model": (64, 16), "serial": (80, 16)}
"""Where CK_TOKEN_INFO has a text, and in how many bytes."""


@pytest.fixture(scope="module")
def p11_kit() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    library.p11_kit_uri_new.restype = ctypes.c_void_p
    library.p11_kit_uri_free.argtypes = [ctypes.c_void_p]
    library.p11_kit_uri_parse.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    library.p11_kit_uri_any_unrecognized.argtypes = [ctypes.c_void_p]
    library.p11_kit_uri_get_token_info.restype = ctypes.c_void_p
    library.p11_kit_uri_get_token_info.argtypes = [ctypes.c_void_p]
    library.p11_kit_uri_get_slot_id.restype = ctypes.c_ulong
    library.p11_kit_uri_get_slot_id.argtypes = [ctypes.c_void_p]
    for name in ("pin_source", "module_path"):
        function = getattr(library, f"p11_kit_uri_get_{name}")
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    return library


@given(
    token=TEXTS,
    serial=TEXTS,
    model=TEXTS,
    slot_id=st.none() | st.integers(0, 2**32),
    pin_source=TEXTS,
    module_path=TEXTS,
)
def test_it_reads_what_we_write(p11_kit: ctypes.CDLL, slot_id: int | None, **texts: Any) -> None:
    uri = Pkcs11Uri(slot_id=slot_id, **texts)
    theirs = p11_kit.p11_kit_uri_new()
    try:
        assert p11_kit.p11_kit_uri_parse(uri_text(uri).encode(), FOR_ANYTHING, theirs) == 0
        assert not p11_kit.p11_kit_uri_any_unrecognized(theirs)
        info = ctypes.string_at(p11_kit.p11_kit_uri_get_token_info(theirs), TOKEN_INFO_BYTES)
        for field, (place, size) in PLACES.items():
            value = texts[field]
            assert info[place : place + size] == (bytes(size) if value is None else value.encode().ljust(size)), field
        assert p11_kit.p11_kit_uri_get_slot_id(theirs) == (2**64 - 1 if slot_id is None else slot_id)
        for field in ("pin_source", "module_path"):
            value = texts[field]
            theirs_value = getattr(p11_kit, f"p11_kit_uri_get_{field}")(theirs)
            assert theirs_value == (None if value is None else value.encode()), field
    finally:
        p11_kit.p11_kit_uri_free(theirs)


@pytest.mark.parametrize(
    ("text", "their_code"),
    [
        ("pkcs11:token=%zz", -3),
        ("pkcs11:slot-id=x", -4),
        ("pkcs11:library-version=3.700", -5),
        ("pkcs11:token=a?b", -4),
    ],
)
def test_it_refuses_what_we_refuse(p11_kit: ctypes.CDLL, text: str, their_code: int) -> None:
    theirs = p11_kit.p11_kit_uri_new()
    assert p11_kit.p11_kit_uri_parse(text.encode(), FOR_ANYTHING, theirs) == their_code
    p11_kit.p11_kit_uri_free(theirs)
    with pytest.raises(ValueError, match="; "):
        parse_uri(text)
