"""Wycheproof's vectors, through our primitives.

Key agreement makes its own private keys, so here the library's generator is replaced by one that gives the vector's.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sottovoce.primitives import (
    Cipher,
    Group,
    IllegalShare,
    OpenFailed,
    PublicKey,
    Secret,
    SignatureAlgorithm,
    SystemKem,
    open_once,
    seal_once,
    sframe_derive,
)
from tests.vector_report import VectorRun

Begin = Callable[[str], VectorRun]


def _cases(run: VectorRun) -> Iterator[tuple[Any, Any]]:
    for group in run.load()["testGroups"]:
        for case in group["tests"]:
            yield group, case


def _bytes(case: Any, name: str) -> bytes:
    return bytes.fromhex(case[name])


@pytest.mark.parametrize(
    ("file", "cipher"),
    [("aes_gcm", Cipher.AES_256_GCM), ("chacha20_poly1305", Cipher.CHACHA20_POLY1305)],
)
def test_aead(vector_run: Begin, file: str, cipher: Cipher) -> None:
    with vector_run(f"wycheproof/{file}_test.json") as run:
        for _, case in _cases(run):
            key, nonce = Secret("key", _bytes(case, "key")), Secret("nonce", _bytes(case, "iv"))
            plaintext, aad, sealed = _bytes(case, "msg"), _bytes(case, "aad"), _bytes(case, "ct") + _bytes(case, "tag")
            valid = case["result"] == "valid"
            try:
                opened = open_once(cipher, key, nonce, sealed, aad) == plaintext
            except OpenFailed as error:
                if valid and isinstance(error.__cause__, ValueError):
                    run.skip("the library takes nonces of 8 to 128 bytes; ours have 12")
                    continue
                opened = False
            sealed_again = seal_once(cipher, key, nonce, plaintext, aad) if valid else sealed
            run.check(case["tcId"], opened is valid and sealed_again == sealed, positive=valid)


def _finish(group: Group, server_share: bytes) -> bytes | None:
    """Our client's half of an agreement, with the private key that the library was made to give."""
    try:
        return bytes(SystemKem().generate(group).finish(server_share).expose())
    except IllegalShare:
        return None


