"""The vectors of RFC 9605 (appendix C): headers through `wire.sframe`, frames of suites 4 and 5."""

from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sottovoce.primitives import Secret, sframe_derive
from sottovoce.wire import sframe
from tests.vector_report import VectorRun

Begin = Callable[[str], VectorRun]

_KEY_BYTES = {4: 16, 5: 32}


def _derive(suite: int, base: bytes, info: bytes, length: int) -> bytes:
    """Suite 5 is ours; suite 4 has SHA-256 and goes through the library."""
    if suite == 5:
        return bytes(sframe_derive(Secret("base", base), info, length, "derived").expose())
    return HKDF(hashes.SHA256(), length, None, info).derive(base)


@pytest.mark.protocol("P8.3")
def test_headers(vector_run: Begin) -> None:
    with vector_run("sframe/test-vectors.json#header") as run:
        for case in run.load()["header"]:
            kid, counter, encoded = case["kid"], case["ctr"], bytes.fromhex(case["encoded"])
            decoded = sframe.decode_header_untrusted(encoded + b"rest")
            right = sframe.encode_header(kid, counter) == encoded and decoded == (kid, counter, len(encoded))
            run.check(f"{kid}/{counter}", right, positive=True)


@pytest.mark.protocol("P8.1", "P8.6", "P8.7")
def test_frames(vector_run: Begin) -> None:
    with vector_run("sframe/test-vectors.json#sframe") as run:
        for case in run.load()["sframe"]:
            suite, kid, counter = case["cipher_suite"], case["kid"], case["ctr"]
            if suite not in _KEY_BYTES:
                run.skip("suites 1 to 3 (AES-CTR with HMAC) are not in the protocol")
                continue
            base, suffix = bytes.fromhex(case["base_key"]), kid.to_bytes(8) + suite.to_bytes(2)
            key = _derive(suite, base, b"SFrame 1.0 Secret key " + suffix, _KEY_BYTES[suite])
            salt = _derive(suite, base, b"SFrame 1.0 Secret salt " + suffix, 12)
            nonce = (int.from_bytes(salt) ^ counter).to_bytes(12)
            header = sframe.encode_header(kid, counter)
            aad = header + bytes.fromhex(case["metadata"])
            ours = {"sframe_key": key, "sframe_salt": salt, "nonce": nonce, "aad": aad}
            for name, value in ours.items():
                run.check(f"{suite} {name}", value.hex() == case[name], positive=True)
            sealed = AESGCM(key).encrypt(nonce, bytes.fromhex(case["pt"]), aad)
            run.check(f"{suite} ct", (header + sealed).hex() == case["ct"], positive=True)
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, sealed, header)
            run.check(f"{suite} without its metadata", right=True, positive=False)
