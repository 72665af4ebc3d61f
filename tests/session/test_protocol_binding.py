"""Protocol §4: what a handshake is bound to, and whose it is."""

from typing import Any

import msgspec
import pytest

from sottovoce.session.config import Carriage, ServerConfig
from sottovoce.session.credentials import Identity
from sottovoce.session.events import Established
from sottovoce.wire import Code
from tests.session.dialogue import CARRIAGE, Credentials, Pair, code_of, ended, flipped, make_client, make_server
from tests.session.foreign_bytes import tlvs_of, with_tlv
from tests.session.keys import WALL
from tests.session.meeting import AtServer, judged_by_server
from tests.session.meeting import code_of as code

UNBOUND = msgspec.structs.replace(CARRIAGE, binding_type=0, binding=b"")


def _other(**changes: Any) -> Carriage:
    return msgspec.structs.replace(CARRIAGE, **changes)


def _through(client: Carriage, server: Carriage, **config: Any) -> Pair:
    """A client that sees one carriage, and a server that sees another."""
    return Pair(make_client(carriage=client), make_server(ServerConfig(**config), server)).run()


DIFFERENT = [
    pytest.param({"binding": b"\xb2" * 32}, id="binding", marks=pytest.mark.protocol("P4.4", "P4.10", "P11.12")),
    pytest.param({"authority": b"voice.example.com"}, id="no port", marks=pytest.mark.protocol("P4.2", "P11.13")),
    pytest.param({"authority": b"voice.example.org:8443"}, id="name", marks=pytest.mark.protocol("P4.2", "P11.13")),
    pytest.param({"path": b"/v1/voice/other?x=1"}, id="route", marks=pytest.mark.protocol("P4.3", "P11.13")),
    pytest.param({"path": b"/v1/voice/echo"}, id="no query", marks=pytest.mark.protocol("P4.3", "P11.13")),
    pytest.param({"path": b"/v1/voice/%65cho?x=1"}, id="percent", marks=pytest.mark.protocol("P4.3", "P11.13")),
    pytest.param({"path": b"/v1/voice//echo?x=1"}, id="slashes", marks=pytest.mark.protocol("P4.3", "P11.13")),
    pytest.param({"path": b"/v1/voice/ECHO?x=1"}, id="case", marks=pytest.mark.protocol("P4.3", "P11.13")),
]


@pytest.mark.protocol("P4.1", "P10.2")
@pytest.mark.parametrize("change", DIFFERENT)
def test_ends_that_see_different_carriages(change: dict[str, Any]) -> None:
    """The server's flight does not open at the client, which then sends nothing of itself."""
    pair = _through(CARRIAGE, _other(**change))
    assert ended(pair.client_events).code == Code.AUTH_FAILED
    assert len(pair.from_client) == 1


