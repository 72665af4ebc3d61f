"""Protocol §6: the anchor file."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from sottovoce.session import AnchorFileInvalid, format_anchor_file, parse_anchor_file
from tests.session.keys import anchor_keys, anchor_of, classical_anchor_keys, other_anchor_keys, serving_keys

ANCHOR = anchor_of(anchor_keys())


def entry(**changes: Any) -> dict[str, Any]:
    """A good entry; a value of None takes a member out."""
    whole = {
        "authorities": ["voice.example.com"],
        "classical": {"alg": "ecdsa_secp384r1_sha384", "key": base64.b64encode(ANCHOR.classical.key).decode()},
        "pq": {"alg": "mldsa87", "key": base64.b64encode(ANCHOR.pq.key if ANCHOR.pq else b"").decode()},
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def parsed(*entries: dict[str, Any], **more: Any) -> Any:
    return parse_anchor_file(json.dumps({"anchors": list(entries)} | more).encode())


def refused(*entries: dict[str, Any]) -> str:
    with pytest.raises(AnchorFileInvalid) as caught:
        parsed(*entries)
    return str(caught.value)


def _other(**changes: Any) -> dict[str, Any]:
    """An entry with other keys."""
    text = json.loads(format_anchor_file([anchor_of(other_anchor_keys())]))["anchors"][0] | changes
    return {name: value for name, value in text.items() if value is not None}


@pytest.mark.protocol("P6.1", "P6.26")
def test_the_form_of_the_text() -> None:
    (anchor,) = parsed(entry())
    assert anchor == anchor_of(anchor_keys())
    (plain,) = parsed(entry(pq=None))
    assert plain == anchor_of(classical_anchor_keys())
    assert plain.pq is None


@pytest.mark.protocol("P6.26")
def test_what_we_write_we_read_and_others_can() -> None:
    anchors = (anchor_of(anchor_keys(), ("a.example", "*.b.example")), anchor_of(other_anchor_keys(), ("c.example",)))
    text = format_anchor_file(anchors)
    assert parse_anchor_file(text) == anchors
    assert json.loads(text)["anchors"][0] == entry(authorities=["a.example", "*.b.example"])
    assert "pq" not in json.loads(format_anchor_file([anchor_of(classical_anchor_keys())]))["anchors"][0]


@pytest.mark.protocol("P6.27")
@pytest.mark.parametrize("name", ["mldsa44", "ed25519", "ML-DSA-87", "ecdsa_secp256r1_sha256", "", "mldsa87 "])
def test_other_names_of_algorithms(name: str) -> None:
    for member in ("classical", "pq"):
        assert name in refused(entry(**{member: entry()[member] | {"alg": name}}))


@pytest.mark.protocol("P6.27", "P6.1")
def test_an_algorithm_in_the_wrong_place() -> None:
    refused(entry(classical=entry()["pq"]))
    refused(entry(pq=entry()["classical"]))


@pytest.mark.protocol("P6.27")
def test_ml_dsa_65_may_anchor() -> None:
    pq = anchor_of(serving_keys()).pq
    assert pq
    (anchor,) = parsed(entry(pq={"alg": "mldsa65", "key": base64.b64encode(pq.key).decode()}))
    assert anchor.pq == pq


@pytest.mark.protocol("P6.28")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key.rstrip("="),
        lambda key: key.replace("+", "-").replace("/", "_"),
        lambda key: key[:10] + "\n" + key[10:],
        lambda key: " " + key,
        lambda key: key[:-4],
        lambda _: "",
        lambda _: "!!!!",
    ],
    ids=["no padding", "url alphabet", "a line break", "a blank", "cut off", "empty", "no base64"],
)
def test_base64_that_is_not_standard_with_padding(spoil: Any) -> None:
    key = entry()["pq"]["key"]
    assert "+" in key
    assert "=" not in key or spoil(key) != key
    standard = entry()["classical"]["key"]
    for member, text in (("pq", key), ("classical", standard)):
        if spoil(text) != text:
            refused(entry(**{member: entry()[member] | {"key": spoil(text)}}))


@pytest.mark.protocol("P6.28", "P11.22")
def test_keys_that_are_none() -> None:
    off_curve = base64.b64encode(b"\x04" + b"\x01" * 96).decode()
    refused(entry(classical={"alg": "ecdsa_secp384r1_sha384", "key": off_curve}))
    refused(entry(pq={"alg": "mldsa65", "key": entry()["pq"]["key"]}))


@pytest.mark.protocol("P6.29")
def test_unknown_members_are_ignored() -> None:
    (anchor,) = parsed(entry(comment="hello", classical=entry()["classical"] | {"x": 1}), version=3)
    assert anchor == anchor_of(anchor_keys())


@pytest.mark.protocol("P6.30")
def test_duplicate_anchors() -> None:
    refused(entry(), entry())
    refused(entry(), entry(authorities=["elsewhere.example"]))


@pytest.mark.protocol("P6.26")
def test_anchors_may_overlap_while_one_is_replaced() -> None:
    assert len(parsed(entry(), _other())) == 2


@pytest.mark.protocol("P6.31", "P11.19")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["voice.example.com"], ["voice.example.com"]),
        (["voice.example.com"], ["VOICE.example.com"]),
        (["voice.example.com"], ["*.example.com"]),
        (["*.example.com"], ["voice.example.com"]),
        (["*.example.com"], ["*.example.com"]),
        (["a.example", "voice.example.com"], ["b.example", "voice.example.com"]),
        (["2001:db8::7"], ["2001:0db8:0:0:0:0:0:7"]),
    ],
)
def test_a_name_with_an_anchor_with_a_pq_key_and_one_without(one: list[str], other: list[str]) -> None:
    assert "PQ" in refused(entry(authorities=one), _other(authorities=other, pq=None))
    refused(_other(authorities=other, pq=None), entry(authorities=one))


@pytest.mark.protocol("P6.31")
def test_different_names_may_differ_in_that() -> None:
    assert len(parsed(entry(authorities=["a.example"]), _other(authorities=["b.example", "*.a.example"], pq=None))) == 2
    assert len(parsed(entry(authorities=["*.example"]), _other(authorities=["a.b.example"], pq=None))) == 2


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"anchors": []}', b'{"anchors": {}}', b"\xff", b'{"anchors": [{}]}', b"null"]
)
def test_what_is_no_anchor_file_at_all(text: bytes) -> None:
    with pytest.raises(AnchorFileInvalid):
        parse_anchor_file(text)


@pytest.mark.protocol("P6.28")
@pytest.mark.parametrize("change", [lambda key: key + "=", lambda key: key + "====", lambda key: key[:-3] + "B=="])
def test_base64_with_more_than_standard_padding_or_bits_that_mean_nothing(change: Callable[[str], str]) -> None:
    """P-384's 97 bytes end in two signs of padding, the sign before them has four bits that are zero."""
    classical = entry()["classical"]
    assert classical["key"].endswith("==")
    refused(entry(classical=classical | {"key": change(classical["key"])}))


@pytest.mark.protocol("P6.1", "P6.27")
def test_each_key_in_its_place() -> None:
    good = entry()
    assert "classical must be" in refused(entry(classical=good["pq"]))
    assert "classical must be" in refused(entry(pq=good["classical"]))
    assert "authorities is empty" in refused(entry(authorities=[]))
