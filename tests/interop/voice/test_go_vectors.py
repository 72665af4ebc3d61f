"""The algorithms that the peer of Go brings itself, run with published vectors before anything is said by them."""

import json
import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.vector_report import VectorRun

pytestmark = pytest.mark.interop(tool="go")

ALGORITHMS = {"ML-DSA-65": 0x0905, "ML-DSA-87": 0x0906}


def answers(peer: str, cases: Iterable[dict[str, Any]]) -> list[str]:
    lines = "\n".join(map(json.dumps, cases))
    return subprocess.run(
        [peer, "vectors"], input=lines, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def run_all(peer: str, run: VectorRun, cases: list[tuple[object, dict[str, Any], str, bool]]) -> None:
    """Take cases as (id, what the peer is given, the right answer, whether that is positive)."""
    for (case, _, right, positive), said in zip(cases, answers(peer, (case[1] for case in cases)), strict=True):
        run.check(case, said == right, positive=positive)


@pytest.mark.parametrize("size", ["65", "87"])
def test_mldsa_verify(peer: str, vector_run: Callable[[str], VectorRun], size: str) -> None:
    with vector_run(f"wycheproof/mldsa_{size}_verify_test.json#go") as run:
        cases: list[tuple[object, dict[str, Any], str, bool]] = []
        for group in run.load()["testGroups"]:
            for test in group["tests"]:
                good = test["result"] == "valid"
                given = {"what": "mldsa verify", "alg": ALGORITHMS[f"ML-DSA-{size}"], "key": group["publicKey"]}
                given |= {"text": test["msg"], "context": test.get("ctx", ""), "signature": test["sig"]}
                cases.append((test["tcId"], given, str(good).lower(), good))
        run_all(peer, run, cases)


def test_mldsa_verify_of_nist(peer: str, vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("acvp/ML-DSA-sigVer-FIPS204.json#go") as run:
        cases: list[tuple[object, dict[str, Any], str, bool]] = []
        for group in run.load()["testGroups"]:
            if group.get("preHash") != "pure":
                run.skip("the peer verifies pure signatures alone", len(group["tests"]))
                continue
            for test in group["tests"]:
                given = {"what": "mldsa verify", "alg": ALGORITHMS[group["parameterSet"]], "key": test["pk"]}
                given |= {"text": test["message"], "context": test["context"], "signature": test["signature"]}
                cases.append((test["tcId"], given, str(test["testPassed"]).lower(), test["testPassed"]))
        run_all(peer, run, cases)


def test_mldsa_keys_of_nist(peer: str, vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("acvp/ML-DSA-keyGen-FIPS204.json#go") as run:
        cases: list[tuple[object, dict[str, Any], str, bool]] = []
        for group in run.load()["testGroups"]:
            for test in group["tests"]:
                given = {"what": "mldsa key", "alg": ALGORITHMS[group["parameterSet"]], "seed": test["seed"]}
                cases.append((test["tcId"], given, test["pk"].lower(), True))
        run_all(peer, run, cases)


@pytest.mark.parametrize("alg", [0x0904, 0x0905, 0x0906])
def test_mldsa_signatures_verify(peer: str, alg: int) -> None:
    """No vectors for these here, and signing is hedged: the verification above judges them, several rounds each."""
    seeds = [bytes([number] * 32).hex() for number in range(4)]
    keys = answers(peer, ({"what": "mldsa key", "alg": alg, "seed": seed} for seed in seeds))
    signed = answers(peer, ({"what": "mldsa sign", "alg": alg, "seed": seed, "text": "00"} for seed in seeds))
    made = [
        {"what": "mldsa verify", "alg": alg, "key": key, "text": "00", "signature": signature}
        for key, signature in zip(keys, signed, strict=True)
    ]
    assert answers(peer, made) == ["true"] * len(seeds)
    assert answers(peer, ({**one, "text": "01"} for one in made)) == ["false"] * len(seeds)


def test_ed25519(peer: str, vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("wycheproof/ed25519_test.json#go") as run:
        cases: list[tuple[object, dict[str, Any], str, bool]] = []
        for group in run.load()["testGroups"]:
            for test in group["tests"]:
                good = test["result"] == "valid"
                given = {"what": "verify", "alg": 0x0807, "key": group["publicKey"]["pk"]}
                given |= {"text": test["msg"], "signature": test["sig"]}
                cases.append((test["tcId"], given, str(good).lower(), good))
        run_all(peer, run, cases)


def test_chacha20_poly1305(peer: str, vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("wycheproof/chacha20_poly1305_test.json#go") as run:
        cases: list[tuple[object, dict[str, Any], str, bool]] = []
        for group in run.load()["testGroups"]:
            if group["ivSize"] != 96:
                run.skip("a nonce of another size than the protocol's", len(group["tests"]))
                continue
            for test in group["tests"]:
                good = test["result"] == "valid"
                given = {"what": "chacha20poly1305 open", "key": test["key"], "nonce": test["iv"], "text": test["msg"]}
                given |= {"additional": test["aad"], "sealed": test["ct"] + test["tag"]}
                cases.append((test["tcId"], given, str(good).lower(), good))
        run_all(peer, run, cases)