@pytest.mark.protocol("P4.1", "P10.2")
@pytest.mark.parametrize("change", DIFFERENT)
def test_a_foreign_client_that_goes_on_all_the_same(change: dict[str, Any]) -> None:
    """It ignores that the flight does not open, and seals its own under the keys it has."""
    meeting = AtServer(established=False, client={"carriage": _other(**change)})
    meeting.take(meeting.peer.hello())
    meeting.prove()
    meeting.peer.server_hello(meeting.ours.to_send()[0])
    meeting.peer.params = {3: b"\0\0\x03\xe8"}
    meeting.take(meeting.peer.flight())
    assert code(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P4.2")
def test_the_authority_is_taken_in_lower_case() -> None:
    """ASCII only, and nothing else about it changes."""
    pair = _through(_other(authority=b"VOICE.example.COM:8443"), _other(authority=b"voice.EXAMPLE.com:8443"))
    assert pair.client.is_open
    assert AtServer(client={"carriage": _other(authority=b"voice.example.com:8443")}).server.is_open


@pytest.mark.protocol("P4.4", "P4.7")
def test_a_client_that_has_an_exporter_sends_type_1() -> None:
    assert tlvs_of(make_client().to_send()[0][5:])[6] == b"\x01"
    assert tlvs_of(make_client(carriage=UNBOUND).to_send()[0][5:])[6] == b"\x00"


@pytest.mark.protocol("P4.8", "P10.11")
@pytest.mark.parametrize("number", [2, 3, 0x80, 0xFF])
def test_a_binding_type_that_the_carriage_does_not_have(number: int) -> None:
    changed = judged_by_server("ClientHello", lambda made: with_tlv(made, 6, bytes([number])))
    assert changed == Code.BINDING_MISMATCH


@pytest.mark.protocol("P4.8", "P10.11", "P11.12")
def test_type_1_on_a_carriage_without_an_exporter() -> None:
    server = make_server(ServerConfig(require_binding=False), UNBOUND)
    assert code_of(server.receive(make_client().to_send()[0], 0.0)) == Code.BINDING_MISMATCH


@pytest.mark.protocol("P4.9", "P10.3", "P11.12")
def test_no_binding_where_one_is_required() -> None:
    for carriage in (CARRIAGE, UNBOUND):
        server = make_server(carriage=carriage)
        assert code_of(server.receive(make_client(carriage=UNBOUND).to_send()[0], 0.0)) == Code.POLICY


@pytest.mark.protocol("P4.6")
def test_no_binding_where_none_is_required() -> None:
    """On a carriage with an exporter and on one without: the prologue then holds type 0 and nothing."""
    for carriage in (CARRIAGE, UNBOUND):
        pair = _through(UNBOUND, carriage, require_binding=False)
        assert pair.client.is_open
        pair.voice(up=1, down=1)
    assert AtServer(client={"binding_type": 0}, require_binding=False).server.is_open


@pytest.mark.protocol("P11.12")
def test_a_binding_stripped_on_the_way() -> None:
    pair = Pair(server=make_server(ServerConfig(require_binding=False)))
    (hello,) = pair.client_records()
    pair.to_server(b"\x00" + with_tlv(hello[1:], 6, b"\x00"))
    for record in pair.server_records():
        pair.to_client(record)
    assert ended(pair.client_events).code == Code.AUTH_FAILED


# Whose it is


@pytest.mark.protocol("P4.13", "P4.14")
def test_the_identity_is_the_credentials_and_nothing_else_is_known() -> None:
    """A machine sees no header; of the carriage it sees what is in the transcript, and the certificate of kind 3."""
    assert Carriage.__struct_fields__ == (
        "binding_type",
        "binding",
        "authority",
        "path",
        "has_datagrams",
        "peer_certificate",
    )
    meeting = AtServer(credentials=Credentials(Identity("alice")))
    established = meeting.events[-1]
    assert isinstance(established, Established)
    assert established.identity == Identity("alice")
    assert len(meeting.credentials.asked) == 1


@pytest.mark.protocol("P4.20", "P10.2", "P10.3")
@pytest.mark.parametrize("verdict", [Code.AUTH_FAILED, Code.POLICY])
def test_a_credential_that_is_refused(verdict: Code) -> None:
    meeting = AtServer(established=False, credentials=Credentials(verdict))
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code(meeting) == verdict
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P4.13")
def test_a_flight_whose_finished_is_wrong_has_its_credential_not_looked_at() -> None:
    credentials = Credentials(Identity("alice"))
    meeting = AtServer(
        established=False,
        credentials=credentials,
        client={"edit": lambda name, made: flipped(made, len(made) - 1) if name == "ClientFinished" else made},
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code(meeting) == Code.AUTH_FAILED
    assert credentials.asked == []


@pytest.mark.protocol("P4.21", "P10.5")
def test_a_session_ends_when_its_credential_expires() -> None:
    meeting = AtServer(credentials=Credentials(Identity("alice", expires_at=WALL + 100)), epoch_seconds=300)
    assert meeting.at(99.0) == []
    assert meeting.ours.next_deadline() == pytest.approx(100.0)
    meeting.at(100.0)
    assert code(meeting) == Code.EXPIRED
    assert meeting.hear() == [(7, Code.EXPIRED.to_bytes(2))]


@pytest.mark.protocol("P4.21")
def test_a_credential_that_has_expired_already() -> None:
    meeting = AtServer(credentials=Credentials(Identity("alice", expires_at=WALL - 1)))
    meeting.at(0.0)
    assert code(meeting) == Code.EXPIRED


@pytest.mark.protocol("P4.23", "P10.5")
def test_a_session_lasts_a_day_at_most() -> None:
    """Its epochs are renewed all the time; the day ends it all the same, at both ends."""
    pair = Pair(server=make_server(ServerConfig(epoch_seconds=3600))).run()
    while True:
        due = pair.client.next_deadline()
        assert due is not None
        if due >= 86_400:
            break
        pair.tick(due)
    assert pair.client.epoch > 24
    assert due == pytest.approx(86_400, abs=5)
    pair.tick(86_401)
    assert {ended(events).code for events in (pair.client_events, pair.server_events)} == {Code.EXPIRED}
