"""Two ends of a TLS connection in memory, and how bytes get from one to the other."""

from collections.abc import Callable, Iterable

from sottovoce.transport import (
    KeyLog,
    PqPolicy,
    RecordLayer,
    TlsContext,
    TlsCore,
    TlsError,
    client_context,
    server_context,
)
from tests.transport.certificates import HOST, authority, leaf

Cut = Callable[[bytes], Iterable[bytes]]


class Word:
    """Whose records both ends have where a test does not say; `each_word` runs a file with the one and the other."""

    records = RecordLayer.OWN


def whole(data: bytes) -> Iterable[bytes]:
    """Cut nothing."""
    return (data,) if data else ()


def server(
    pq: PqPolicy = PqPolicy.PREFER, *, records: RecordLayer | None = None, key_log: KeyLog | None = None
) -> TlsContext:
    """Give settings with the good leaf."""
    return server_context(leaf(), pq=pq, records=records or Word.records, key_log=key_log)


def client(
    pq: PqPolicy = PqPolicy.PREFER,
    *,
    host: str = HOST,
    records: RecordLayer | None = None,
    key_log: KeyLog | None = None,
) -> TlsContext:
    """Give settings that trust the tests' CA."""
    return client_context(host, pq=pq, ca_pem=authority().pem, records=records or Word.records, key_log=key_log)


def carry(source: TlsCore, target: TlsCore, cut: Cut = whole) -> bytes:
    """Bring what `source` has to send to `target`; give the plaintext that came out."""
    return b"".join(target.receive(piece) for piece in cut(source.to_send()))


def shake_hands(first: TlsCore, second: TlsCore, cut: Cut = whole) -> None:
    """Let two ends exchange bytes until neither has any left."""
    while True:
        forth, back = first.to_send(), second.to_send()
        if not forth and not back:
            return
        for piece in cut(forth):
            second.receive(piece)
        for piece in cut(back):
            first.receive(piece)


def failures(first: TlsCore, second: TlsCore) -> tuple[TlsError | None, TlsError | None]:
    """Exchange bytes until both are silent; give the error of each."""
    errors: list[TlsError | None] = [None, None]
    ends = (first, second)
    quiet = 0
    while quiet < 2:
        for place in (0, 1):
            data = ends[place].to_send()
            quiet = 0 if data else quiet + 1
            if data and errors[1 - place] is None:
                try:
                    ends[1 - place].receive(data)
                except TlsError as error:
                    errors[1 - place] = error
    return errors[0], errors[1]


def connected(
    client_settings: TlsContext | None = None, server_settings: TlsContext | None = None, cut: Cut = whole
) -> tuple[TlsCore, TlsCore]:
    """Give a client and a server that have shaken hands."""
    ends = TlsCore(client_settings or client()), TlsCore(server_settings or server())
    shake_hands(*ends, cut)
    return ends
