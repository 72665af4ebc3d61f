from typing import Any

import hypothesis.strategies as st
import pytest
from cryptography import x509
from hypothesis import given
from OpenSSL import SSL, _util

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import PqPolicy, RecordLayer, TlsContext, TlsCore, TlsError, TlsReason, TlsTruncated
from sottovoce.transport.limits import HANDSHAKE_BYTES, READ_BYTES
from sottovoce.transport.openssl import Outcome, Role, probe_context
from tests.transport.certificates import HOST, leaf
from tests.transport.ends import Cut, carry, client, connected, failures, server, shake_hands

pytestmark = pytest.mark.usefixtures("each_word")

HYBRID, CLASSICAL = "X25519MLKEM768", "X25519"
HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3)."""


def plain_alert(number: int) -> bytes:
    """The fatal alert as a record without encryption (RFC 8446 §5.1, §6)."""
    return bytes([21, 3, 3, 0, 2, 2, number])


def cuts() -> st.SearchStrategy[Cut]:
    """Ways to cut bytes into pieces."""

    def cutter(sizes: list[int]) -> Cut:
        def cut(data: bytes) -> list[bytes]:
            pieces: list[bytes] = []
            for size in sizes:
                pieces.append(data[:size])
                data = data[size:]
            return [piece for piece in (*pieces, data) if piece]

        return cut

    return st.lists(st.integers(1, 700), max_size=8).map(cutter)


def old_client(**settings: object) -> TlsContext:
    """A client of plain pyOpenSSL that checks nothing: `{setter}=argument`."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    for setter, argument in settings.items():
        getattr(context, setter)(argument)
    return TlsContext(context, Role.CLIENT, PqPolicy.PREFER, None)


def test_what_is_known_after_a_handshake() -> None:
    ours, theirs = connected()
    for end in (ours, theirs):
        assert end.handshake_complete
        assert (end.version, end.cipher, end.group) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384", HYBRID)
        assert end.alpn == "http/1.1"
        assert end.server_name == HOST
        assert end.failure is None
        assert not end.closed_by_peer
    der = ours.peer_certificate_der()
    assert der is not None
    assert x509.load_der_x509_certificate(der) == leaf().certificate
    assert theirs.peer_certificate_der() is None


def test_the_exporter_is_the_same_at_both_ends_and_nowhere_else() -> None:
    ours, theirs = connected()
    assert len(ours.exporter()) == 32
    assert ours.exporter() == theirs.exporter()
    assert connected()[0].exporter() != ours.exporter()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_is_no_server_name(address: str) -> None:
    _, theirs = connected(client(host=address))
    assert theirs.server_name is None


@pytest.mark.parametrize("host", ["LocalHost", "localhost."])
def test_a_host_is_asked_for_in_small_letters_and_without_the_last_dot(host: str) -> None:
    _, theirs = connected(client(host=host))
    assert theirs.server_name == "localhost"


@pytest.mark.parametrize(
    ("of_client", "of_server", "group"),
    [
        (PqPolicy.REQUIRE, PqPolicy.REQUIRE, HYBRID),
        (PqPolicy.REQUIRE, PqPolicy.PREFER, HYBRID),
        (PqPolicy.PREFER, PqPolicy.REQUIRE, HYBRID),
        (PqPolicy.PREFER, PqPolicy.PREFER, HYBRID),
        (PqPolicy.PREFER, PqPolicy.OFF, CLASSICAL),
        (PqPolicy.OFF, PqPolicy.PREFER, CLASSICAL),
        (PqPolicy.OFF, PqPolicy.OFF, CLASSICAL),
        (PqPolicy.OFF, PqPolicy.REQUIRE, None),
        (PqPolicy.REQUIRE, PqPolicy.OFF, None),
    ],
)
def test_policies(of_client: PqPolicy, of_server: PqPolicy, group: str | None) -> None:
    ours, theirs = TlsCore(client(of_client)), TlsCore(server(of_server))
    errors = failures(ours, theirs)
    if group is not None:
        assert errors == (None, None)
        assert (ours.group, theirs.group) == (group, group)
        return
    by_client, by_server = errors
    assert by_server is not None
    assert by_server.reason is TlsReason.NO_COMMON_GROUP
    assert f"pq = {of_server.value}" in str(by_server)
    assert by_client is not None
    assert (by_client.reason, by_client.alert) == (TlsReason.ALERT, 40)
    assert f"pq = {of_client.value}" in str(by_client)


