"""The header by which a balancer tells whose connection it forwards: PROXY protocol, version 2, the receiver's side.

Pure.  Written from the published text, "The PROXY protocol, versions 1 & 2" (HAProxy, §2.2).  Version 1, which is a
line of text, is not taken.  Not here: from whom a header is believed (`edge.gate`).

The header is read by itself, never a byte more, so that what follows is left in the stream for TLS:
ask for at most `wanted_bytes`, hand what came to `receive`, until none are wanted.
"""

import ipaddress
from typing import Final, NamedTuple

from sottovoce.transport.errors import ProxyHeaderInvalid

MAX_BLOCK_BYTES: Final = 1_024
"""Addresses and TLVs.  A sender stays below 536 with its own (§2.2); a balancer may add what it knows of TLS."""

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD_BYTES: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_BYTES: Final = {0x0: 0, 0x1: 12, 0x2: 36, 0x3: 216}
"""By family: unspecified, IPv4, IPv6, UNIX."""
_MAX_PROTOCOL: Final = 2
_TCP4, _TCP6 = 0x11, 0x21
_CRC32C: Final = 0x03
_TLV_HEAD_BYTES: Final = 3
_CRC_BYTES: Final = 4
_CASTAGNOLI: Final = 0x82F63B78


class Announced(NamedTuple):
    """The client's own address, as the balancer saw it."""

    host: str
    port: int


class ProxyHeader:
    """One header that is being read.  A raised ProxyHeaderInvalid ends it."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._data = b""
        self.wanted_bytes = _HEAD_BYTES
        """How many bytes to read next, at most; 0 when the header is whole."""
        self.source: Announced | None = None
        """Whose connection it is; None while the header is not whole, and where it leaves that to the connection."""
        self.is_local = False
        """The balancer speaks for itself: to see whether we are there."""

    def receive(self, data: bytes) -> None:
        """Take at most `wanted_bytes`; none means that the connection has ended.  Raises ProxyHeaderInvalid."""
        if not data:
            raise ProxyHeaderInvalid("the connection ended before the header did")
        self._data += data
        self.wanted_bytes -= len(data)
        if not _SIGNATURE.startswith(self._data[: len(_SIGNATURE)]):
            raise ProxyHeaderInvalid("no header of PROXY protocol version 2")
        if self.wanted_bytes:
            return
        if len(self._data) == _HEAD_BYTES:
            self.wanted_bytes = _block_bytes_untrusted(self._data)
        if not self.wanted_bytes:
            self.source = _source_untrusted(self._data)
            self.is_local = self._data[12] == _LOCAL


def _block_bytes_untrusted(head: bytes) -> int:
    """Check the fixed part; give how many bytes follow it."""
    command, family, length = head[12], head[13] >> 4, int.from_bytes(head[14:16])
    if command not in {_LOCAL, _PROXY}:
        raise ProxyHeaderInvalid("another version or command than there is")
    if command == _PROXY and (family not in _ADDRESS_BYTES or head[13] & 0xF > _MAX_PROTOCOL):
        raise ProxyHeaderInvalid("an address family or protocol that there is not")
    if length > MAX_BLOCK_BYTES:
        raise ProxyHeaderInvalid(f"more than {MAX_BLOCK_BYTES} bytes of addresses and TLVs")
    if command == _PROXY and length < _ADDRESS_BYTES[family]:
        raise ProxyHeaderInvalid("too short for its addresses")
    return length


def _source_untrusted(header: bytes) -> Announced | None:
    """Give the source address of a whole header; None for the balancer's own, and where it names no TCP address."""
    command, kind = header[12], header[13]
    if command == _LOCAL:
        return None
    addresses_end = _HEAD_BYTES + _ADDRESS_BYTES[kind >> 4]
    _check_tlvs_untrusted(header, addresses_end)
    block = header[_HEAD_BYTES:addresses_end]
    if kind == _TCP4:
        return Announced(str(ipaddress.IPv4Address(block[:4])), int.from_bytes(block[8:10]))
    if kind == _TCP6:
        return Announced(str(ipaddress.IPv6Address(block[:16])), int.from_bytes(block[32:34]))
    return None


def _check_tlvs_untrusted(header: bytes, place: int) -> None:
    """Step over the TLVs, of which only the checksum means anything here."""
    while place < len(header):
        value = place + _TLV_HEAD_BYTES
        end = value + int.from_bytes(header[place + 1 : value])
        if value > len(header) or end > len(header):
            raise ProxyHeaderInvalid("a TLV that is cut short")
        if header[place] == _CRC32C:
            if end - value != _CRC_BYTES:
                raise ProxyHeaderInvalid("a checksum of another length than a checksum's")
            if crc32c(header[:value] + bytes(_CRC_BYTES) + header[end:]) != int.from_bytes(header[value:end]):
                raise ProxyHeaderInvalid("its checksum is wrong")
        place = end


def crc32c(data: bytes) -> int:
    """Give the checksum of RFC 9260, appendix A (Castagnoli's polynomial)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _table_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
    return value


_CRC_TABLE: Final = tuple(map(_table_entry, range(256)))
