"""From OpenSSL's connection to `RecordCore`, when the handshake is over: the secrets, and how many records they served.

The secrets come the one way that OpenSSL gives them, its key log (`binding.tell_secrets`), which is called within the
handshake; they are kept with the connection, and die with it if the handshake does.

Nothing is assumed of where OpenSSL stands, all of it is counted or seen:

- received: encrypted records of the handshake are fed one by one, so OpenSSL was given none behind the one that
  completed it.  That it has taken all of them and keeps none is asked of its buffers;
- sent: what OpenSSL wrote in its last step (a server: the session tickets; a client: the end of its handshake) is
  opened under the secret of the data.  What opens, in order from the first number, was sent under it; what does not
  belongs to the handshake.  A server has only the first kind there, a client only the second.

Where one of these is not as it must be there is no hand-over: the connection goes on with OpenSSL.
"""

from contextlib import suppress
from typing import Final

from OpenSSL import SSL

from sottovoce.primitives import Secret, TagError
from sottovoce.transport.openssl.binding import RecordPipe
from sottovoce.transport.records import SUITES, Traffic, TrafficKey

_HEADER_BYTES: Final = 5
_DATA: Final = 23


class TrafficSecrets:
    """The two that a connection's data begins with, once they are known."""

    __slots__ = ("client", "server")

    def __init__(self) -> None:
        self.client: Secret | None = None
        self.server: Secret | None = None

    def wipe(self) -> None:
        """Overwrite them."""
        for secret in (self.client, self.server):
            if secret is not None:
                secret.wipe()


def keep_secret(connection: SSL.Connection, secret: Secret, *, of_client: bool) -> None:
    """Keep one with its connection, if that is to be handed over."""
    kept = connection.get_app_data()
    if not isinstance(kept, TrafficSecrets):
        secret.wipe()
    elif of_client:
        kept.client = secret
    else:
        kept.server = secret


def hand_over(connection: SSL.Connection, pipe: RecordPipe, *, is_server: bool) -> Traffic | None:
    """Give what goes on without OpenSSL, from a handshake that has just been completed; None: go on with OpenSSL.

    `pipe` is left as it was, but for what it had to send, if that is handed over.
    """
    kept, suite = connection.get_app_data(), SUITES.get(connection.get_cipher_name() or "")
    if not isinstance(kept, TrafficSecrets) or kept.client is None or kept.server is None or suite is None:
        return None
    sending, receiving = (kept.server, kept.client) if is_server else (kept.client, kept.server)
    key, written = TrafficKey.of(suite, sending), pipe.drain()
    encrypted, sent = _count(written, key)
    if sent != (encrypted if is_server else 0) or not pipe.has_taken_all():
        pipe.put_back(written)
        return None
    connection.set_app_data(None)
    return Traffic(suite, key, TrafficKey.of(suite, receiving), sent=sent, outgoing=written)


def _count(written: bytes, key: TrafficKey) -> tuple[int, int]:
    """Count the encrypted records, and those of them that open under the key of the data."""
    at, encrypted, opened = 0, 0, 0
    while at < len(written):
        header = written[at : at + _HEADER_BYTES]
        body = at + _HEADER_BYTES
        at = body + int.from_bytes(header[3:])
        if header[0] == _DATA:
            encrypted += 1
            with suppress(TagError, ValueError):
                key.aead.decrypt((key.iv ^ opened).to_bytes(12), written[body:at], header)
                opened += 1
    return encrypted, opened
