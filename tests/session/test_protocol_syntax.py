"""Protocol §2 and the table of §3: each message that a machine reads, with each kind of fault of syntax in it."""

from collections.abc import Callable

import pytest

from sottovoce.wire import Code
from tests.session.foreign_bytes import message, tlvs_of, u, with_tlv
from tests.session.meeting import FROM_CLIENT, FROM_SERVER, judged

ALL = (*FROM_CLIENT, *FROM_SERVER)
FIRST_FREE_TAG = 0x77
SKIPPABLE_TAG = 0xC9

# Tags by message: exact lengths of the fixed ones, and which may be missing.
FIXED = {
    "ClientHello": {3: 32, 6: 1},
    "second ClientHello": {3: 32, 6: 1},
    "ServerHello": {1: 2, 2: 2, 3: 32},
    "HelloRetry": {1: 2},
    "ServerParams": {1: 16, 2: 2, 3: 4, 4: 1, 6: 1},
    "ServerFinished": {1: 48},
    "ClientParams": {1: 1, 2: 1, 3: 1},
    "ClientCredential": {1: 1},
    "ClientFinished": {1: 48},
    "RekeyInit": {1: 4},
    "RekeyResponse": {1: 4},
    "NewTicket": {1: 4},
}
MANDATORY = {
    "ClientHello": (1, 2, 3, 4, 6),
    "second ClientHello": (1, 2, 3, 4, 6),
    "ServerHello": (1, 2, 3, 4),
    "HelloRetry": (1,),
    "ServerParams": (1, 2, 3, 4, 5, 6, 7),
    "ServerCertificate": (1,),
    "ServerVerify": (1, 2, 3),
    "ServerFinished": (1,),
    "ClientParams": (1, 2, 3),
    "ClientCredential": (1, 2),
    "ClientFinished": (1,),
    "RekeyInit": (1, 2),
    "RekeyResponse": (1, 2),
    "RekeyVerify": (1, 2, 3),
    "NewTicket": (1, 2),
}


def _raw(made: bytes, body: bytes) -> bytes:
    """The message with another body, as it is."""
    return made[:1] + u(len(body), 3) + body


def _tlv(tag: int, value: bytes) -> bytes:
    return u(tag, 1) + u(len(value), 2) + value


def _pairs(table: dict[str, tuple[int, ...]] | dict[str, dict[int, int]]) -> list[tuple[str, int]]:
    return [(name, tag) for name, tags in table.items() for tag in tags]


@pytest.mark.parametrize("name", ALL)
def test_unchanged_messages_are_taken(name: str) -> None:
    assert judged(name, lambda made: made) is None


@pytest.mark.protocol("P2.8", "P10.1")
@pytest.mark.parametrize("name", ALL)
def test_an_unknown_critical_tag_is_fatal(name: str) -> None:
    assert judged(name, lambda made: with_tlv(made, FIRST_FREE_TAG, b"")) == Code.BAD_RECORD


@pytest.mark.protocol("P2.9")
@pytest.mark.parametrize("name", ALL)
def test_an_unknown_uncritical_tag_is_skipped(name: str) -> None:
    assert judged(name, lambda made: with_tlv(made, SKIPPABLE_TAG, b"12345678")) is None


@pytest.mark.protocol("P2.7")
@pytest.mark.parametrize("name", ALL)
def test_tags_that_descend_or_repeat(name: str) -> None:
    after = _tlv(0x80, b"")
    assert judged(name, lambda made: _raw(made, made[4:] + _tlv(0x81, b"") + after)) == Code.BAD_RECORD
    assert judged(name, lambda made: _raw(made, made[4:] + after + after)) == Code.BAD_RECORD


@pytest.mark.protocol("P2.7")
@pytest.mark.parametrize(("name", "tag"), _pairs(MANDATORY))
def test_a_known_tag_twice_even_with_the_same_value(name: str, tag: int) -> None:
    def double(made: bytes) -> bytes:
        found = tlvs_of(made[4:])
        return _raw(made, b"".join(_tlv(t, v) * (2 if t == tag else 1) for t, v in found.items()))

    assert judged(name, double) == Code.BAD_RECORD


@pytest.mark.protocol("P2.10", "P2.12")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rest", [b"\x00", b"\x80\x00", b"\x80\x00\x01"], ids=["a byte", "half a header", "no value"])
def test_bytes_after_the_last_tlv(name: str, rest: bytes) -> None:
    assert judged(name, lambda made: _raw(made, made[4:] + rest)) == Code.BAD_RECORD


@pytest.mark.protocol("P2.6", "P2.10")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("change", [1, -1, 256, 1 << 16], ids=["one more", "one less", "a page more", "a lot more"])
def test_a_message_length_that_is_not_that_of_its_body(name: str, change: int) -> None:
    def lie(made: bytes) -> bytes:
        length = int.from_bytes(made[1:4]) + change
        return made[:1] + u(max(length, 0), 3) + made[4:] + (b"\0" if length < 0 else b"")

    assert judged(name, lie) in {Code.BAD_RECORD, Code.TOO_LARGE}


