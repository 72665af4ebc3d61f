"""The hand-over is right, or is not made: and then OpenSSL goes on as if nobody had asked."""

import gc
import weakref

import pytest
from OpenSSL import SSL

from sottovoce.primitives import Secret
from sottovoce.transport import KeyLog, PqPolicy, RecordLayer, TlsContext, TlsCore, TlsError, TlsTruncated
from sottovoce.transport.openssl import OpenSslRecords, RecordPipe, Role, TrafficSecrets, contexts, handover
from sottovoce.transport.records import RecordCore
from tests.transport.ends import client, connected, server
from tests.transport.records.ends import secrets_in
from tests.transport.records.forge import Direction, Opened

OWN = RecordLayer.OWN


def in_handshake(records: RecordLayer = OWN, key_log: KeyLog | None = None) -> tuple[TlsCore, TlsCore]:
    """Give a client that has completed its handshake, and a server that has not heard so."""
    ours, theirs = TlsCore(client(records=records)), TlsCore(server(key_log=key_log))
    theirs.receive(ours.to_send())
    ours.receive(theirs.to_send())
    return ours, theirs


def own(core: TlsCore) -> RecordCore:
    assert isinstance(core.records, RecordCore)
    return core.records


def talks(ours: TlsCore, theirs: TlsCore) -> None:
    """Show that both hear each other."""
    assert theirs.receive(ours.to_send() + ours.seal(b"hello")) == b"hello"
    assert ours.receive(theirs.to_send() + theirs.seal(b"hello")) == b"hello"


def test_the_tickets_are_counted_and_go_first() -> None:
    ours, theirs = in_handshake()
    theirs.receive(ours.to_send())
    assert (own(ours)._number, own(ours)._rx_number, own(theirs)._rx_number) == (0, 0, 0)
    assert own(theirs)._number == 2
    talks(ours, theirs)
    assert own(theirs)._number == 3


@pytest.mark.parametrize("size", [0, 1, 4, 5, 20, 21, 22, 23, 40, 60])
def test_bytes_behind_the_handshake_are_not_lost(size: int) -> None:
    """Whole records and parts of one come with the last message of the handshake: OpenSSL never sees them."""
    ours, theirs = in_handshake()
    flight, data = ours.to_send(), ours.seal(b"one") + ours.seal(b"two")
    first = theirs.receive(flight + data[:size])
    assert own(theirs)._rest == data[:size][25 * (size // 25) :]
    assert first + theirs.receive(data[size:]) == b"onetwo"


@pytest.mark.parametrize("step", [1, 2, 7, 100])
def test_a_handshake_in_pieces_is_handed_over_too(step: int) -> None:
    def pieces(data: bytes) -> list[bytes]:
        return [data[at : at + step] for at in range(0, len(data), step)]

    ours, theirs = connected(cut=pieces)
    assert own(ours)._rx_number == 2  # the tickets
    talks(ours, theirs)


def test_openssl_is_freed_at_once() -> None:
    ours, theirs = in_handshake()
    connection = theirs._connection
    assert connection is not None
    there = weakref.ref(connection)
    del connection
    gc.disable()
    try:
        theirs.receive(ours.to_send())
        assert there() is None
    finally:
        gc.enable()
    assert theirs.group == ours.group
    assert theirs.exporter() == ours.exporter()


def test_secrets_are_kept_with_the_connection_and_die_with_it() -> None:
    _, theirs = in_handshake()
    assert theirs._connection is not None
    kept = theirs._connection.get_app_data()
    assert isinstance(kept, TrafficSecrets)
    secret = kept.server
    assert secret is not None
    assert not secret.is_wiped
    with pytest.raises(TlsTruncated):
        theirs.receive_eof()
    assert secret.is_wiped


def test_secrets_of_a_handshake_that_is_given_up_die_with_it() -> None:
    _, theirs = in_handshake()
    assert theirs._connection is not None
    kept = theirs._connection.get_app_data()
    assert isinstance(kept, TrafficSecrets)
    assert kept.server is not None
    theirs.release()
    assert kept.server.is_wiped


def test_a_key_log_does_not_spoil_it() -> None:
    lines: list[bytes] = []
    ours, theirs = connected(client(records=RecordLayer.OPENSSL), server(key_log=lines.append))
    theirs_secret = secrets_in(lines)[1]
    hears = Direction(theirs.cipher, theirs_secret, own(theirs)._number)
    assert hears.read(theirs.seal(b"hello")) == [Opened(23, b"hello")]
    assert ours.failure is None


def test_what_openssl_tells_is_what_its_key_log_would() -> None:
    lines: list[bytes] = []
    _, theirs = in_handshake(key_log=lines.append)
    assert theirs._connection is not None
    kept = theirs._connection.get_app_data()
    assert isinstance(kept, TrafficSecrets)
    assert kept.server is not None
    told = [line.split() for line in lines]
    assert [bytes.fromhex(secret.decode()) for label, _, secret in told if label == b"SERVER_TRAFFIC_SECRET_0"] == [
        kept.server.expose()
    ]
    assert kept.client is None


def test_a_secret_that_nobody_is_to_have_is_wiped() -> None:
    secret = Secret("secret", b"x" * 48)
    handover.keep_secret(SSL.Connection(SSL.Context(SSL.TLS_METHOD), None), secret, of_client=True)
    assert secret.is_wiped


# Where it is not certain there is none.


def goes_on_with_openssl() -> None:
    ours, theirs = in_handshake(RecordLayer.OPENSSL)
    assert theirs._connection is not None
    kept = theirs._connection.get_app_data()
    assert isinstance(kept, TrafficSecrets)
    theirs.receive(ours.to_send())
    assert isinstance(theirs.records, OpenSslRecords)
    assert theirs._connection.get_app_data() is None
    assert all(secret is None or secret.is_wiped for secret in (kept.client, kept.server))
    talks(ours, theirs)
    ours.close()
    assert theirs.receive(ours.to_send()) == b""
    assert theirs.closed_by_peer


def test_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "keep_secret", lambda *_, **__: None)
    goes_on_with_openssl()


def test_with_wrong_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = handover.keep_secret

    def lie(connection: SSL.Connection, secret: Secret, *, of_client: bool) -> None:
        keep(connection, secret if of_client else Secret("wrong", bytes(48)), of_client=of_client)

    monkeypatch.setattr(contexts, "keep_secret", lie)
    goes_on_with_openssl()


def test_with_a_suite_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "SUITES", {})
    goes_on_with_openssl()


