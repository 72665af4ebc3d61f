"""Protocol §6, Tickets, at our server: whom a ticket lets in, and everything that makes it one to be ignored."""

import hashlib
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from sottovoce.primitives import Secret, Suite
from sottovoce.session import Identity, TicketState
from sottovoce.wire import Code
from tests.session.dialogue import CARRIAGE, Box, Credentials, Serving, replacing
from tests.session.foreign_bytes import AUDIO, HANDSHAKE, PING, Chain, u, with_tlv
from tests.session.keys import DAY, WALL, anchor_keys, issue, other_anchor_keys, serving_keys
from tests.session.meeting import AtServer, code_of
from tests.session.ticketing import come_again, earn, established_of, heard_ticket, was_resumed

ALICE = Identity("alice", kind=1, credential="token:1f0c")
WITH_PEER = msgspec.structs.replace(CARRIAGE, peer_certificate=b"a certificate")


def alices() -> dict[str, Any]:
    """A server that gives alice her name for a token."""
    return {"credentials": Credentials(ALICE), "credential_kinds": (1,)}


def earned(box: Box) -> tuple[bytes, bytes]:
    return earn(box, client={"credential": (1, b"alice's token")}, **alices())


# What a ticket does


@pytest.mark.protocol("P3.2", "P3.4", "P3.12", "P6.44", "P6.51", "P6.53", "P5.16", "P5.2")
def test_a_ticket_takes_the_place_of_signatures_and_credential() -> None:
    """The foreign client finds psk, flight and parameters where the text has them, or it would not open a thing."""
    box = Box()
    meeting = come_again(box, earned(box), **alices())
    assert was_resumed(meeting)
    established = established_of(meeting)
    assert established.identity == ALICE
    assert established.server_signatures == ()
    assert meeting.peer.params[7] == b"\x00"
    assert meeting.credentials.asked == [], "no credential was judged"
    meeting.hear()
    meeting.say(AUDIO, b"\0x")
    assert code_of(meeting) is None


@pytest.mark.protocol("P6.49")
def test_a_resumed_session_has_a_share_of_its_own() -> None:
    """Two sessions of one psk have nothing in common; and no data comes before the share was answered."""
    box = Box()
    psk = earned(box)
    box.states[b"twin"], box.masked[b"twin"] = box.states[psk[0]], box.masked[psk[0]]
    one, other = come_again(box, psk, **alices()), come_again(box, (b"twin", psk[1]), **alices())
    assert was_resumed(one)
    assert was_resumed(other)
    for name in ("HS", "root[1]", "base_c2s[1]", "res[1]"):
        assert one.peer.log[name] != other.peer.log[name]
    assert one.peer.log["ES"] == other.peer.log["ES"]
    eager = AtServer(established=False, tickets=box, client={"ticket": psk})
    eager.take(eager.peer.hello())
    eager.take(Chain(psk[1] + bytes(16), 1, 0x0001, 1000).seal(b"\0x\x01"))
    assert code_of(eager) == Code.BAD_RECORD


@pytest.mark.protocol("P5.13", "P5.16", "P3.28", "P6.47")
def test_one_ticket_comes_after_the_handshake_and_one_after_each_switch() -> None:
    """Each with the psk of the epoch in the KID of its record, and each is good."""
    box = Box()
    meeting = AtServer(tickets=box)
    ticket, lifetime = heard_ticket(meeting.hear())
    assert lifetime == 3_600
    found = [(ticket, meeting.peer.log["res[1]"])]
    for epoch in (2, 3):
        meeting.now += 20.0
        assert [kind for kind, _ in meeting.answered()] == [HANDSHAKE], "no ticket before the switch"
        meeting.switch()
        assert meeting.hear() == []
        meeting.say(PING, bytes(8))
        heard = meeting.hear()
        assert [kind for kind, _ in heard[:2]] == [2, PING]
        ticket, _ = heard_ticket(heard)
        found.append((ticket, meeting.peer.log[f"res[{epoch}]"]))
        meeting.say(AUDIO, b"\0x")
        assert meeting.hear() == []
    assert len({psk for _, psk in found}) == 3
    for pair in found:
        assert was_resumed(come_again(box, pair, wall=WALL + 60))


