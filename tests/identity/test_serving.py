"""The list of the nodes' serving keys."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.identity import (
    ServingKeys,
    ServingKeysUnusable,
    format_serving_keys,
    load_serving_keys,
    parse_serving_keys,
)
from sottovoce.primitives import MldsaSigner, PublicKey, Secret, SignatureAlgorithm


def serving_keys(number: int) -> ServingKeys:
    point = ec.derive_private_key(number + 1, ec.SECP384R1()).public_key()
    with Secret("seed", number.to_bytes(32)) as seed:
        pq = MldsaSigner(SignatureAlgorithm.MLDSA65, seed).public_key
    encoded = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return ServingKeys(PublicKey(SignatureAlgorithm.ECDSA_P384, encoded), pq)


A, B = serving_keys(1), serving_keys(2)
TWO = {"a": A, "b": B}


def changed(**nodes: dict[str, str]) -> bytes:
    return json.dumps({"format": "sottovoce.serving-keys.1", "nodes": nodes}).encode()


def entry(keys: ServingKeys, **changes: str) -> dict[str, str]:
    plain = {"classical": keys.classical.key, "pq": keys.pq.key}
    return {name: base64.b64encode(key).decode() for name, key in plain.items()} | changes


def test_what_is_written_is_read_in_its_order() -> None:
    data = format_serving_keys({"b": B, "a": A})
    assert data.endswith(b"}\n")
    assert list(parse_serving_keys(data).items()) == [("b", B), ("a", A)]
    assert parse_serving_keys(changed(a=entry(A), b=entry(B))) == TWO
    assert parse_serving_keys(format_serving_keys({})) == {}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no list of serving keys"),
        (b"\xff", "is no list of serving keys"),
        (b"[" * 100_000, "is no list of serving keys"),
        (changed(a={"classical": "AA=="}), "is no list of serving keys"),
        (changed(a=entry(A, third="AA==")), "is no list of serving keys"),
        (changed(**{"A b": entry(A)}), "is no list of serving keys"),
        (changed(a=entry(A, pq="!")), "is no list of serving keys"),
        (format_serving_keys(TWO).replace(b"keys.1", b"keys.2"), "of a format that this version does not know"),
        (changed(a=entry(A, classical="BAAA")), "no valid ecdsa_p384 key of node a"),
        (changed(a=entry(A), b=entry(B, pq="AAAA")), "no valid mldsa65 key of node b"),
        (changed(a=entry(A), b=entry(A)), "a key of node b twice"),
        (changed(a=entry(A), b=entry(B, pq=entry(A)["pq"])), "a key of node b twice"),
    ],
)
def test_anything_else_is_refused_in_one_line_that_names_the_file(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "serving.json"
    path.write_bytes(data)
    with pytest.raises(ServingKeysUnusable, match=rf"serving\.json .*{reason}.*: restore it from its backup") as caught:
        load_serving_keys(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_none_and_an_unreadable_one_an_error(tmp_path: Path) -> None:
    assert load_serving_keys(tmp_path / "serving.json") is None
    with pytest.raises(ServingKeysUnusable, match=r"cannot be read \(Is a directory\): restore it"):
        load_serving_keys(tmp_path)


@given(st.integers(0), st.integers(0, 255), st.binary(max_size=40))
def test_damage_anywhere_gives_a_list_or_the_one_error(place: int, byte: int, noise: bytes) -> None:
    data = bytearray(format_serving_keys(TWO))
    data[place % len(data)] = byte
    for each in (bytes(data), bytes(data[: place % len(data)]), noise):
        try:
            nodes = parse_serving_keys(each)
        except ServingKeysUnusable:
            continue
        assert all(keys.classical.is_valid() and keys.pq.is_valid() for keys in nodes.values())
