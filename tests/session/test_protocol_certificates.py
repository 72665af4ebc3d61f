"""Protocol §6: the voice certificate, as a client judges it in a handshake."""

from typing import Any

import msgspec
import pytest

from sottovoce.primitives import PublicKey, SignatureAlgorithm
from sottovoce.wire import Code
from tests.session import dialogue, keys
from tests.session.dialogue import flipped
from tests.session.foreign_bytes import tlvs_of, u
from tests.session.keys import (
    DAY,
    HOST,
    WALL,
    Ed25519Signer,
    Keys,
    anchor_keys,
    anchor_of,
    classical_anchor_keys,
    issue,
    mldsa,
    other_anchor_keys,
    other_serving_keys,
    serving_keys,
)
from tests.session.meeting import AtClient, code_of

NOW = int(WALL)
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    b"\x01" + bytes(30) + b"\x80",
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\x7f",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


def judged(encoded: bytes, keys: Keys | None = None, **config: Any) -> int | None:
    """What our client ends with for this certificate, with everything else right; None when it goes on."""
    meeting = AtClient(established=False, server={"encoded": encoded, "keys": keys or serving_keys()}, **config)
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    if code_of(meeting) is not None:
        assert meeting.ours.to_send() == []
    return code_of(meeting)


def tlvs(found: dict[int, bytes]) -> bytes:
    return b"".join(u(tag, 1) + u(len(value), 2) + value for tag, value in sorted(found.items()))


def changed(tag: int, value: bytes | None) -> bytes:
    """A good certificate with one TLV changed after it was signed."""
    found = tlvs_of(keys.certificate())
    if value is None:
        found.pop(tag)
    else:
        found[tag] = value
    return tlvs(found)


@pytest.mark.protocol("P3.11", "P6.2")
def test_a_good_certificate() -> None:
    assert judged(keys.certificate()) is None


@pytest.mark.protocol("P6.2")
@pytest.mark.parametrize("tag", [0, 10, 0x80, 0xFF])
def test_it_has_no_other_tlvs_not_even_such_as_are_skipped_elsewhere(tag: int) -> None:
    assert judged(changed(tag, b"x")) == Code.BAD_RECORD


@pytest.mark.protocol("P6.2", "P3.11")
@pytest.mark.parametrize("tag", [1, 2, 3, 4, 5, 7, 8])
def test_a_tlv_is_missing(tag: int) -> None:
    assert judged(changed(tag, None)) == Code.BAD_RECORD


@pytest.mark.protocol("P6.2", "P3.11")
@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (1, bytes(15)),
        (1, bytes(17)),
        (2, bytes(7)),
        (3, bytes(9)),
        (7, bytes(31)),
        (5, b"\x05"),
        (5, u(0x7A7A, 2) + bytes(97)),
        (5, u(0x0905, 2) + bytes(1952)),
        (6, u(0x0503, 2) + bytes(97)),
        (8, b"\x05"),
        (9, b""),
        (4, b"\x00"),
        (4, b"\x00\x05abcd"),
        (4, b"\x00\x02\xff\xfe"),
    ],
)
def test_a_tlv_is_malformed(tag: int, value: bytes) -> None:
    assert judged(changed(tag, value)) == Code.BAD_RECORD


@pytest.mark.protocol("P11.4", "P3.11")
def test_it_is_cut_off_anywhere() -> None:
    whole = keys.certificate()
    for length in [*range(0, 300, 7), *range(300, len(whole), 211)]:
        assert judged(whole[:length]) in {Code.BAD_RECORD, Code.AUTH_FAILED}


@pytest.mark.protocol("P6.3")
def test_its_authorities_are_1024_bytes_together_at_most() -> None:
    names = (HOST, *(f"{number:04}" * 15 + ".example.com" for number in range(13)))
    full = sum(2 + len(name) for name in names)
    rest = 1024 - full - 2
    assert rest > 0
    assert judged(issue(anchor_keys(), serving_keys(), authorities=(*names, "x" * rest))) is None
    assert judged(issue(anchor_keys(), serving_keys(), authorities=(*names, "x" * (rest + 1)))) == Code.BAD_RECORD


@pytest.mark.protocol("P6.4", "P10.2")
def test_it_has_no_pq_key_although_its_anchor_has_one() -> None:
    plain = Keys(serving_keys().classical, None)
    assert judged(issue(anchor_keys(), plain), plain) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.4", "P6.6")
def test_an_anchor_without_pq_key() -> None:
    """A PQ serving key beside it is allowed; a PQ signature of an anchor that has no such key is not."""
    anchors = (anchor_of(classical_anchor_keys()),)
    plain = Keys(serving_keys().classical, None)
    assert judged(issue(classical_anchor_keys(), plain), plain, anchors=anchors) is None
    mixed = issue(classical_anchor_keys(), serving_keys())
    assert judged(mixed, anchors=anchors) is None
    found = tlvs_of(mixed)
    assert judged(tlvs(found | {9: u(0x0906, 2) + bytes(4627)}), anchors=anchors) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.6", "P6.9", "P11.24")