@pytest.mark.protocol("P3.30", "P6.48", "P3.41")
def test_a_ticket_and_a_hello_retry() -> None:
    box = Box()
    meeting = AtServer(established=False, tickets=box, client={"shares": (), "ticket": earned(box)}, **alices())
    meeting.take(meeting.peer.hello())
    assert box.spent == [], "nothing is used up by a question"
    meeting.take(meeting.peer.retry(meeting.server.to_send()[0]))
    hello, flight = meeting.server.to_send()
    meeting.peer.server_hello(hello)
    meeting.peer.server_flight(flight)
    meeting.take(meeting.peer.flight())
    assert was_resumed(meeting)


@pytest.mark.protocol("P6.53", "P4.13", "P4.20")
@pytest.mark.parametrize("credential", [(1, b"alice's token"), (3, bytes(32))])
def test_a_resumed_session_shows_no_credential(credential: tuple[int, bytes]) -> None:
    box = Box()
    meeting = come_again(box, earned(box), client={"credential": credential}, **alices())
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.credentials.asked == []


@pytest.mark.protocol("P6.53", "P4.22")
def test_who_is_withdrawn_during_the_handshake_does_not_get_in() -> None:
    box = Box()
    parts = alices()
    ticket = earned(box)
    meeting = AtServer(established=False, tickets=box, client={"ticket": ticket}, **parts)
    meeting.until_flight()
    parts["credentials"].withdrawn.add("alice")
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.51", "P5.2")
def test_a_ticket_without_its_psk_opens_nothing() -> None:
    """The thief of the bytes on the wire gets a flight that it cannot read, and cannot answer."""
    box = Box()
    ticket, _ = earned(box)
    meeting = AtServer(established=False, tickets=box, client={"ticket": (ticket, bytes(48))}, **alices())
    meeting.take(meeting.peer.hello())
    hello, _ = meeting.server.to_send()
    meeting.peer.server_hello(hello)
    meeting.peer.params = {3: u(1000, 4)}
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P4.23")
def test_a_resumed_session_lasts_a_day_of_its_own() -> None:
    box = Box()
    resumed = come_again(box, earned(box), wall=WALL + 3_000, **alices())
    assert was_resumed(resumed)
    assert resumed.server._session_until == DAY


# What makes a ticket one to be ignored


def state_changes() -> dict[str, dict[str, Any]]:
    """Of what is in the ticket, each thing that must be so, changed alone."""
    return {
        "suite": {"suite": Suite.X25519MLKEM768_CHACHA20POLY1305},
        "binding type": {"binding_type": 2},
        "no binding": {"binding_type": 0},
        "authority": {"authority": b"other.example.com:8443"},
        "port": {"authority": b"voice.example.com"},
        "path": {"path": b"/v1/voice/other"},
        "query": {"path": b"/v1/voice/echo"},
        "anchor": {"anchor_id": bytes(32)},
        "peer": {"peer_certificate_sha256": bytes(32)},
        "a day": {"verified_at": WALL - DAY},
        "not yet": {"verified_at": WALL + 6},
        "certificate": {"certificate_not_after": int(WALL)},
        "credential": {"identity": msgspec.structs.replace(ALICE, expires_at=WALL)},
        "withdrawn": {"identity": Identity("mallory")},
        "promise": {"reauthenticate_every": 1},
    }


WEAKER = {"reauthenticate_every": 2}


def judged(box: Box, ticket: tuple[bytes, bytes], **options: Any) -> AtServer:
    """The client again; mallory is withdrawn, and the server proves itself at every second step."""
    parts: dict[str, Any] = alices() | WEAKER | options
    parts["credentials"].withdrawn.add("mallory")
    return come_again(box, ticket, **({"client": {"credential": (1, b"alice's token")}} | parts))


def changed(box: Box, ticket: bytes, changes: dict[str, Any]) -> None:
    fitting = {"reauthenticate_every": 2}
    box.states[ticket] = msgspec.structs.replace(box.states[ticket], **(fitting | changes))


