"""From OpenSSL's connection to `RecordCore`, when the handshake is over: the secrets, and how many records they served.

The secrets come the one way that OpenSSL gives them, its key log, which is called within the handshake; they are kept
with the connection, and die with it if the handshake does.  The line that they came in is overwritten.

Nothing is assumed of where OpenSSL stands, all of it is counted or seen:

- received: the handshake is fed record by record, so OpenSSL was given none behind the one that completed it.  That it
  has taken all of them and keeps none is asked of its buffers;
- sent: what OpenSSL wrote in its last step (a server: the session tickets; a client: the end of its handshake) is
  opened under the secret of the data.  What opens, in order from the first number, was sent under it; what does not
  belongs to the handshake.  A server has only the first kind there, a client only the second.

Where one of these is not as it must be there is no hand-over: the connection goes on with OpenSSL.
"""

import re
from binascii import unhexlify
from contextlib import suppress
from typing import Final

from OpenSSL import SSL

from sottovoce.primitives import Secret, TagError, wipe_bytes
from sottovoce.transport.openssl.binding import RecordPipe
from sottovoce.transport.records import SUITES, TlsSuite, Traffic
from sottovoce.transport.records.keys import keyed

_line: Final = re.compile(rb"(CLIENT|SERVER)_TRAFFIC_SECRET_0 [0-9a-f]{64} ([0-9a-f]{64}|[0-9a-f]{96})", re.IGNORECASE)
_HEADER_BYTES: Final = 5
_DATA: Final = 23


class TrafficSecrets:
    """The two that a connection's data begins with, once they are known."""

    __slots__ = ("client", "server")

    def __init__(self) -> None:
        self.client: Secret | None = None
        self.server: Secret | None = None

    def note(self, line: bytes) -> None:
        """Take a line of the key log, if it has one of these."""
        found = _line.fullmatch(line)
        if found is None:
            return
        start, end = found.span(2)
        with memoryview(line) as view:
            secret = Secret.take("TLS traffic secret", unhexlify(view[start:end]))
        if found[1] == b"CLIENT":
            self.client = secret
        else:
            self.server = secret

    def wipe(self) -> None:
        """Overwrite them."""
        for secret in (self.client, self.server):
            if secret is not None:
                secret.wipe()


def keep_secrets(connection: SSL.Connection, line: bytes) -> None:
    """Keep with a connection what its key log tells of its data, and overwrite the line: nobody else sees it."""
    kept = connection.get_app_data()
    if isinstance(kept, TrafficSecrets):
        kept.note(line)
        wipe_bytes(line)


def hand_over(connection: SSL.Connection, pipe: RecordPipe, *, is_server: bool) -> Traffic | None:
    """Give what goes on without OpenSSL, from a handshake that has just been completed; None: go on with OpenSSL.

    `pipe` is left as it was, but for what it had to send, if that is handed over.
    """
    kept, suite = connection.get_app_data(), SUITES.get(connection.get_cipher_name() or "")
    if not isinstance(kept, TrafficSecrets) or kept.client is None or kept.server is None or suite is None:
        return None
    sending, receiving = (kept.server, kept.client) if is_server else (kept.client, kept.server)
    written = pipe.drain()
    encrypted, sent = _count(written, suite, sending)
    if sent != (encrypted if is_server else 0) or not pipe.has_taken_all():
        pipe.put_back(written)
        return None
    connection.set_app_data(None)
    return Traffic(suite, sending, receiving, sent=sent, outgoing=written)


def _count(written: bytes, suite: TlsSuite, secret: Secret) -> tuple[int, int]:
    """Count the encrypted records, and those of them that open under the secret of the data."""
    aead, iv = keyed(suite, secret)
    at, encrypted, opened = 0, 0, 0
    while at < len(written):
        header = written[at : at + _HEADER_BYTES]
        body = at + _HEADER_BYTES
        at = body + int.from_bytes(header[3:])
        if header[0] == _DATA:
            encrypted += 1
            with suppress(TagError, ValueError):
                aead.decrypt((iv ^ opened).to_bytes(12), written[body:at], header)
                opened += 1
    return encrypted, opened
