"""Protocol §11: attackers who own something: a key, a token, a rekey secret; and what it does not give them."""

import pytest

from sottovoce.primitives import Secret
from sottovoce.session.config import Carriage, Credential
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.events import Established
from sottovoce.wire import Code, messages
from tests.session.dialogue import Credentials, Pair, client_config, ended, make_client
from tests.session.foreign_bytes import AUDIO, HANDSHAKE, Chain, ref, tlvs_of, u, with_tlv
from tests.session.keys import Keys, anchor_keys, issue, other_serving_keys, serving_keys
from tests.session.meeting import AtClient, AtServer, code_of, judged_by_server

TOKEN = b"alice's token"


@pytest.mark.protocol("P11.15")
def test_the_clients_secrets_do_not_play_the_server() -> None:
    """A thief of the token has everything the client has.  Its certificate is the real one, its keys are not."""
    meeting = AtClient(
        established=False, server={"keys": other_serving_keys()}, credential=Credential(1, Secret("token", TOKEN))
    )
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P11.15")
def test_the_servers_keys_do_not_play_a_client() -> None:
    """Who owns the serving keys still has to show a credential of its own."""
    credentials = Credentials(Code.AUTH_FAILED)
    meeting = AtServer(
        established=False, credentials=credentials, client={"credential": (1, b"guessed")}, credential_kinds=(1,)
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED
    assert credentials.asked[0][1] == b"guessed"


@pytest.mark.protocol("P11.15", "P11.24")
@pytest.mark.parametrize("stolen", ["classical", "pq"])
def test_half_of_the_servers_keys_do_not_play_the_server(stolen: str) -> None:
    real, other = serving_keys(), other_serving_keys()
    thief = Keys(real.classical, other.pq) if stolen == "classical" else Keys(other.classical, real.pq)
    meeting = AtClient(established=False, server={"keys": thief})
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P11.14")
def test_a_server_that_passes_a_token_on() -> None:
    """Another honest name of the same anchor gets alice's token and shows it elsewhere: the check sees where."""

    class ForOneAudience(Credentials):
        def check(self, shown: ShownCredential) -> Identity | Code:
            super().check(shown)
            return Identity("alice") if shown.authority == b"other.example.com" else Code.AUTH_FAILED

    credentials = ForOneAudience()
    meeting = AtServer(
        established=False, credentials=credentials, client={"credential": (1, TOKEN)}, credential_kinds=(1,)
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED
    assert credentials.asked == [(1, TOKEN, b"voice.example.com:8443", b"/v1/voice/echo?x=1")]


def _thief_after_one_step(every: int) -> AtClient:
    """A thief with all of epoch 1's secrets, rk among them, answers the client's step with its own share."""
    meeting = AtClient(server={"t6": u(every, 1)})
    meeting.peer.keys = other_serving_keys()
    meeting.answer(verify=every == 1)
    return meeting


@pytest.mark.protocol("P11.16", "P7.16")
def test_a_stolen_rk_with_reauthentication() -> None:
    """Who plays the server is found at the step."""
    assert code_of(_thief_after_one_step(1)) == Code.AUTH_FAILED


@pytest.mark.protocol("P11.16")
def test_a_stolen_rk_without_reauthentication() -> None:
    """The known limit: with `re-authenticate` 0 nobody notices."""
    meeting = _thief_after_one_step(0)
    assert code_of(meeting) is None
    assert meeting.client.epoch == 2


@pytest.mark.protocol("P11.16", "P5.15", "P9.34")
def test_a_stolen_rk_in_passive_hands() -> None:
    """All of epoch 1 and both messages of the step do not give epoch 2: the hybrid secret is missing."""
    meeting = AtServer()
    log = dict(meeting.peer.log)
    ((_, payload),) = meeting.answered()
    response = messages.split_messages(payload)[0][1]
    for guess in (bytes(64), log["root[1]"] + bytes(16), log["HS"] + bytes(16)):
        thief = dict(log)
        ref.root_step(thief, 1, meeting.peer.init, response, guess)
        assert thief["TH[2]"] == meeting.peer.log["TH[2]"]
        assert thief["base_c2s[2]"] != meeting.peer.log["base_c2s[2]"]
    meeting.switch()
    meeting.take(Chain(thief["base_c2s[2]"], 2, 0x0001, 1000).seal(b"\0x\x01"))
    assert code_of(meeting) == Code.DECRYPT_FAILED


@pytest.mark.protocol("P11.17", "P8.8")
def test_a_stolen_base_key_opens_no_earlier_generation() -> None:
    """From generation 3 on everything opens; what is derived from it is none of the earlier keys."""
    chain = Chain(b"\x36" * 64, 1, 0x0001, 16)
    stolen = chain.base(3)
    later = Chain(stolen, 1, 0x0001, 16)
    forward = {later.base(step) for step in range(64)}
    assert chain.base(5) in forward
    assert not {chain.base(number) for number in range(3)} & forward
    records = [chain.seal_at(number, 0, b"\0x\x01") for number in range(3)]
    for number, record in enumerate(records):
        for generation in range(64):
            assert later.seal_at(generation, 0, b"\0x\x01", record[:2]) != record, number


@pytest.mark.protocol("P11.11", "P11.8")
def test_a_client_offers_again_what_it_offered_first() -> None:
    """Whatever the first attempt ended with, its configuration makes the same offer: nothing is remembered."""
    config = client_config()
    offers: list[dict[int, bytes]] = []
    for code in (4400, 4401, 4406, 4412, 4415, None):
        client = make_client(config)
        offers.append(tlvs_of(client.to_send()[0][5:]))
        client.carriage_ended(code)
        assert client.to_send() == []
    for offer in offers:
        assert {tag: offer[tag] for tag in (1, 2, 6)} == {tag: offers[0][tag] for tag in (1, 2, 6)}
        assert 5 not in offer
        assert offer[4][:2] == u(0x11EC, 2)


@pytest.mark.protocol("P6.55")
def test_a_ticket_that_cannot_be_used_is_ignored() -> None:
    for ticket in (b"", b"a ticket", bytes(1024)):
        assert judged_by_server("ClientHello", lambda made, ticket=ticket: with_tlv(made, 5, ticket)) is None
    assert judged_by_server("ClientHello", lambda made: with_tlv(made, 5, bytes(1025))) == Code.BAD_RECORD


@pytest.mark.protocol("P9.34", "P7.2")
def test_root_steps_run_even_where_the_server_never_proves_itself_again() -> None:
    meeting = AtClient(server={"t6": b"\0"})
    for epoch in (2, 3, 4):
        meeting.answer(verify=False)
        meeting.hear()
        meeting.switch()
        meeting.say(AUDIO, b"\0x")
        assert meeting.client.epoch == epoch


@pytest.mark.protocol("P11.7")
def test_a_root_steps_answer_of_another_session() -> None:
    """Both run at once under the same server keys; the proofs are true, each for its own transcript."""
    one, other = AtClient(), AtClient()
    init, theirs = one.init(), other.init()
    answer = other.peer.rekey_answer(theirs)
    one.say(HANDSHAKE, answer)
    assert code_of(one) == Code.AUTH_FAILED
    assert init != theirs


@pytest.mark.protocol("P11.13")
def test_a_whole_conversation_carried_to_another_name_of_the_same_server() -> None:
    """The relay stands between a client that called one name and a server that was called by another."""
    encoded = issue(anchor_keys(), serving_keys(), authorities=("voice.example.com", "other.example.com"))
    pair = Pair()
    assert pair.run().client.is_open
    meeting = AtClient(
        established=False,
        server={
            "encoded": encoded,
            "carriage": Carriage(1, b"\xb1" * 32, b"other.example.com:8443", b"/v1/voice/echo?x=1"),
        },
    )
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED


def test_an_honest_pair_is_left_alone() -> None:
    pair = Pair().run()
    assert any(isinstance(event, Established) for event in pair.client_events)
    pair.client.close(1000, 0.0)
    pair.run()
    assert ended(pair.server_events).code == 1000