def test_a_classical_client_is_refused_by_alert_40_which_is_there_after_the_exception() -> None:
    ours, theirs = TlsCore(probe_context(CLASSICAL)), TlsCore(server(PqPolicy.REQUIRE))
    with pytest.raises(TlsError) as caught:
        theirs.receive(ours.to_send())
    assert theirs.to_send() == plain_alert(40)
    assert theirs.to_send() == b""
    assert theirs.failure is caught.value
    assert not theirs.handshake_complete


@pytest.mark.parametrize("policy", [PqPolicy.REQUIRE, PqPolicy.PREFER])
def test_a_client_that_can_and_did_not_is_asked_again(policy: PqPolicy) -> None:
    ours, theirs = TlsCore(probe_context(f"{CLASSICAL}:{HYBRID}")), TlsCore(server(policy))
    theirs.receive(ours.to_send())
    retry = theirs.to_send()
    assert HELLO_RETRY in retry
    ours.receive(retry)
    shake_hands(ours, theirs)
    assert (ours.group, theirs.group) == (HYBRID, HYBRID)


def test_a_group_openssl_writes_in_small_letters() -> None:
    for group in ("secp256r1", "SecP384r1MLKEM1024"):
        ours, theirs = TlsCore(probe_context(group)), TlsCore(server())
        shake_hands(ours, theirs)
        assert (ours.group, theirs.group) == (group, group)


def test_an_older_tls_is_refused_by_alert_70() -> None:
    ours = TlsCore(old_client(set_max_proto_version=SSL.TLS1_2_VERSION))
    theirs = TlsCore(server())
    by_client, by_server = failures(ours, theirs)
    assert by_server is not None
    assert by_server.reason is TlsReason.NO_COMMON_VERSION
    assert by_client is not None
    assert by_client.alert == 70


def test_another_protocol_only_is_refused_by_alert_120() -> None:
    by_client, by_server = failures(TlsCore(old_client(set_alpn_protos=[b"h2", b"h3"])), TlsCore(server()))
    assert by_server is not None
    assert by_server.reason is TlsReason.NO_COMMON_ALPN
    assert by_client is not None
    assert by_client.alert == 120


@pytest.mark.parametrize(("offer", "chosen"), [(None, None), ([b"h2", b"http/1.1"], "http/1.1")])
def test_protocols_that_are_served(offer: list[bytes] | None, chosen: str | None) -> None:
    ours = TlsCore(old_client(**({} if offer is None else {"set_alpn_protos": offer})))
    theirs = TlsCore(server())
    shake_hands(ours, theirs)
    assert (ours.alpn, theirs.alpn) == (chosen, chosen)


def test_no_cipher_in_common() -> None:
    ours = TlsCore(old_client(set_tls13_ciphersuites=b"TLS_AES_128_CCM_SHA256"))
    _, by_server = failures(ours, TlsCore(server()))
    assert by_server is not None
    assert by_server.reason is TlsReason.NO_COMMON_CIPHER


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n" * 3,
        bytes(50),
        b"\xff" * 50,
    ],
)
def test_what_is_no_tls(junk: bytes) -> None:
    theirs = TlsCore(server())
    with pytest.raises(TlsError) as caught:
        theirs.receive(junk)
    assert caught.value.reason is TlsReason.NOT_TLS
    assert "\n" not in str(caught.value)


