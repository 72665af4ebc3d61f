"""Protocol §5, §6: several tokens sign, each with keys and a certificate of its own, under one anchor or another."""

from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.primitives import ApiMisuse, sha384
from sottovoce.session import (
    Ended,
    EpochStarted,
    Established,
    LeafKind,
    Proof,
    ServedCertificate,
    ServerConfig,
    SignatureWanted,
    TicketReceived,
    handshake_leaf,
    rekey_leaf,
)
from tests.session.dialogue import Box, Pair, Serving, client_config, give_proof, make_client, make_server
from tests.session.foreign_bytes import HANDSHAKE, PING, message, split, tlvs_of
from tests.session.keys import (
    Keys,
    anchor_keys,
    anchor_of,
    certificate,
    issue,
    other_anchor_keys,
    other_serving_keys,
    prove,
    serving_keys,
)
from tests.session.meeting import AtServer

EVERY_STEP = ServerConfig(epoch_seconds=60, reauthenticate_every=1)
SIBLING = b"\x11" * 48


class Token:
    """A token: its serving keys, and their certificate under the common anchor."""

    def __init__(self, keys: Keys, encoded: bytes) -> None:
        self.keys = keys
        self.certificate = ServedCertificate.of(encoded)

    def give(self, pair: Pair, wanted: SignatureWanted) -> None:
        give_proof(pair.server, wanted, self.keys, pair.now, [SIBLING], self.certificate)

    def proof(self, wanted: SignatureWanted) -> Proof:
        return prove(self.keys, wanted.kind, wanted.leaf_under(self.certificate))


@cache
def tokens() -> tuple[Token, Token]:
    one = Token(serving_keys(), certificate())
    other = Token(other_serving_keys(), issue(anchor_keys(), other_serving_keys(), serial=b"\x06" * 16))
    return one, other


@cache
def stranger() -> ServedCertificate:
    """Of another anchor, for the same keys."""
    return ServedCertificate.of(issue(other_anchor_keys(), serving_keys()))


def waiting(**parts: Any) -> tuple[Pair, SignatureWanted]:
    """A handshake whose flight waits for a signature."""
    pair = Pair(server=make_server(EVERY_STEP, **parts))
    pair.signing = False
    pair.run()
    return pair, pair.wanted[-1]


def established(by: Token, **parts: Any) -> Pair:
    pair, wanted = waiting(**parts)
    by.give(pair, wanted)
    return pair.run()


def stepping(pair: Pair) -> SignatureWanted:
    """A root step up to where it waits for a signature."""
    before = len(pair.wanted)
    pair.step()
    (wanted,) = pair.wanted[before:]
    assert wanted.kind is LeafKind.REKEY_VERIFY
    return wanted


def step(pair: Pair, by: Token) -> None:
    wanted = stepping(pair)
    by.give(pair, wanted)
    pair.run()
    assert not any(isinstance(event, Ended) for event in pair.client_events)
    assert [event.reauthenticated for event in pair.client_events if isinstance(event, EpochStarted)][-1]


@pytest.mark.protocol("P6.32", "P6.36")
@pytest.mark.parametrize("number", [0, 1])
def test_whichever_token_signs_the_client_is_convinced(number: int) -> None:
    pair = established(tokens()[number])
    (agreed,) = [event for event in pair.client_events if isinstance(event, Established)]
    assert agreed.server_signatures == ("ECDSA_P384", "MLDSA65")
    step(pair, tokens()[1 - number])
    pair.voice(up=2, down=2)


@pytest.mark.protocol("P6.32")
def test_the_leaf_of_a_handshake_is_that_of_the_transcript_with_the_certificate() -> None:
    """As the foreign peer computes it from what it was sent."""
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    (wanted,) = meeting.wanted
    one, other = (token.certificate for token in tokens())
    leaves = [wanted.leaf_under(each) for each in (one, other, stranger(), one)]
    assert wanted.anchor_id is None, "a handshake may begin under any anchor"
    give_proof(meeting.server, wanted, other_serving_keys(), 0.0, certificate=other)
    hello, flight = meeting.server.to_send()
    meeting.peer.server_hello(hello)
    params, sent, _, _ = meeting.peer.opened_record("s", flight)
    assert tlvs_of(sent[4:]) == {1: other.encoded}
    shown = [message(5, t1=each.encoded) for each in (one, other, stranger(), one)]
    assert leaves == [handshake_leaf(sha384(meeting.peer.seen, params, each)) for each in shown]


@pytest.mark.protocol("P6.36")
def test_the_leaf_of_a_step_is_that_of_its_transcript_and_the_certificate() -> None:
    meeting = AtServer()
    meeting.answered()
    wanted = meeting.wanted[-1]
    assert wanted.anchor_id == anchor_of(anchor_keys()).anchor_id
    for token in tokens():
        expected = rekey_leaf(meeting.peer.log["TH[2]"], token.certificate.encoded)
        assert wanted.leaf_under(token.certificate) == expected


@pytest.mark.protocol("P5.23", "P5.24", "P11.29")
@given(answers=st.lists(st.integers(0, 1), min_size=1, max_size=6))
def test_the_first_of_many_answers_seals_the_flight_and_the_others_do_nothing(answers: list[int]) -> None:
    pair, wanted = waiting()
    for number in answers:
        tokens()[number].give(pair, wanted)
    assert len(pair.server_records()) == 1
    for number in answers:
        tokens()[number].give(pair, wanted)
    assert pair.server_records() == []
    pair.to_client(pair.from_server[-1])
    pair.run()
    assert pair.client.is_open
    assert pair.server.is_open