def test_its_pq_signature_is_missing() -> None:
    assert judged(changed(9, None)) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.5", "P6.8", "P10.2")
def test_an_anchor_that_the_client_does_not_know() -> None:
    assert judged(issue(other_anchor_keys(), serving_keys())) == Code.AUTH_FAILED
    assert judged(issue(classical_anchor_keys(), serving_keys())) == Code.AUTH_FAILED
    posing = issue(other_anchor_keys(), serving_keys(), anchor_id=anchor_of(anchor_keys()).anchor_id)
    assert judged(posing) == Code.AUTH_FAILED
    assert judged(issue(other_anchor_keys(), serving_keys()), anchors=(
        anchor_of(anchor_keys()), anchor_of(other_anchor_keys())
    )) is None  # fmt: skip


@pytest.mark.protocol("P6.7", "P6.9", "P11.5")
def test_any_bit_of_what_is_signed_turned() -> None:
    """Sampled over the whole; the authority's own bytes and both keys among them."""
    whole = keys.certificate()
    signed = len(whole) - (3 + 2 + 96) - (3 + 2 + 4627)
    for index in [*range(3, 90), *range(90, signed, 97)]:
        assert judged(flipped(whole, index)) in {Code.AUTH_FAILED, Code.BAD_RECORD}


@pytest.mark.protocol("P6.9", "P11.24")
@pytest.mark.parametrize("tag", [8, 9])
def test_one_of_its_two_signatures_is_wrong(tag: int) -> None:
    good = tlvs_of(keys.certificate())[tag]
    for index in (2, len(good) // 2, len(good) - 1):
        assert judged(changed(tag, flipped(good, index))) == Code.AUTH_FAILED
    assert judged(changed(tag, good[:-1])) == Code.AUTH_FAILED
    assert judged(changed(tag, good + b"\0")) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.7")
@pytest.mark.parametrize(
    "label", [b"", b"sottovoce.v1 voice certificate", b"sottovoce.v1 server verify\0", b"sottovoce.v1 rekey verify\0"]
)
def test_signed_with_another_label(label: bytes) -> None:
    anchor = anchor_keys()
    assert anchor.pq
    found = tlvs_of(keys.certificate())
    signed = label + tlvs({tag: value for tag, value in found.items() if tag <= 7})
    found[8] = u(0x0503, 2) + anchor.classical.sign(signed)
    found[9] = u(0x0906, 2) + anchor.pq.sign(signed)
    assert judged(tlvs(found)) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.10", "P10.2", "P11.23")
@pytest.mark.parametrize(
    ("not_before", "not_after", "good"),
    [
        (NOW + 300, NOW + DAY, True),
        (NOW + 301, NOW + DAY, False),
        (NOW - DAY, NOW - 300, True),
        (NOW - DAY, NOW - 301, False),
        (NOW, NOW, True),
        (NOW + 10, NOW + 5, False),
        (0, NOW - 2 * DAY, False),
        (NOW + DAY, NOW + 2 * DAY, False),
    ],
)
def test_its_dates_give_or_take_five_minutes(not_before: int, not_after: int, *, good: bool) -> None:
    encoded = issue(anchor_keys(), serving_keys(), not_before=not_before, not_after=not_after)
    assert judged(encoded) == (None if good else Code.AUTH_FAILED)


@pytest.mark.protocol("P6.11", "P11.23")
@pytest.mark.parametrize(("lifetime", "good"), [(90 * DAY, True), (90 * DAY + 1, False), (2**63, False)])
def test_it_lives_for_90_days_at_most(lifetime: int, *, good: bool) -> None:
    encoded = issue(anchor_keys(), serving_keys(), not_before=NOW - 5, not_after=NOW - 5 + lifetime)
    assert judged(encoded) == (None if good else Code.AUTH_FAILED)


def _delegated() -> Keys:
    return Keys(Ed25519Signer(b"\x25" * 32), serving_keys().pq)


@pytest.mark.protocol("P6.12", "P6.16", "P6.22", "P11.23")
@pytest.mark.parametrize(("lifetime", "good"), [(DAY, True), (DAY + 1, False)])
def test_a_delegated_ed25519_key_lives_for_a_day_at_most(lifetime: int, *, good: bool) -> None:
    encoded = issue(anchor_keys(), _delegated(), not_before=NOW - 5, not_after=NOW - 5 + lifetime)
    assert judged(encoded, _delegated()) == (None if good else Code.AUTH_FAILED)


HOSTS = [
    (b"voice.example.com", ("voice.example.com",), True),
    (b"voice.example.com:8443", ("voice.example.com",), True),
    (b"VOICE.Example.com", ("voice.EXAMPLE.com",), True),
    (b"voice.example.com", ("voice.example.com:8443",), False),
    (b"voice.example.com", ("example.com", "other.example.com"), False),
    (b"voice.example.com", ("other.example.com", "voice.example.com"), True),
    (b"voice.example.com", ("*.example.com",), True),
    (b"a.voice.example.com", ("*.example.com",), False),
    (b"example.com", ("*.example.com",), False),
    (b".example.com", ("*.example.com",), False),
    (b"voice.example.com", ("*.com",), False),
    (b"voice.example.com", ("*",), False),
    (b"voice.example.com", ("v*.example.com",), False),
    (b"voice.example.com", ("voice.*.com",), False),
    (b"voice.example.com", ("*.*.com",), False),
    (b"192.0.2.7", ("192.0.2.7",), True),
    (b"192.0.2.7:443", ("192.0.2.7",), True),
    (b"192.0.2.7", ("*.0.2.7",), False),
    (b"192.0.2.7", ("192.0.2.8",), False),
    (b"[2001:db8::7]", ("2001:db8::7",), True),
    (b"[2001:db8::7]:8443", ("2001:db8::7",), True),
    (b"[2001:DB8:0::7]:8443", ("2001:db8::7",), True),
    (b"[2001:db8::7]:8443", ("[2001:db8::7]",), False),
    (b"[2001:db8::8]", ("2001:db8::7",), False),
    (b"xn--bcher-kva.example", ("xn--bcher-kva.example",), True),
    (b"xn--bcher-kva.example", ("bücher.example",), False),
]


@pytest.mark.protocol("P6.13", "P6.14", "P11.23")
@pytest.mark.parametrize(("authority", "names", "good"), HOSTS)
@pytest.mark.parametrize("where", ["certificate", "anchor file"])
def test_the_host_matches_the_certificate_and_the_anchor(
    authority: bytes, names: tuple[str, ...], where: str, *, good: bool
) -> None:
    """Each in turn is the narrow one; the other names the host exactly."""
    host = (
        authority.decode().rsplit(":", 1)[0] if authority[-1:].isdigit() and b":" in authority else authority.decode()
    )
    exact = (host.strip("[]").lower(),)
    certificate, anchor = (names, exact) if where == "certificate" else (exact, names)
    carriage = msgspec.structs.replace(dialogue.CARRIAGE, authority=authority)
    encoded = issue(anchor_keys(), serving_keys(), authorities=certificate)
    meeting = AtClient(
        established=False,
        server={"encoded": encoded, "carriage": carriage},
        carriage=carriage,
        anchors=(anchor_of(anchor_keys(), anchor),),
    )
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == (None if good else Code.AUTH_FAILED)


# Keys and algorithms


@pytest.mark.protocol("P6.17")
@pytest.mark.parametrize(
    "algorithm", [SignatureAlgorithm.MLDSA44, SignatureAlgorithm.MLDSA65, SignatureAlgorithm.MLDSA87]
)
def test_each_ml_dsa_serves(algorithm: SignatureAlgorithm) -> None:
    keys = Keys(serving_keys().classical, mldsa(algorithm, 0x77))
    assert judged(issue(anchor_keys(), keys), keys) is None


@pytest.mark.protocol("P6.18")
@pytest.mark.parametrize("tag", [8, 9])
@pytest.mark.parametrize("number", [0x0503, 0x0807, 0x0904, 0x0905, 0x7A7A])
def test_a_signature_whose_algorithm_is_not_its_keys(tag: int, number: int) -> None:
    if (tag, number) != (8, 0x0503):
        assert judged(changed(tag, u(number, 2) + tlvs_of(keys.certificate())[tag][2:])) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.15")
@pytest.mark.parametrize("r", [0, N, N + 1, 2**384 - 1])
def test_p384_signatures_whose_numbers_are_out_of_range(r: int) -> None:
    good = tlvs_of(keys.certificate())[8][2:]
    for signature in (u(r, 48) + good[48:], good[:48] + u(r, 48)):
        assert judged(changed(8, u(0x0503, 2) + signature)) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.15", "P11.22")
@pytest.mark.parametrize("key", [b"\x04" + b"\x01" * 96, b"\x02" + b"\x01" * 48, bytes(97), b"\x04" + bytes(95)])
def test_a_p384_serving_key_that_is_none(key: bytes) -> None:
    odd = Keys(_Posing(PublicKey(SignatureAlgorithm.ECDSA_P384, key)), serving_keys().pq)
    assert judged(issue(anchor_keys(), odd), odd) in {Code.AUTH_FAILED, Code.BAD_RECORD}


class _Posing:
    """A signer whose public key is whatever the test says."""

    algorithm = SignatureAlgorithm.ECDSA_P384

    def __init__(self, key: PublicKey) -> None:
        self.public_key = key

    def sign(self, message: bytes) -> bytes:
        return other_serving_keys().classical.sign(message)


class _Nothing(_Posing):
    """Signs the way a key of small order can be made to fit: R = A, S = 0."""

    def sign(self, message: bytes) -> bytes:
        del message
        return self.public_key.key + bytes(32)


@pytest.mark.protocol("P6.20")
@pytest.mark.parametrize("key", SMALL_ORDER)
def test_an_ed25519_serving_key_of_small_order(key: bytes) -> None:
    odd = Keys(_Nothing(PublicKey(SignatureAlgorithm.ED25519, key)), serving_keys().pq)
    encoded = issue(anchor_keys(), odd, not_before=NOW - 5, not_after=NOW + 100)
    assert judged(encoded, odd) == Code.AUTH_FAILED
