"""The two ciphers: what is sealed opens, anything else does not and says nothing."""

import pytest

from sottovoce.primitives import Cipher, OpenFailed, Secret, nonce_number, open_once, seal_once, split_nonce

KEY, NONCE = Secret("key", b"\x4b" * 32), Secret("iv", b"\x4e" * 12)


@pytest.mark.parametrize("cipher", Cipher)
def test_what_is_sealed_opens_once_it_is_whole(cipher: Cipher) -> None:
    key = Secret("key", b"\x4b" * (16 if cipher is Cipher.AES_128_GCM else 32))
    sealed = seal_once(cipher, key, NONCE, b"plain", b"aad")
    assert open_once(cipher, key, NONCE, sealed, b"aad") == b"plain"
    for bad, aad in (
        (sealed, b"aae"),
        (sealed[:-1], b"aad"),
        (sealed[:3], b"aad"),
        (b"", b"aad"),
        (sealed + b"\0", b"aad"),
    ):
        with pytest.raises(OpenFailed) as caught:
            open_once(cipher, key, NONCE, bad, aad)
        assert "plain" not in str(caught.value)


def test_the_ciphers_differ() -> None:
    assert seal_once(Cipher.AES_256_GCM, KEY, NONCE, b"p", b"") != seal_once(
        Cipher.CHACHA20_POLY1305, KEY, NONCE, b"p", b""
    )


def test_the_parts_of_a_nonce() -> None:
    assert split_nonce(Secret("salt", bytes(range(12)))) == (bytes(range(10)), 0x0A0B)
    assert nonce_number(Secret("salt", bytes(range(12)))) == 0x0102030405060708090A0B