class Returning(TlsContext):
    """A client's settings that offer the session of an earlier connection."""

    session: SSL.Session | None = None

    def new_connection(self) -> SSL.Connection:
        connection = super().new_connection()
        if self.session is not None:
            connection.set_session(self.session)
        return connection


def resumes(settings: TlsContext) -> bool:
    """Whether a server takes back a client that comes again."""
    returning = Returning(SSL.Context(SSL.TLS_CLIENT_METHOD), Role.CLIENT, PqPolicy.PREFER, None)
    first, theirs = TlsCore(returning), TlsCore(settings)
    shake_hands(first, theirs)
    theirs.send(b"the tickets go before this")
    carry(theirs, first)
    assert first._connection is not None
    returning.session = first._connection.get_session()
    again, theirs = TlsCore(returning), TlsCore(settings)
    shake_hands(again, theirs)
    raw: Any = theirs._connection
    return bool(_util.lib.SSL_session_reused(raw._ssl))


def test_no_session_is_resumed() -> None:
    lax = SSL.Context(SSL.TLS_SERVER_METHOD)
    lax.use_certificate(leaf().certificate)
    lax.use_privatekey(leaf().key)
    assert resumes(TlsContext(lax, Role.SERVER, PqPolicy.PREFER, None))  # so the question can be answered
    assert not resumes(server(records=RecordLayer.OPENSSL))


@given(cuts(), st.binary(max_size=40_000))
def test_any_cut_gives_the_same(cut: Cut, data: bytes) -> None:
    ours, theirs = connected(cut=cut)
    ours.send(data)
    theirs.send(data[::-1])
    assert carry(ours, theirs, cut) == data
    assert carry(theirs, ours, cut) == data[::-1]
    ours.close()
    assert carry(ours, theirs, cut) == b""
    assert theirs.closed_by_peer


def test_pieces_of_any_length_and_much_at_once() -> None:
    ours, theirs = connected()
    ours.send(b"")
    assert ours.to_send() == b""
    for piece in (b"a", bytes(16_384), bytes(16_385), bytes(3 * READ_BYTES)):
        ours.send(piece)
    sent = ours.to_send()
    assert theirs.receive(sent) == b"a" + bytes(16_384 + 16_385 + 3 * READ_BYTES)
    ours.send(bytes(READ_BYTES))  # with its headers more than is drained at once
    assert theirs.receive(ours.to_send()) == bytes(READ_BYTES)


def test_data_behind_the_last_message_of_the_handshake() -> None:
    ours, theirs = TlsCore(client()), TlsCore(server())
    theirs.receive(ours.to_send())
    ours.receive(theirs.to_send())
    assert ours.handshake_complete
    ours.send(b"at once")
    assert theirs.receive(ours.to_send()) == b"at once"


def test_a_closing_alert_is_a_clean_end() -> None:
    ours, theirs = connected()
    ours.send(b"last")
    ours.close()
    ours.close()
    assert carry(ours, theirs) == b"last"
    assert theirs.closed_by_peer
    assert theirs.failure is None
    theirs.receive_eof()
    assert theirs.receive(b"") == b""
    with pytest.raises(ApiMisuse):
        ours.send(b"x")
    theirs.send(b"the other way is open still")
    assert carry(theirs, ours) == b"the other way is open still"


def test_an_end_without_the_closing_alert_is_a_truncation() -> None:
    ours, theirs = connected()
    ours.send(b"last")
    assert carry(ours, theirs) == b"last"
    for _ in range(2):
        with pytest.raises(TlsTruncated) as caught:
            theirs.receive_eof()
        assert caught.value.reason is TlsReason.TRUNCATED
    for call in (lambda: theirs.receive(b""), lambda: theirs.send(b"x")):
        with pytest.raises(TlsTruncated):
            call()
    theirs.close()
    assert theirs.to_send() == b""


def test_an_end_within_the_handshake_is_a_truncation() -> None:
    ours, theirs = TlsCore(client()), TlsCore(server())
    ours.close()  # nothing to say yet
    theirs.receive(ours.to_send()[:-1])
    with pytest.raises(TlsTruncated):
        theirs.receive_eof()
    with pytest.raises(TlsTruncated):
        theirs.receive(b"")
    assert theirs.to_send() == b""