@pytest.mark.protocol("P5.24", "P11.29")
@given(answers=st.lists(st.integers(0, 1), min_size=1, max_size=6))
def test_the_first_of_many_answers_to_a_step_counts(answers: list[int]) -> None:
    pair = established(tokens()[0])
    wanted = stepping(pair)
    for number in answers:
        tokens()[number].give(pair, wanted)
    assert len(pair.server.to_send()) == 1


@pytest.mark.protocol("P3.26", "P3.27", "P6.37")
def test_a_step_brings_the_certificate_exactly_when_the_client_does_not_have_it() -> None:
    meeting = AtServer(epoch_seconds=60)
    sent: list[bytes | None] = []
    for number in (0, 1, 1, 0):
        token = tokens()[number]
        meeting.init()
        wanted = meeting.wanted[-1]
        give_proof(meeting.server, wanted, token.keys, meeting.now, certificate=token.certificate)
        ((kind, payload),) = meeting.hear()
        assert kind == HANDSHAKE
        sent.append(tlvs_of(split(payload)[1][4:]).get(5))
        meeting.peer.rekey_response(payload)
        meeting.switch()
        meeting.say(PING, bytes(8))
        meeting.hear()
        meeting.now += 30.0
    one, other = (token.certificate.encoded for token in tokens())
    assert sent == [None, other, None, one]


@pytest.mark.protocol("P6.38", "P6.54")
def test_a_ticket_stands_on_the_certificate_of_the_token_that_proved_last() -> None:
    box, (one, other) = Box(), tokens()
    pair = established(one, tickets=box)
    step(pair, other)
    first, second = [box.states[name].certificate_sha384 for name in (b"ticket 0", b"ticket 1")]
    assert (first, second) == (one.certificate.sha384, other.certificate.sha384)
    ticket = [event.ticket for event in pair.client_events if isinstance(event, TicketReceived)][-1]
    client, server = (
        make_client(client_config(ticket=ticket), now=pair.now),
        make_server(EVERY_STEP, tickets=box, now=pair.now),
    )
    resumed = Pair(client, server, now=pair.now).run()
    resumed.signing = False
    assert resumed.wanted == [], "resumed: no certificate is needed"
    for token in (other, one, one):
        step(resumed, token)


@pytest.mark.protocol("P5.24")
@pytest.mark.parametrize("kind", list(LeafKind))
def test_a_proof_under_another_certificate_than_its_leaf_is_ours_to_mend(kind: LeafKind) -> None:
    """Nothing has changed: the right proof is taken afterwards."""
    pair, wanted = waiting() if kind is LeafKind.SERVER_VERIFY else (established(tokens()[0]), None)
    wanted = wanted or stepping(pair)
    pair.server_records()
    one, other = tokens()
    good = one.proof(wanted)
    for under, proof in (
        (other.certificate, good),
        (one.certificate, other.proof(wanted)),
        (one.certificate, msgspec.structs.replace(good, root=SIBLING)),
        (one.certificate, msgspec.structs.replace(good, path=(SIBLING,), directions=(0,))),
        (one.certificate, msgspec.structs.replace(good, pq=None)),
    ):
        with pytest.raises(ApiMisuse):
            pair.server.provide_proof(wanted, under, proof, pair.now)
        assert pair.server.to_send() == []
    assert not pair.server.has_ended
    pair.server.provide_proof(wanted, one.certificate, good, pair.now)
    pair.run()
    assert pair.client.is_open


@pytest.mark.protocol("P6.37")
def test_a_step_is_not_signed_under_another_anchor() -> None:
    pair = established(tokens()[0])
    wanted = stepping(pair)
    proof = tokens()[0].proof(wanted)
    with pytest.raises(ApiMisuse, match="another anchor"):
        wanted.leaf_under(stranger())
    with pytest.raises(ApiMisuse, match="another anchor"):
        pair.server.provide_proof(wanted, stranger(), proof, pair.now)
    assert pair.server.to_send() == []
    tokens()[1].give(pair, wanted)
    pair.run()
    pair.voice(up=1, down=1)


@pytest.mark.protocol("P6.37", "P6.51")
def test_tokens_under_an_earlier_anchor_serve_the_sessions_that_began_under_it() -> None:
    """The current one is another by now, and a handshake begins under that."""
    serving = Serving()
    pair = established(tokens()[0], serving=serving)
    serving.certificate = stranger().encoded
    for token in (*tokens(), tokens()[0]):
        step(pair, token)
    anchors = (anchor_of(other_anchor_keys()),)
    fresh = Pair(make_client(client_config(anchors=anchors)), make_server(EVERY_STEP, serving=serving)).run()
    assert fresh.client.is_open
    fresh.step()
    assert fresh.wanted[-1].anchor_id == stranger().anchor_id


def test_what_is_to_be_signed_is_known_by_itself_and_shows_no_secret() -> None:
    _, wanted = waiting()
    twin = SignatureWanted(wanted.kind, wanted.anchor_id, wanted.leaf_after)
    assert wanted != twin
    assert len({wanted, twin}) == 2
