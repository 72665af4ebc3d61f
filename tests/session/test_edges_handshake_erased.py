"""Protocol §5, §11: every secret that a handshake makes is wiped in its time by whoever held it.

`test_protocol_erasure` asks what still lives; a secret that was only let go of, its value left in freed memory, it does
not see.  Here every secret, key share and copy of a token is held, so that the garbage collector hides nothing.
"""

from collections import Counter
from typing import Any

import pytest

from sottovoce.primitives import ApiMisuse, Group, IllegalShare, KeyShare, Secret, Suite, SystemKem
from sottovoce.session import ServerConfig, TicketReceived
from sottovoce.session.client import ClientSession
from sottovoce.session.config import Credential, Dependencies
from sottovoce.session.handshake import client as client_side
from sottovoce.session.handshake import server as server_side
from sottovoce.wire.messages import ClientCredential
from tests.session.dialogue import CARRIAGE, Box, CountingEntropy, Pair, client_config, make_client, make_server
from tests.session.foreign import ForeignServer
from tests.session.keys import WALL, anchor_keys, serving_keys
from tests.session.meeting import AtClient, AtServer

TOKEN = b"a token that nobody else may read"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Secret]:
    """Every secret that is made from here on; the signers' seeds are kept from test to test."""
    for keys in (anchor_keys, serving_keys):
        keys()
    secrets: list[Secret] = []
    begin = Secret.__init__

    def noted(self: Secret, name: str, value: bytes | bytearray) -> None:
        begin(self, name, value)
        secrets.append(self)

    monkeypatch.setattr(Secret, "__init__", noted)
    return secrets


def live(made: list[Secret]) -> Counter[str]:
    """How many of each name are not wiped; the keys of what is spoken later are left out."""
    return Counter(secret.name for secret in made if not secret.is_wiped)


@pytest.mark.protocol("P5.17", "P5.18", "P5.23", "P11.41")
def test_a_server_wipes_each_secret_of_a_handshake_in_its_time(made: list[Secret]) -> None:
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    assert live(made) == {"c hs": 1, "s hs": 1, "derived": 1}, "neither the hybrid secret nor what ES leads to"
    meeting.prove()
    assert live(made) == {"c hs": 1, "derived": 1}
    hello, flight = meeting.ours.to_send()
    meeting.peer.server_hello(hello)
    meeting.peer.server_flight(flight)
    meeting.take(meeting.peer.flight())
    assert meeting.ours.is_open
    assert live(made) == {"c2s": 1, "s2c": 1, "rekey": 1}


@pytest.mark.protocol("P5.17", "P5.18", "P5.23", "P11.41")
def test_a_client_wipes_each_secret_of_a_handshake_in_its_time(made: list[Secret]) -> None:
    meeting = AtClient(established=False)
    assert live(made) == {}
    meeting.take(meeting.peer.hello())
    assert live(made) == {"c hs": 1, "s hs": 1, "derived": 1}
    meeting.take(meeting.peer.flight())
    assert meeting.ours.is_open
    assert live(made) == {"c2s": 1, "s2c": 1, "rekey": 1, "res": 1}


@pytest.mark.protocol("P5.17", "P6.56", "P11.41")
def test_both_wipe_each_secret_of_a_resumed_handshake(made: list[Secret]) -> None:
    box = Box()
    first = Pair(server=make_server(tickets=box)).run()
    (ticket,) = [event.ticket for event in first.client_events if isinstance(event, TicketReceived)]
    for end in (first.client, first.server):
        end.carriage_ended(None)
    assert live(made) == {"psk": 1}
    pair = Pair(make_client(client_config(ticket=ticket)), make_server(tickets=box))
    for record in pair.client_records():
        pair.to_server(record)
    assert live(made) == {"psk": 1, "c hs": 1, "derived": 1}, "the client's psk; the server's flight is sealed"
    hello, flight = pair.server_records()
    pair.to_client(hello)
    assert live(made) == {"c hs": 2, "s hs": 1, "derived": 2}
    pair.to_client(flight)
    pair.run()
    assert pair.server.is_open
    for end in (pair.client, pair.server):
        end.carriage_ended(None)
    for event in pair.client_events:
        if isinstance(event, TicketReceived):
            event.ticket.erase()
    assert live(made) == {}


