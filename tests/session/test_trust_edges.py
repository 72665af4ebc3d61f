"""Edges of certificates and anchor files that a mutation run found open."""

import base64
import json
from typing import Any

import pytest

from sottovoce.primitives import PublicKey, SignatureAlgorithm
from sottovoce.session import AnchorFileInvalid, CertificateRefused, parse_anchor_file
from sottovoce.session.trust.anchors import verify_certificate
from sottovoce.session.trust.authority import overlaps
from sottovoce.session.trust.certificate import decode_certificate_untrusted
from sottovoce.wire import MAX_AUTHORITIES_BYTES, Code, WireError
from tests.session import keys
from tests.session.foreign_bytes import tlvs_of, u
from tests.session.keys import HOST, WALL, anchor_keys, anchor_of, issue, serving_keys

TOLERANCE_SECONDS = 300
ANCHORS = (anchor_of(anchor_keys()),)


def issued(**changes: Any) -> bytes:
    return issue(anchor_keys(), serving_keys(), **changes)


def with_tlv(tag: int, value: bytes) -> bytes:
    found = tlvs_of(keys.certificate()) | {tag: value}
    return b"".join(u(tag, 1) + u(len(value), 2) + value for tag, value in sorted(found.items()))


@pytest.mark.parametrize(
    ("tag", "length"),
    [(1, 15), (1, 17), (2, 7), (2, 9), (3, 7), (3, 9), (7, 31), (7, 33)],
    ids=str,
)
def test_each_field_has_its_own_length(tag: int, length: int) -> None:
    with pytest.raises(WireError) as caught:
        decode_certificate_untrusted(with_tlv(tag, bytes(length)))
    assert caught.value.code is Code.BAD_RECORD


def test_a_pq_key_is_post_quantum() -> None:
    with pytest.raises(WireError) as caught:
        decode_certificate_untrusted(with_tlv(6, u(SignatureAlgorithm.ED25519, 2) + bytes(32)))
    assert caught.value.code is Code.BAD_RECORD


@pytest.mark.parametrize(("length", "is_good"), [(MAX_AUTHORITIES_BYTES, True), (MAX_AUTHORITIES_BYTES + 1, False)])
def test_names_may_fill_their_room(length: int, is_good: bool) -> None:  # noqa: FBT001  as in the table above
    value = u(length - 2, 2) + b"a" * (length - 2)
    if is_good:
        assert decode_certificate_untrusted(with_tlv(4, value)).fields.authorities == ("a" * (length - 2),)
    else:
        with pytest.raises(WireError):
            decode_certificate_untrusted(with_tlv(4, value))


@pytest.mark.parametrize("moment", [-TOLERANCE_SECONDS, 0])
def test_it_is_valid_from_the_first_second_that_a_clock_may_be_wrong_by(moment: int) -> None:
    start = int(WALL)
    certificate = decode_certificate_untrusted(issued(not_before=start, not_after=start + 3600))
    assert verify_certificate(certificate, ANCHORS, HOST, start + moment) == ANCHORS[0]
    with pytest.raises(CertificateRefused):
        verify_certificate(certificate, ANCHORS, HOST, start - TOLERANCE_SECONDS - 1)


@pytest.mark.parametrize(
    "key",
    [
        {"classical": PublicKey(SignatureAlgorithm.ECDSA_P384, b"\x04" + bytes(96))},
        {"pq": PublicKey(SignatureAlgorithm.MLDSA65, bytes(5))},
    ],
    ids=["classical", "pq"],
)
def test_a_key_that_is_none_is_refused_with_the_certificate(key: dict[str, PublicKey]) -> None:
    certificate = decode_certificate_untrusted(issued(**key))
    with pytest.raises(CertificateRefused, match="not a valid key"):
        verify_certificate(certificate, ANCHORS, HOST, WALL)


def anchor_file(**classical: str) -> bytes:
    key = base64.b64encode(ANCHORS[0].classical.key).decode()
    entry = {"alg": "ecdsa_secp384r1_sha384", "key": key} | classical
    return json.dumps({"anchors": [{"authorities": [HOST], "classical": entry}]}).encode()


def test_base64_has_one_spelling() -> None:
    key = base64.b64encode(ANCHORS[0].classical.key).decode()
    assert key.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = f"{key[:-3]}{alphabet[alphabet.index(key[-3]) + 1]}=="
    assert base64.b64decode(other, validate=True) == ANCHORS[0].classical.key
    assert parse_anchor_file(anchor_file())
    with pytest.raises(AnchorFileInvalid, match="base64"):
        parse_anchor_file(anchor_file(key=other))


def test_a_word_of_the_file_is_shown_as_it_is() -> None:
    with pytest.raises(AnchorFileInvalid, match="alg is 'kyber';"):
        parse_anchor_file(anchor_file(alg="kyber"))


def test_a_name_overlaps_itself_even_if_it_stands_for_no_host() -> None:
    assert overlaps("*.", "*.")
