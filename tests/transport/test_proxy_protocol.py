"""Headers of the PROXY protocol: good ones built by hand from the published text, and everything else."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.transport import Announced, ProxyHeader, ProxyHeaderInvalid
from sottovoce.transport.proxy_protocol import MAX_BLOCK_BYTES, crc32c

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
TCP4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + (50112).to_bytes(2) + (8443).to_bytes(2)
TCP6 = ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("::1").packed + bytes([0, 9, 0, 8])


def header(command: int, kind: int, block: bytes, *, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([command, kind]) + (len(block) if length is None else length).to_bytes(2) + block


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2) + value


def read(data: bytes, step: int = 1_000_000) -> tuple[Announced | None, int]:
    """Read a header in pieces of at most `step` bytes; give its source, and how many bytes were taken."""
    reading, taken = ProxyHeader(), 0
    while reading.wanted_bytes:
        piece = data[taken : taken + min(step, reading.wanted_bytes)]
        reading.receive(piece)
        taken += len(piece)
    return reading.source, taken


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("data", "source"),
    [
        (header(0x21, 0x11, TCP4), Announced("192.0.2.7", 50112)),
        (header(0x21, 0x21, TCP6), Announced("2001:db8::7", 9)),
        (header(0x21, 0x11, TCP4 + tlv(0x05, b"x" * 16) + tlv(0xEE, b"")), Announced("192.0.2.7", 50112)),
        (header(0x21, 0x11, TCP4 + tlv(0x04, bytes(900))), Announced("192.0.2.7", 50112)),
        (header(0x20, 0x00, b""), None),
        (header(0x20, 0x11, TCP4), None),
        (header(0x20, 0x11, b"anything"), None),
        (header(0x20, 0xFF, b"anything"), None),
        (header(0x21, 0x00, b""), None),
        (header(0x21, 0x31, bytes(216)), None),
        (header(0x21, 0x12, TCP4), None),
    ],
)
def test_a_good_header_is_read_to_its_last_byte_and_no_further(
    data: bytes, source: Announced | None, step: int
) -> None:
    assert read(data + b"\x16\x03\x01", step) == (source, len(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ended"),
        (SIGNATURE, "ended"),
        (header(0x21, 0x11, TCP4)[:-1], "ended"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 50112 8443\r\n", "no header"),
        (b"\x16\x03\x01\x02\x00", "no header"),
        (b"\r\n\r\nGET", "no header"),
        (header(0x11, 0x11, TCP4), "version or command"),
        (header(0x22, 0x11, TCP4), "version or command"),
        (header(0x21, 0x41, TCP4), "family"),
        (header(0x21, 0x13, TCP4), "family"),
        (header(0x21, 0x11, TCP4, length=MAX_BLOCK_BYTES + 1), "more than"),
        (header(0x21, 0x11, TCP4[:-1]), "too short"),
        (header(0x21, 0x21, TCP4), "too short"),
        (header(0x21, 0x11, TCP4 + b"\x04"), "cut short"),
        (header(0x21, 0x11, TCP4 + b"\x04\x00\x02x"), "cut short"),
        (header(0x21, 0x11, TCP4 + tlv(0x03, b"abc")), "another length"),
        (header(0x21, 0x11, TCP4 + tlv(0x03, b"abcd")), "checksum is wrong"),
    ],
)
def test_what_is_no_header(data: bytes, reason: str) -> None:
    with pytest.raises(ProxyHeaderInvalid, match=reason):
        read(data)


@pytest.mark.parametrize("first", [b"\x16", b"P", b"\r\n\r\n\x00\r\nQUIT?"])
def test_what_cannot_become_one_is_refused_at_its_first_wrong_byte(first: bytes) -> None:
    with pytest.raises(ProxyHeaderInvalid):
        ProxyHeader().receive(first)


def test_the_checksum() -> None:
    # RFC 3720 B.4: 32 bytes of zeroes, of ones, and counting up; the check value of the catalogue of CRCs.
    assert [crc32c(data) for data in (bytes(32), b"\xff" * 32, bytes(range(32)), b"123456789")] == [
        0x8A9136AA,
        0x62A8AB43,
        0x46DD794E,
        0xE3069283,
    ]
    blank = header(0x21, 0x11, TCP4 + tlv(0x04, b"before") + tlv(0x03, bytes(4)) + tlv(0xEA, b"after"))
    place = blank.index(b"\x03\x00\x04") + 3
    good = blank[:place] + crc32c(blank).to_bytes(4) + blank[place + 4 :]
    assert read(good) == (Announced("192.0.2.7", 50112), len(good))
    for bit in range(8 * len(good)):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            source, _ = read(bytes(changed) + bytes(300))
        except ProxyHeaderInvalid:
            continue
        assert bytes(changed)[12:16] != good[12:16] or changed[place - 3] != good[place - 3], "seen by the checksum"
        assert source is None or isinstance(source, Announced)


@given(st.binary(max_size=80), st.integers(1, 20))
def test_any_bytes_are_a_header_or_refused(data: bytes, step: int) -> None:
    for start in (data, SIGNATURE + data, SIGNATURE + b"\x21" + data, SIGNATURE + b"\x21\x11\x00\x20" + data):
        with contextlib.suppress(ProxyHeaderInvalid):
            read(start, step)


@given(
    st.sampled_from([0x20, 0x21]),
    st.sampled_from([0x00, 0x11, 0x21, 0x31]),
    st.lists(st.tuples(st.integers(4, 255), st.binary(max_size=20)), max_size=5),
    st.integers(1, 30),
)
def test_however_it_is_cut_it_says_the_same(command: int, kind: int, tlvs: list[tuple[int, bytes]], step: int) -> None:
    addresses = {0x00: b"", 0x11: TCP4, 0x21: TCP6, 0x31: bytes(216)}[kind]
    data = header(command, kind, addresses + b"".join(tlv(*each) for each in tlvs))
    source, taken = read(data, step)
    assert taken == len(data)
    assert (source is not None) is (command == 0x21 and kind in {0x11, 0x21})
