"""NIST's ACVP vectors for ML-KEM and ML-DSA (FIPS 203, FIPS 204), through our primitives where they take the input.

What the library cannot run is counted with its reason: it takes no randomness for an encapsulation, and no private
key but its seed.
"""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem, x25519

from sottovoce.primitives import Group, IllegalShare, MldsaSigner, PublicKey, Secret, SignatureAlgorithm, SystemKem
from tests.vector_report import VectorRun

Begin = Callable[[str], VectorRun]

_KEM_KEYS = {"ML-KEM-768": mlkem.MLKEM768PrivateKey, "ML-KEM-1024": mlkem.MLKEM1024PrivateKey}
_SIGNATURES = {"ML-DSA-65": SignatureAlgorithm.MLDSA65, "ML-DSA-87": SignatureAlgorithm.MLDSA87}
_VERIFIERS = {"ML-DSA-65": mldsa.MLDSA65PublicKey, "ML-DSA-87": mldsa.MLDSA87PublicKey}
_P384_BASE_POINT = bytes.fromhex(
    "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"
)
"""SEC 2 §2.5.1: any valid point will do as the classical half of a share."""


def _cases(run: VectorRun, **wanted: object) -> list[tuple[str, Any]]:
    """(parameter set, test) for the groups that have these members."""
    groups = [g for g in run.load()["testGroups"] if all(g.get(name) == value for name, value in wanted.items())]
    return [(group["parameterSet"], test) for group in groups for test in group["tests"]]


def _bytes(case: Any, name: str) -> bytes:
    return bytes.fromhex(case[name])


def test_mlkem_keys_from_seeds(vector_run: Begin) -> None:
    with vector_run("acvp/ML-KEM-keyGen-FIPS203.json") as run:
        for name, case in _cases(run):
            key = _KEM_KEYS[name].from_seed_bytes(_bytes(case, "d") + _bytes(case, "z"))
            run.check(case["tcId"], key.public_key().public_bytes_raw() == _bytes(case, "ek"), positive=True)


def _accepts_key(parameter_set: str, key: bytes) -> bool:
    """Whether our own Kem answers a share that holds this ML-KEM key."""
    if parameter_set == "ML-KEM-768":
        group, share = Group.X25519MLKEM768, key + x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    else:
        group, share = Group.SECP384R1MLKEM1024, _P384_BASE_POINT + key
    try:
        SystemKem().encapsulate(group, share)
    except IllegalShare:
        return False
    return True


@pytest.mark.protocol("P3.65", "P11.20")
def test_mlkem_encapsulation_keys_are_checked(vector_run: Begin) -> None:
    with vector_run("acvp/ML-KEM-encapDecap-FIPS203.json#encapsulationKeyCheck") as run:
        for name, case in _cases(run, function="encapsulationKeyCheck"):
            expected = case["testPassed"]
            run.check(case["tcId"], _accepts_key(name, _bytes(case, "ek")) is expected, positive=expected)


def test_mlkem_encapsulation_and_decapsulation(vector_run: Begin) -> None:
    """A known encapsulation key is at least accepted; the rest needs inputs that the library does not take."""
    with vector_run("acvp/ML-KEM-encapDecap-FIPS203.json") as run:
        for name, case in _cases(run, function="encapsulation"):
            run.check(case["tcId"], _accepts_key(name, _bytes(case, "ek")), positive=True)
        run.skip(
            "encapsulation: its result: the library takes no randomness m", len(_cases(run, function="encapsulation"))
        )
        for function in ("decapsulation", "decapsulationKeyCheck"):
            reason = f"{function}: the library takes a private key as its seed only (Wycheproof's have seeds)"
            run.skip(reason, len(_cases(run, function=function)))


def test_mldsa_keys_from_seeds(vector_run: Begin) -> None:
    with vector_run("acvp/ML-DSA-keyGen-FIPS204.json") as run:
        for name, case in _cases(run):
            with Secret("seed", _bytes(case, "seed")) as seed:
                key = MldsaSigner(_SIGNATURES[name], seed).public_key
            run.check(case["tcId"], key == PublicKey(_SIGNATURES[name], _bytes(case, "pk")), positive=True)


def _verifies(name: str, case: Any) -> bool:
    key = _VERIFIERS[name].from_public_bytes(_bytes(case, "pk"))
    try:
        if "mu" in case:
            key.verify_mu(_bytes(case, "signature"), _bytes(case, "mu"))
        else:
            key.verify(_bytes(case, "signature"), _bytes(case, "message"), _bytes(case, "context"))
    except InvalidSignature:
        return False
    return True


def test_mldsa_signatures_with_a_context(vector_run: Begin) -> None:
    """The library's own call: every vector has a context, and ours is always empty."""
    with vector_run("acvp/ML-DSA-sigVer-FIPS204.json") as run:
        for name, case in [*_cases(run, signatureInterface="external"), *_cases(run, externalMu=True)]:
            run.check(case["tcId"], _verifies(name, case) is case["testPassed"], positive=case["testPassed"])


def test_mldsa_signatures_with_a_context_are_none_for_our_verify(vector_run: Begin) -> None:
    with vector_run("acvp/ML-DSA-sigVer-FIPS204.json#empty context") as run:
        for name, case in _cases(run, signatureInterface="external"):
            key = PublicKey(_SIGNATURES[name], _bytes(case, "pk"))
            accepted = key.verify(_bytes(case, "message"), _bytes(case, "signature"))
            expected = case["testPassed"] and not case["context"]
            run.check(case["tcId"], accepted is expected, positive=expected)