def test_with_bytes_that_openssl_has_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordPipe, "feed_flight", lambda pipe, data, _at: (pipe.feed(data), len(data))[1])
    ours, theirs = in_handshake()
    assert theirs.receive(ours.to_send() + ours.seal(b"early")) == b"early"
    assert isinstance(theirs.records, OpenSslRecords)
    talks(ours, theirs)


def test_with_part_of_a_record_that_openssl_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordPipe, "feed_flight", lambda pipe, data, _at: (pipe.feed(data), len(data))[1])
    ours, theirs = in_handshake()
    flight, early = ours.to_send(), ours.seal(b"early")
    assert theirs.receive(flight + early[:9]) == b""
    assert isinstance(theirs.records, OpenSslRecords)
    assert theirs.receive(early[9:]) == b"early"
    talks(ours, theirs)


def test_a_client_that_sent_data_within_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_count", lambda *_: (2, 1))
    ours, theirs = in_handshake()
    assert isinstance(ours.records, OpenSslRecords)
    theirs.receive(ours.to_send())
    assert isinstance(theirs.records, OpenSslRecords)
    talks(ours, theirs)


def test_a_handshake_that_fails_is_told_as_ever() -> None:
    ours, theirs = TlsCore(client(PqPolicy.REQUIRE)), TlsCore(server(PqPolicy.OFF))
    with pytest.raises(TlsError, match="pq = off"):
        theirs.receive(ours.to_send())
    assert theirs.to_send()
    theirs.release()
    assert theirs.failure is not None
    assert theirs.to_send() == b""


def test_a_word_of_its_own_for_each_end() -> None:
    assert isinstance(connected(client(records=OWN), server(records=RecordLayer.OPENSSL))[0].records, RecordCore)
    context = TlsContext(SSL.Context(SSL.TLS_SERVER_METHOD), Role.SERVER, PqPolicy.OFF, None)
    assert context.records is RecordLayer.OPENSSL