# Key shares


class KeepingKem(SystemKem):
    """Holds the client's shares."""

    def __init__(self) -> None:
        self.shares: list[KeyShare] = []

    def generate(self, group: Group) -> KeyShare:
        self.shares.append(super().generate(group))
        return self.shares[-1]


def _is_gone(share: KeyShare) -> bool:
    """Whether a share's private part was dropped: it then says so, whatever it is given."""
    try:
        share.finish(b"")
    except ApiMisuse:
        return True
    except IllegalShare:
        return False
    return False


def _client_with_shares() -> tuple[ClientSession, KeepingKem]:
    kem = KeepingKem()
    config = client_config(suites=(Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM))
    return ClientSession(config, CARRIAGE, Dependencies(kem, CountingEntropy(b"c")), 0.0, WALL), kem


@pytest.mark.protocol("P5.17")
def test_a_share_that_was_never_answered_is_dropped_at_the_end() -> None:
    client, kem = _client_with_shares()
    client.carriage_ended(None)
    assert [_is_gone(share) for share in kem.shares] == [True]


@pytest.mark.protocol("P5.17")
def test_the_first_share_is_dropped_as_soon_as_another_is_asked_for() -> None:
    client, kem = _client_with_shares()
    peer = ForeignServer(suite=0x0101)
    peer.take_hello(client.to_send()[0])
    client.receive(peer.retry(0x11ED), 0.0)
    first, second = kem.shares
    assert _is_gone(first)
    peer.take_hello(client.to_send()[0])
    client.receive(peer.hello(), 0.0)
    assert _is_gone(second), "its secret was computed"


# A token


@pytest.mark.protocol("P11.41")
def test_the_client_overwrites_each_copy_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are needed on the way: the value, its message, and the flight; the original is the caller's."""
    copies: list[bytes] = []
    value, encode, seal = Secret.copy_for_sealing, ClientCredential.encode, client_side.seal_flight

    def kept(copy: bytes) -> bytes:
        assert TOKEN in copy, "the control"
        copies.append(copy)
        return copy

    def sealed(secret: Any, cipher: Any, flight: bytes) -> bytes:
        return seal(secret, cipher, kept(flight))

    monkeypatch.setattr(ClientCredential, "encode", lambda self: kept(encode(self)))
    monkeypatch.setattr(client_side, "seal_flight", sealed)
    token = Secret("token", TOKEN)
    client = make_client(client_config(credential=Credential(1, token)))
    monkeypatch.setattr(Secret, "copy_for_sealing", lambda self: kept(value(self)) if self is token else value(self))
    pair = Pair(client, make_server(ServerConfig(credential_kinds=(1,)))).run()
    assert pair.server.is_open
    assert [any(copy) for copy in copies] == [False, False, False]
    assert not token.is_wiped


@pytest.mark.protocol("P11.41")
def test_the_server_overwrites_each_copy_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The opened flight, its messages, and the value once there is a verdict."""
    copies: list[bytes] = []
    opened, split = server_side.open_flight_untrusted, server_side.messages.split_messages

    def kept(*arguments: Any) -> bytes:
        copies.append(opened(*arguments))
        assert TOKEN in copies[-1], "the control"
        return copies[-1]

    def in_parts(data: bytes) -> list[tuple[int, bytes]]:
        parts = split(data)
        copies.extend(message for _, message in parts if TOKEN in message)
        return parts

    meeting = AtServer(established=False, client={"credential": (1, TOKEN)}, credential_kinds=(1,))
    meeting.until_flight()
    monkeypatch.setattr(server_side, "open_flight_untrusted", kept)
    monkeypatch.setattr(server_side.messages, "split_messages", in_parts)
    meeting.take(meeting.peer.flight())
    assert meeting.ours.is_open
    copies += [shown.value for shown in meeting.credentials.shown]
    assert len(copies) == 3
    assert not any(map(any, copies))