@pytest.mark.protocol("P6.51", "P6.52", "P6.53", "P6.54", "P6.55", "P6.57")
@pytest.mark.parametrize("name", state_changes())
def test_a_ticket_that_does_not_fit_is_ignored_and_the_handshake_goes_on(name: str) -> None:
    box = Box()
    ticket = earned(box)
    changed(box, ticket[0], state_changes()[name])
    meeting = judged(box, ticket, client={"credential": (1, b"alice's token")})
    assert not was_resumed(meeting)
    assert established_of(meeting).identity == ALICE
    assert meeting.credentials.asked, "the credential was judged instead"
    assert box.spent == [], "and the ticket not used up"


@pytest.mark.protocol("P6.51", "P6.54")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"verified_at": WALL - DAY + 1},
        {"verified_at": WALL + 5},
        {"certificate_not_after": int(WALL) + 1},
        {"identity": msgspec.structs.replace(ALICE, expires_at=WALL + 1)},
        {"reauthenticate_every": 0},
        {"reauthenticate_every": 3},
    ],
)
def test_a_ticket_at_the_ends_of_its_limits_is_good(changes: dict[str, Any]) -> None:
    box = Box()
    ticket = earned(box)
    changed(box, ticket[0], changes)
    assert was_resumed(judged(box, ticket, client={}))


@given(names=st.sets(st.sampled_from(sorted(state_changes())), max_size=4))
@settings(max_examples=40, deadline=None)
def test_whatever_is_changed_together_only_an_unchanged_ticket_is_used(names: set[str]) -> None:
    box = Box()
    ticket = earned(box)
    changes: dict[str, Any] = {}
    for name in names:
        changes |= state_changes()[name]
    changed(box, ticket[0], changes)
    client = {"credential": (1, b"alice's token")} if names else {}
    assert was_resumed(judged(box, ticket, client=client)) is (not names)