def test_a_changed_record_ends_it_and_what_came_before_is_given_first() -> None:
    ours, theirs = connected()
    carry(theirs, ours)
    ours.send(b"good")
    good = ours.to_send()
    ours.send(b"changed")
    bad = bytearray(ours.to_send())
    bad[-1] ^= 1
    assert theirs.receive(good + bytes(bad)) == b"good"
    for _ in range(2):
        with pytest.raises(TlsError) as caught:
            theirs.receive(b"")
        assert caught.value.reason is TlsReason.BAD_RECORD
    with pytest.raises(TlsError, match="bad_record_mac") as told:
        carry(theirs, ours)
    assert (told.value.reason, told.value.alert) == (TlsReason.ALERT, 20)


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_any_bytes_raise_nothing_else(pieces: list[bytes], established: bool) -> None:  # noqa: FBT001  # from hypothesis
    end = connected()[1] if established else TlsCore(server())
    try:
        for piece in pieces:
            assert end.receive(piece) == b""
    except TlsError:
        assert end.failure is not None


def endless_handshake(records: int) -> bytes:
    """The start of a ClientHello of 64 KiB."""
    start = bytes([1]) + (65_000).to_bytes(3, "big") + b"\x03\x03"
    body = start + bytes(records * 16_384 - len(start))
    return b"".join(
        b"\x16\x03\x01" + (16_384).to_bytes(2, "big") + body[place : place + 16_384]
        for place in range(0, len(body), 16_384)
    )


@pytest.mark.parametrize("piece_bytes", [100_000, 1_000])
def test_a_handshake_without_end(piece_bytes: int) -> None:
    theirs = TlsCore(server())
    data = endless_handshake(3)
    with pytest.raises(TlsError, match=f"more than {HANDSHAKE_BYTES} bytes") as caught:  # noqa: PT012  # one of these
        for place in range(0, len(data), piece_bytes):
            theirs.receive(data[place : place + piece_bytes])
    assert caught.value.reason is TlsReason.HANDSHAKE_TOO_LARGE
    with pytest.raises(TlsError):
        theirs.receive(b"x")


def test_bytes_up_to_the_limit_are_waited_for() -> None:
    theirs = TlsCore(server())
    assert theirs.receive(endless_handshake(3)[:HANDSHAKE_BYTES]) == b""
    assert theirs.failure is None


def test_a_handshake_is_not_measured_by_the_data_behind_it() -> None:
    ours, theirs = TlsCore(client()), TlsCore(server())
    theirs.receive(ours.to_send())
    ours.receive(theirs.to_send())
    ours.send(bytes(4 * HANDSHAKE_BYTES))
    assert theirs.receive(ours.to_send()) == bytes(4 * HANDSHAKE_BYTES)


def test_nothing_is_known_before_the_handshake() -> None:
    ours = TlsCore(client())
    ours.to_send()
    for ask in (lambda: ours.group, ours.exporter, ours.peer_certificate_der):
        with pytest.raises(ApiMisuse):
            ask()
    with pytest.raises(ApiMisuse):
        ours.send(b"x")
    assert ours.receive(b"") == b""


def test_a_fault_while_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = connected(client(records=RecordLayer.OPENSSL))
    monkeypatch.setattr(type(ours._pipe), "write", lambda _self, _data: Outcome.FAILED)
    with pytest.raises(TlsError) as caught:
        ours.send(b"x")
    assert caught.value.reason is TlsReason.PROTOCOL
    with pytest.raises(TlsError):
        ours.send(b"x")
    assert theirs.failure is None


def test_a_key_log_opens_a_recording() -> None:
    lines: list[bytes] = []
    connected(server_settings=server(key_log=lines.append))
    assert {line.split()[0] for line in lines} >= {b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"}