@pytest.mark.protocol("P3.59", "P3.66", "P11.21")
def test_x25519(vector_run: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of zeros only is refused, so a vector with it counts as a negative (RFC 7748 §6.1)."""
    with vector_run("wycheproof/x25519_test.json") as run:
        for _, case in _cases(run):
            private = x25519.X25519PrivateKey.from_private_bytes(_bytes(case, "private"))
            monkeypatch.setattr(x25519.X25519PrivateKey, "generate", staticmethod(lambda private=private: private))
            shared, result = _bytes(case, "shared"), _finish(Group.X25519, _bytes(case, "public"))
            run.check(case["tcId"], result == (shared if any(shared) else None), positive=any(shared))


@pytest.mark.protocol("P3.60", "P3.67", "P11.22")
def test_ecdh_p384(vector_run: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed point, which Wycheproof leaves open, is refused: shares are uncompressed."""
    with vector_run("wycheproof/ecdh_secp384r1_ecpoint_test.json") as run:
        for _, case in _cases(run):
            private = ec.derive_private_key(int(case["private"], 16), ec.SECP384R1())
            monkeypatch.setattr(ec, "generate_private_key", lambda _curve, private=private: private)
            valid = case["result"] == "valid"
            result = _finish(Group.SECP384R1, _bytes(case, "public"))
            run.check(case["tcId"], result == (_bytes(case, "shared") if valid else None), positive=valid)


@pytest.mark.parametrize(
    ("size", "private_type", "group"),
    [
        (768, mlkem.MLKEM768PrivateKey, Group.X25519MLKEM768),
        (1024, mlkem.MLKEM1024PrivateKey, Group.SECP384R1MLKEM1024),
    ],
)
def test_mlkem(vector_run: Begin, monkeypatch: pytest.MonkeyPatch, size: int, private_type: Any, group: Group) -> None:
    """Decapsulation from the seed, through a hybrid share whose classical half is made here."""
    from_seed = private_type.from_seed_bytes
    with vector_run(f"wycheproof/mlkem_{size}_test.json") as run:
        for _, case in _cases(run):
            valid = case["result"] == "valid"
            try:
                private = from_seed(_bytes(case, "seed"))
            except ValueError:
                run.check(case["tcId"], not valid, positive=valid)
                continue
            monkeypatch.setattr(private_type, "generate", staticmethod(lambda private=private: private))
            result = _finish(group, _server_share(group, _bytes(case, "c")))
            quantum = result and (result[:32] if group is Group.X25519MLKEM768 else result[-32:])
            run.check(case["tcId"], quantum == (_bytes(case, "K") if valid else None), positive=valid)


def _server_share(group: Group, ciphertext: bytes) -> bytes:
    """The ciphertext, and a classical half that is right."""
    plain = Group.X25519 if group is Group.X25519MLKEM768 else Group.SECP384R1
    classical = SystemKem().generate(plain).public
    return ciphertext + classical if group is Group.X25519MLKEM768 else classical + ciphertext


@pytest.mark.protocol("P3.65", "P11.20")
def test_mlkem_encapsulation_keys(vector_run: Begin) -> None:
    with vector_run("wycheproof/mlkem_768_encaps_test.json") as run:
        classical = SystemKem().generate(Group.X25519).public
        for _, case in _cases(run):
            valid = case["result"] == "valid"
            try:
                SystemKem().encapsulate(Group.X25519MLKEM768, _bytes(case, "ek") + classical)
            except IllegalShare:
                run.check(case["tcId"], not valid, positive=valid)
            else:
                run.check(case["tcId"], valid, positive=valid)
                run.skip("its result: the library takes no randomness m")


def _raw_signature(der: bytes) -> bytes | None:
    """`r ‖ s` of a signature in DER; None for one that is not DER or does not fit."""
    try:
        r, s = decode_dss_signature(der)
        if encode_dss_signature(r, s) != der:
            return None
        return r.to_bytes(48) + s.to_bytes(48)
    except (ValueError, OverflowError):
        return None


@pytest.mark.protocol("P6.15")
def test_ecdsa_p384(vector_run: Begin) -> None:
    with vector_run("wycheproof/ecdsa_secp384r1_sha384_test.json") as run:
        for group, case in _cases(run):
            signature = _raw_signature(_bytes(case, "sig"))
            valid = case["result"] == "valid"
            if signature is None:
                assert not valid, case["tcId"]
                run.skip("a fault of DER, or r or s beyond 48 bytes: it has no form r ‖ s")
                continue
            key = PublicKey(SignatureAlgorithm.ECDSA_P384, bytes.fromhex(group["publicKey"]["uncompressed"]))
            run.check(case["tcId"], key.verify(_bytes(case, "msg"), signature) is valid, positive=valid)


@pytest.mark.protocol("P6.16")
def test_ed25519(vector_run: Begin) -> None:
    with vector_run("wycheproof/ed25519_test.json") as run:
        for group, case in _cases(run):
            key = PublicKey(SignatureAlgorithm.ED25519, bytes.fromhex(group["publicKey"]["pk"]))
            valid = case["result"] == "valid"
            run.check(case["tcId"], key.verify(_bytes(case, "msg"), _bytes(case, "sig")) is valid, positive=valid)


def _verifies_with_context(key_type: Any, key: bytes, case: Any) -> bool:
    try:
        key_type.from_public_bytes(key).verify(_bytes(case, "sig"), _bytes(case, "msg"), _bytes(case, "ctx"))
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.protocol("P6.17")
@pytest.mark.parametrize(
    ("size", "algorithm", "key_type"),
    [
        (65, SignatureAlgorithm.MLDSA65, mldsa.MLDSA65PublicKey),
        (87, SignatureAlgorithm.MLDSA87, mldsa.MLDSA87PublicKey),
    ],
)
def test_mldsa(vector_run: Begin, size: int, algorithm: SignatureAlgorithm, key_type: Any) -> None:
    """A vector with a context runs through the library's own call: ours is always empty."""
    with vector_run(f"wycheproof/mldsa_{size}_verify_test.json") as run:
        for group, case in _cases(run):
            key, valid = bytes.fromhex(group["publicKey"]), case["result"] == "valid"
            if case.get("ctx"):
                accepted = _verifies_with_context(key_type, key, case)
            else:
                accepted = PublicKey(algorithm, key).verify(_bytes(case, "msg"), _bytes(case, "sig"))
            run.check(case["tcId"], accepted is valid, positive=valid)


@pytest.mark.parametrize(("size", "algorithm"), [(384, hashes.SHA384()), (512, hashes.SHA512())])
def test_hkdf(vector_run: Begin, size: int, algorithm: hashes.HashAlgorithm) -> None:
    """With SHA-512 and no salt through our own derivation; else through the library's call that ours makes."""
    with vector_run(f"wycheproof/hkdf_sha{size}_test.json") as run:
        for _, case in _cases(run):
            info, salt, length = _bytes(case, "info"), _bytes(case, "salt"), case["size"]
            valid = case["result"] == "valid"
            try:
                if size == 512 and not salt:
                    derived = bytes(sframe_derive(Secret("base", _bytes(case, "ikm")), info, length, "okm").expose())
                else:
                    derived = HKDF(algorithm, length, salt, info).derive(_bytes(case, "ikm"))
            except ValueError:
                derived = None
            run.check(case["tcId"], derived == (_bytes(case, "okm") if valid else None), positive=valid)