@pytest.mark.protocol("P6.57")
@pytest.mark.parametrize(("every", "good"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_server_whose_promise_became_weaker_asks_for_a_full_handshake(every: int, *, good: bool) -> None:
    """The client would refuse it (`policy`), which helps nobody."""
    box = Box()
    ticket = earn(box, reauthenticate_every=2)
    assert was_resumed(come_again(box, ticket, reauthenticate_every=every)) is good


@pytest.mark.protocol("P6.52")
def test_a_ticket_of_an_outer_certificate_is_good_on_a_carriage_with_it() -> None:
    box = Box()
    digest = hashlib.sha256(b"a certificate").digest()
    options: dict[str, Any] = {"carriage": WITH_PEER, "credential_kinds": (3,)}
    ticket = earn(box, client={"credential": (3, digest), "carriage": WITH_PEER}, **options)
    other = msgspec.structs.replace(CARRIAGE, peer_certificate=b"another certificate")
    for carriage in (other, CARRIAGE):
        meeting = AtServer(
            tickets=box, carriage=carriage, client={"ticket": ticket}, credential_kinds=(0, 3), established=True
        )
        assert not was_resumed(meeting)
    assert was_resumed(come_again(box, ticket, **options))
    renewed = come_again(box, earn_again(box, ticket, options), **options)
    assert was_resumed(renewed)
    assert box.states[b"ticket 0"].peer_certificate_sha256 == digest


def earn_again(box: Box, ticket: tuple[bytes, bytes], options: dict[str, Any]) -> tuple[bytes, bytes]:
    """The ticket of a resumed session."""
    box.spent.clear()
    meeting = come_again(box, ticket, **options)
    assert was_resumed(meeting)
    return heard_ticket(meeting.hear())[0], meeting.peer.log["res[1]"]


@pytest.mark.protocol("P6.52")
def test_an_outer_certificate_that_was_not_the_credential_binds_nothing() -> None:
    box = Box()
    ticket = earn(box, carriage=WITH_PEER)
    assert was_resumed(come_again(box, ticket))


@pytest.mark.protocol("P6.51")
def test_a_certificate_of_another_anchor_is_served_now() -> None:
    box = Box()
    ticket = earn(box)
    renewed = Serving(issue(anchor_keys(), serving_keys(), not_after=int(WALL) + 2 * DAY))
    other = Serving(issue(other_anchor_keys(), serving_keys()))
    assert not was_resumed(come_again(box, ticket, serving=other))
    assert was_resumed(come_again(box, ticket, serving=renewed))


@pytest.mark.protocol("P6.48")
def test_a_ticket_is_used_up_when_server_hello_is_sent() -> None:
    box = Box()
    ticket = earn(box)
    meeting = AtServer(established=False, tickets=box, client={"ticket": ticket})
    assert box.spent == []
    meeting.take(meeting.peer.hello())
    assert box.spent == [ticket[0]]
    assert not was_resumed(come_again(box, ticket)), "although the first one never finished"


@pytest.mark.protocol("P6.48", "P3.64")
def test_a_bad_share_does_not_use_up_a_ticket() -> None:
    box = Box()
    ticket = earn(box)

    def spoil(made: bytes) -> bytes:
        return with_tlv(made, 4, u(0x11EC, 2) + u(5, 2) + b"short")

    meeting = AtServer(
        established=False, tickets=box, client={"ticket": ticket, "edit": replacing("ClientHello", spoil)}
    )
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == Code.ILLEGAL_SHARE
    assert box.spent == []


class Watched(Box):
    """A box that tells when it was asked, and keeps what it gave out."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.given: list[Secret] = []

    def open(self, ticket: bytes, authority: bytes, path: bytes, wall: float) -> TicketState | None:
        self.asked += 1
        assert (authority, path) == (CARRIAGE.authority.lower(), CARRIAGE.path)
        state = super().open(ticket, authority, path, wall)
        if state is not None:
            self.given.append(state.psk)
        return state


@pytest.mark.protocol("P3.2", "P11.36")
@pytest.mark.parametrize(
    ("tag", "value", "code"),
    [
        (5, bytes(1025), Code.BAD_RECORD),
        (1, b"\0\2", Code.NO_COMMON_SUITE),
        (2, b"\1\2", Code.NO_COMMON_SUITE),
        (6, b"\7", Code.BINDING_MISMATCH),
        (6, b"\0", Code.POLICY),
    ],
)
def test_a_ticket_is_looked_at_after_everything_that_costs_less(tag: int, value: bytes, code: Code) -> None:
    box = Watched()
    edit = replacing("ClientHello", lambda made: with_tlv(made, tag, value))
    meeting = AtServer(established=False, tickets=box, client={"ticket": earn(box), "edit": edit})
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == code
    assert box.asked == 0


@pytest.mark.protocol("P11.36")
def test_a_ticket_is_looked_at_before_the_kem() -> None:
    box = Watched()
    meeting: Any = AtServer(established=False, tickets=box, client={"ticket": earn(box)})
    asked: list[int] = []
    kem = meeting.server._parts.kem

    class Kem:
        generate = kem.generate

        def encapsulate(self, group: Any, share: bytes) -> Any:
            asked.append(box.asked)
            return kem.encapsulate(group, share)

    meeting.server._handshake._parts = msgspec.structs.replace(meeting.server._parts, kem=Kem())
    meeting.take(meeting.peer.hello())
    assert asked == [1]


@pytest.mark.protocol("P5.17", "P11.41")
@pytest.mark.parametrize("name", ["good", "unfit", "used", "bad share"])
def test_the_psk_of_an_opened_ticket_is_gone_once_server_hello_is_made(name: str) -> None:
    box = Watched()
    ticket = earn(box)
    edit = replacing("ClientHello", lambda made: with_tlv(made, 4, u(0x11EC, 2) + u(5, 2) + b"short"))
    client: dict[str, Any] = {"ticket": ticket} | ({"edit": edit} if name == "bad share" else {})
    if name == "unfit":
        changed(box, ticket[0], {"path": b"/"})
    if name == "used":
        box.spent.append(ticket[0])
    meeting = AtServer(established=False, tickets=box, client=client)
    meeting.take(meeting.peer.hello())
    assert [secret.is_wiped for secret in box.given] == [True]