@pytest.mark.protocol("P2.11", "P2.14")
@pytest.mark.parametrize(("name", "tag"), _pairs(MANDATORY))
def test_a_missing_mandatory_tlv(name: str, tag: int) -> None:
    """Missing is not empty: the value of a credential of kind 0 is there with length 0."""
    assert judged(name, lambda made: with_tlv(made, tag, None)) == Code.BAD_RECORD


@pytest.mark.parametrize("change", [1, -1], ids=["longer", "shorter"])
@pytest.mark.parametrize(
    ("name", "tag"),
    [
        *(pytest.param("ClientHello", tag, marks=pytest.mark.protocol("P2.12", "P3.1")) for tag in (3, 6)),
        *(pytest.param("ServerHello", tag, marks=pytest.mark.protocol("P3.3")) for tag in (1, 2, 3)),
        pytest.param("HelloRetry", 1, marks=pytest.mark.protocol("P3.5")),
        *(pytest.param("ServerParams", tag, marks=pytest.mark.protocol("P3.6")) for tag in (1, 2, 3, 4, 6)),
        pytest.param("ServerFinished", 1, marks=pytest.mark.protocol("P3.17")),
        *(pytest.param("ClientParams", tag, marks=pytest.mark.protocol("P3.18")) for tag in (1, 2, 3)),
        pytest.param("ClientCredential", 1, marks=pytest.mark.protocol("P3.20")),
        pytest.param("ClientFinished", 1, marks=pytest.mark.protocol("P3.23")),
        pytest.param("RekeyInit", 1, marks=pytest.mark.protocol("P3.24")),
        pytest.param("RekeyResponse", 1, marks=pytest.mark.protocol("P3.25")),
        *_pairs({"second ClientHello": FIXED["second ClientHello"], "NewTicket": FIXED["NewTicket"]}),
    ],
)
def test_a_value_of_the_wrong_length(name: str, tag: int, change: int) -> None:
    def stretch(made: bytes) -> bytes:
        value = tlvs_of(made[4:])[tag]
        return with_tlv(made, tag, value + b"\0" if change > 0 else value[:-1])

    assert judged(name, stretch) == Code.BAD_RECORD


@pytest.mark.protocol("P2.12")
@pytest.mark.parametrize(
    ("name", "tag", "value"),
    [
        ("ClientHello", 1, b"\x00\x01\x00"),
        ("ClientHello", 2, b"\x00\x01\x00"),
        ("ClientHello", 4, b"\x11"),
        ("ClientHello", 4, b"\x11\xec\x00"),
        ("ClientHello", 4, b"\x11\xec\x00\x02\x00"),
        ("ServerHello", 4, b"\x11"),
        ("ServerVerify", 1, b"\x00" * 47),
        ("ServerVerify", 1, b"\x00" * 96),
        ("ServerVerify", 2, b""),
        ("ServerVerify", 2, b"\x00\x00"),
        ("ServerVerify", 3, b"\x05"),
        ("ServerVerify", 4, b""),
        ("RekeyInit", 2, b"\x11"),
        ("RekeyResponse", 2, b""),
        ("RekeyVerify", 1, b"\x00"),
        ("RekeyVerify", 3, b"\x05"),
        ("NewTicket", 2, b"\x00" * 1025),
    ],
)
def test_a_list_or_a_tagged_value_that_is_cut_off(name: str, tag: int, value: bytes) -> None:
    assert judged(name, lambda made: with_tlv(made, tag, value)) == Code.BAD_RECORD


@pytest.mark.protocol("P2.13")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("number", [0, 17, 0x7F, 0x80, 0xFE, 0xFF])
def test_an_unknown_message_type(name: str, number: int) -> None:
    assert judged(name, lambda made: u(number, 1) + made[1:]) == Code.BAD_RECORD


def _filled(size: int) -> Callable[[bytes], bytes]:
    """Make a message exactly `size` bytes long with a tag that is skipped."""
    return lambda made: with_tlv(made, SKIPPABLE_TAG, bytes(size - len(made) - 3))


@pytest.mark.protocol("P2.15", "P10.10")
@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("Rekey") and name != "NewTicket"])
def test_the_size_of_a_message(name: str) -> None:
    """A frame's limits come first for messages 12–16, so those are not here."""
    assert judged(name, _filled(16_384)) is None
    assert judged(name, _filled(16_385)) == Code.TOO_LARGE


@pytest.mark.protocol("P2.10")
@pytest.mark.parametrize("name", ["RekeyInit", "RekeyVerify", "RekeyRequest", "NewTicket"])
def test_bytes_after_the_last_message_of_a_frame(name: str) -> None:
    assert judged(name, lambda made: made + b"\x10\x00\x00") == Code.BAD_RECORD


@pytest.mark.protocol("P3.29")
def test_a_rekey_request_holds_nothing_critical() -> None:
    assert judged("RekeyRequest", lambda _: message(16, t1=b"")) == Code.BAD_RECORD
