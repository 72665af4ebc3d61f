"""Ends behind a handshake: ours with a peer that is forged, and OpenSSL's with the same."""

import re
from typing import Final, NamedTuple

from OpenSSL import SSL

from sottovoce.primitives import Secret
from sottovoce.transport import PqPolicy, RecordLayer, TlsContext, TlsCore, TlsError
from sottovoce.transport.openssl import Role
from sottovoce.transport.records import KEY_LIMITS, SUITES, KeyLimits, RecordCore, Traffic, TrafficKey
from tests.transport.ends import client, server, shake_hands
from tests.transport.records.forge import ALERT, NAMES, Direction

SECRETS: Final = {
    name: (bytes(range(suite.secret_bytes)), b"\xa5" * suite.secret_bytes) for name, suite in SUITES.items()
}
"""Of a client and a server."""


class Forged(NamedTuple):
    """Our end, and what the other end writes and reads with."""

    core: RecordCore
    says: Direction
    hears: Direction

    def sent_alert(self) -> int | None:
        """Give the alert that our end sent last, if it did."""
        return alert_in(self.hears, self.core.to_send())


def alert_in(hears: Direction, data: bytes) -> int | None:
    """Give the alert among records, if there is one."""
    found = [opened.content[1] for opened in hears.read(data) if opened.kind == ALERT]
    return found[0] if found else None


def forged(
    name: str = NAMES[1],
    *,
    is_server: bool = True,
    limits: KeyLimits = KEY_LIMITS,
    secrets: tuple[bytes, bytes] | None = None,
    sent: int = 0,
) -> Forged:
    """Give our end, a server's unless said otherwise, and its peer."""
    of_client, of_server = secrets or SECRETS[name]
    ours, theirs = (of_server, of_client) if is_server else (of_client, of_server)
    suite = SUITES[name]
    keys = TrafficKey.of(suite, Secret("sending", ours)), TrafficKey.of(suite, Secret("receiving", theirs))
    traffic = Traffic(suite, *keys, sent=sent)
    core = RecordCore(traffic, is_server=is_server, pq="prefer", limits=limits)
    return Forged(core, Direction(name, theirs), Direction(name, ours, sent))


def verdict(core: RecordCore | TlsCore, pieces: list[bytes]) -> tuple[bytes, TlsError | None]:
    """Have an end take pieces up to its end; give its plaintext and how it ended."""
    plaintext = bytearray()
    try:
        for piece in pieces:
            plaintext += core.receive(piece)
        core.receive(b"")  # what came behind plaintext is told now
    except TlsError as error:
        return bytes(plaintext), error
    return bytes(plaintext), None


def only(name: str) -> TlsContext:
    """Give a client of plain pyOpenSSL that checks nothing and offers one suite."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_tls13_ciphersuites(name.encode())
    return TlsContext(context, Role.CLIENT, PqPolicy.PREFER, None)


def openssl_server(name: str) -> tuple[TlsCore, tuple[bytes, bytes], int]:
    """Give OpenSSL's end of a connection, its secrets (client's, server's), and how many records it has sent."""
    lines: list[bytes] = []
    ours, theirs = TlsCore(only(name)), TlsCore(server(records=RecordLayer.OPENSSL, key_log=lines.append))
    theirs.receive(ours.to_send())
    ours.receive(theirs.to_send())
    theirs.receive(ours.to_send())
    return theirs, secrets_in(lines), count_records(theirs.to_send())


def openssl_client(name: str) -> tuple[TlsCore, tuple[bytes, bytes], int]:
    """Give OpenSSL's end as a client; to it, nothing was sent behind the handshake."""
    lines: list[bytes] = []
    ours = TlsCore(client(records=RecordLayer.OPENSSL, key_log=lines.append))
    one = server(records=RecordLayer.OPENSSL)
    one._openssl.set_tls13_ciphersuites(name.encode())
    theirs = TlsCore(one)
    theirs.receive(ours.to_send())
    ours.receive(theirs.to_send())
    ours.to_send()
    return ours, secrets_in(lines), 0


def secrets_in(lines: list[bytes]) -> tuple[bytes, bytes]:
    """Find the application traffic secrets in a key log."""
    log = b"\n".join(lines).decode()
    found = {each[1]: bytes.fromhex(each[2]) for each in re.finditer(r"(\w+)_TRAFFIC_SECRET_0 \w+ (\w+)", log)}
    return found["CLIENT"], found["SERVER"]


def count_records(data: bytes) -> int:
    """Count whole records."""
    count = 0
    while data:
        data = data[5 + int.from_bytes(data[3:5]) :]
        count += 1
    return count


def mixed(name: str, ours: RecordLayer, theirs: RecordLayer) -> tuple[TlsCore, TlsCore]:
    """Give a client and a server that have shaken hands, each with its own kind of records."""
    settings = server(records=theirs)
    settings._openssl.set_tls13_ciphersuites(name.encode())
    ends = TlsCore(client(records=ours)), TlsCore(settings)
    shake_hands(*ends)
    return ends
