from typing import Any

import pytest

from sottovoce.client.continuity import TicketStore
from sottovoce.client.continuity.tickets import MAX_TICKETS
from sottovoce.primitives import Secret, Suite
from sottovoce.session import Carriage, ClientTicket, Credential
from sottovoce.wire import CredentialKind
from tests.session.dialogue import CountingEntropy
from tests.session.keys import Ed25519Signer

_FIRST, _SECOND = Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM
_HERE = Carriage(1, b"binding", b"voice.example.com", b"/v1/voice/echo")


def _ticket(name: bytes = b"ticket", **changes: Any) -> ClientTicket:
    kept = {
        "ticket": name,
        "psk": Secret("psk", b"hunter2" * 7),
        "suite": _FIRST,
        "binding_type": 1,
        "authority": _HERE.authority,
        "path": _HERE.path,
        "certificate": b"certificate",
        "expires_at": 3600.0,
        "verified_at": 0.0,
        "reauthenticate_every": 1,
    }
    return ClientTicket(**{**kept, **changes})


@pytest.fixture
def store() -> TicketStore:
    return TicketStore(CountingEntropy())


@pytest.mark.protocol("P6.48")
def test_a_ticket_is_given_out_once(store: TicketStore) -> None:
    ticket = _ticket()
    store.put(b"me", ticket, 0.0)
    assert len(store) == 1
    assert store.take(b"me", _HERE, (_FIRST,), 1.0) is ticket
    assert store.take(b"me", _HERE, (_FIRST,), 1.0) is None
    assert not ticket.psk.is_wiped, "it is the session's to use and to erase"


@pytest.mark.protocol("P6.56")
@pytest.mark.parametrize(
    "change",
    [
        {"owner": b"somebody else"},
        {"carriage": Carriage(1, b"binding", b"voice.example.com:8443", _HERE.path)},
        {"carriage": Carriage(1, b"binding", _HERE.authority, b"/v1/voice/echo?x=1")},
        {"carriage": Carriage(0, b"", _HERE.authority, _HERE.path)},
        {"suites": (_SECOND,)},
        {"suites": ()},
    ],
)
def test_it_is_offered_only_where_it_came_from(store: TicketStore, change: dict[str, Any]) -> None:
    store.put(b"me", _ticket(), 0.0)
    where = {"owner": b"me", "carriage": _HERE, "suites": (_FIRST, _SECOND), **change}
    assert store.take(where["owner"], where["carriage"], where["suites"], 1.0) is None
    assert len(store) == 1
    assert store.take(b"me", _HERE, (_FIRST, _SECOND), 1.0) is not None


def test_the_same_authority_in_other_letters_is_the_same(store: TicketStore) -> None:
    store.put(b"me", _ticket(authority=b"Voice.Example.com"), 0.0)
    assert store.take(b"me", _HERE, (_FIRST,), 0.0) is not None


def test_the_newest_takes_the_place_of_the_one_before(store: TicketStore) -> None:
    first, second = _ticket(b"1"), _ticket(b"2")
    store.put(b"me", first, 0.0)
    store.put(b"me", second, 0.0)
    assert first.psk.is_wiped
    assert len(store) == 1
    assert store.take(b"me", _HERE, (_FIRST,), 0.0) is second


def test_of_two_suites_the_newer_ticket_is_taken(store: TicketStore) -> None:
    store.put(b"me", _ticket(b"1"), 0.0)
    store.put(b"me", _ticket(b"2", suite=_SECOND), 0.0)
    store.put(b"me", _ticket(b"3"), 0.0)
    taken = [store.take(b"me", _HERE, (_SECOND, _FIRST), 0.0) for _ in range(3)]
    assert [each.ticket if each else None for each in taken] == [b"3", b"2", None]


def test_what_has_expired_is_erased(store: TicketStore) -> None:
    old, other = _ticket(expires_at=10.0), _ticket(path=b"/other", expires_at=10.0)
    store.put(b"me", old, 0.0)
    assert store.take(b"me", _HERE, (_FIRST,), 10.0) is None
    assert old.psk.is_wiped
    store.put(b"me", other, 0.0)
    store.put(b"me", _ticket(), 11.0)
    assert other.psk.is_wiped
    assert len(store) == 1


def test_it_is_bounded_and_the_oldest_gives_way(store: TicketStore) -> None:
    tickets = [_ticket(path=b"/%d" % number) for number in range(MAX_TICKETS + 3)]
    for ticket in tickets:
        store.put(b"me", ticket, 0.0)
    assert len(store) == MAX_TICKETS
    assert [ticket.psk.is_wiped for ticket in tickets] == [True] * 3 + [False] * MAX_TICKETS


def test_at_the_end_all_is_wiped() -> None:
    tickets = [_ticket(), _ticket(suite=_SECOND)]
    with TicketStore() as store:
        for ticket in tickets:
            store.put(b"me", ticket, 0.0)
        assert repr(store) == "TicketStore(2 tickets)"
    assert len(store) == 0
    assert all(ticket.psk.is_wiped for ticket in tickets)


@pytest.mark.protocol("P6.51")
def test_two_credentials_never_share_a_ticket(store: TicketStore) -> None:
    credentials = [
        Credential(),
        *(Credential(CredentialKind.BEARER_TOKEN, Secret("token", token)) for token in (b"one", b"two")),
        *(Credential(CredentialKind.SIGNING_KEY, signer=Ed25519Signer(bytes([n]) * 32)) for n in (1, 2)),
        *(Credential(CredentialKind.OUTER_CERTIFICATE, certificate_sha256=bytes([n]) * 32) for n in (1, 2)),
        Credential(CredentialKind.BEARER_TOKEN, Secret("token", bytes([1]) * 32)),
    ]
    owners = [store.owner_of(each) for each in credentials]
    assert len(set(owners)) == len(owners)
    assert owners == [store.owner_of(each) for each in credentials]
    assert all(not each.token.is_wiped for each in credentials if each.token is not None)


def test_the_owners_name_tells_nothing_outside_of_its_store() -> None:
    credential = Credential(CredentialKind.BEARER_TOKEN, Secret("token", b"hunter2"))
    assert TicketStore().owner_of(credential) != TicketStore().owner_of(credential)
