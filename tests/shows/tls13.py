"""Takes TLS 1.3 off a recorded connection, with the key log that its client kept: for tests alone.

Written from RFC 8446 §5.2, §5.3, §7.1 and §7.3, and of no use to anyone without the traffic secrets.  It knows the two
cipher suites with 32-byte keys, and no KeyUpdate, which neither end sends.
"""

from collections.abc import Iterator

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
_SERVER_HELLO, _FINISHED = 2, 20
_SUITES = {0x1302: (AESGCM, hashes.SHA384()), 0x1303: (ChaCha20Poly1305, hashes.SHA256())}


def strip_tls(from_client: bytes, from_server: bytes, key_log: list[bytes]) -> tuple[bytes, bytes]:
    """Give what the application said in each direction of one connection.  Raises InvalidTag where a key is wrong."""
    secrets = {label: bytes.fromhex(secret) for label, _, secret in (line.decode().split() for line in key_log)}
    suite = _suite(from_server)
    return (
        _strip(from_client, secrets["CLIENT_HANDSHAKE_TRAFFIC_SECRET"], secrets["CLIENT_TRAFFIC_SECRET_0"], suite),
        _strip(from_server, secrets["SERVER_HANDSHAKE_TRAFFIC_SECRET"], secrets["SERVER_TRAFFIC_SECRET_0"], suite),
    )


class _Keys:
    """The traffic keys of one direction, and the number of the next record."""

    def __init__(self, secret: bytes, suite: int) -> None:
        cipher, self._hash = _SUITES[suite]
        self._cipher = cipher(self._expand(secret, b"key", 32))
        self._iv = int.from_bytes(self._expand(secret, b"iv", 12))
        self._next = 0

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Give a record's true type and its content."""
        nonce = (self._iv ^ self._next).to_bytes(12)
        self._next += 1
        inner = self._cipher.decrypt(nonce, record[5:], record[:5]).rstrip(b"\0")
        return inner[-1], inner[:-1]

    def _expand(self, secret: bytes, label: bytes, length: int) -> bytes:
        full = b"tls13 " + label
        info = length.to_bytes(2) + len(full).to_bytes(1) + full + b"\0"
        return HKDFExpand(self._hash, length, info).derive(secret)


def _strip(stream: bytes, handshake_secret: bytes, application_secret: bytes, suite: int) -> bytes:
    keys, messages, said = _Keys(handshake_secret, suite), b"", b""
    for record in _records(stream):
        if record[0] != APPLICATION_DATA:
            continue  # the hellos, in the clear, and the ChangeCipherSpec that means nothing
        kind, content = keys.open(record)
        if kind == APPLICATION_DATA:
            said += content
        elif kind == HANDSHAKE:
            messages += content
            while len(messages) >= 4 and len(messages) >= (end := 4 + int.from_bytes(messages[1:4])):
                if messages[0] == _FINISHED:
                    keys = _Keys(application_secret, suite)
                messages = messages[end:]
    return said


def _suite(from_server: bytes) -> int:
    """Read the suite that ServerHello names: behind type, length, version, random and the echoed session id."""
    hello = next(record[5:] for record in _records(from_server) if record[0] == HANDSHAKE)
    assert hello[0] == _SERVER_HELLO
    after_session_id = 4 + 2 + 32 + 1 + hello[38]
    return int.from_bytes(hello[after_session_id : after_session_id + 2])


def _records(stream: bytes) -> Iterator[bytes]:
    """Cut a direction into records; what a cut connection leaves of its last one is left out."""
    while len(stream) >= 5 and len(stream) >= (end := 5 + int.from_bytes(stream[3:5])):
        yield stream[:end]
        stream = stream[end:]
