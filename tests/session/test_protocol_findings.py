"""Where the text and the code differ: each test here fails until one of them is changed."""

import pytest

from sottovoce.primitives import ApiMisuse
from sottovoce.session import AnchorFileInvalid
from tests.session.dialogue import prove, serving_keys, talking
from tests.session.meeting import AtClient, AtServer
from tests.session.test_protocol_anchor_file import entry, parsed


@pytest.mark.protocol("P5.24", "P11.29")
def test_a_late_answer_to_the_handshakes_leaf_is_not_taken_for_the_root_steps() -> None:
    meeting = AtServer()
    handshake = meeting.wanted[0]
    meeting.init()
    meeting.server.provide_proof(handshake, prove(serving_keys(), handshake.kind, handshake.leaf), 0.0)
    assert meeting.ours.to_send() == []
    meeting.prove()
    assert len(meeting.ours.to_send()) == 1


@pytest.mark.protocol("P6.28")
def test_base64_with_more_padding_than_standard() -> None:
    for member in ("classical", "pq"):
        key = entry()[member]
        with pytest.raises(AnchorFileInvalid):
            parsed(entry(**{member: key | {"key": key["key"] + "="}}))


@pytest.mark.protocol("P9.9", "P9.6")
def test_our_machines_do_not_send_what_a_peer_would_refuse() -> None:
    for ours in (AtServer().server, AtClient().client):
        with pytest.raises(ApiMisuse):
            ours.send_dtmf(16, 100, 0.0)
        with pytest.raises(ApiMisuse):
            ours.seal_audio(b"x", 0.0, flags=0x80)
        with pytest.raises(ApiMisuse):
            ours.seal_audio(b"x", 0.0, flags=0x10)


@pytest.mark.protocol("P9.20", "P7.18", "P7.19")
@pytest.mark.parametrize("up", [True, False])
def test_a_steps_own_ping_finds_a_token_after_a_burst_of_control_frames(*, up: bool) -> None:
    """The application may spend what it is given; the ping that a switch needs is not the frame too many."""
    pair = talking()
    due = pair.client.next_deadline()
    assert due is not None
    pair.at(due)
    sender = pair.client if up else pair.server
    while sender.send_json(b"{}", due):
        pass
    pair.tick(due)
    assert pair.client.epoch == pair.server.epoch == 2
    assert pair.client.is_open
    assert pair.server.is_open


@pytest.mark.protocol("P9.20")
@pytest.mark.parametrize("stall_seconds", [0.5, 2.0])
def test_a_network_that_stalls_makes_no_flood_of_an_honest_sender(stall_seconds: float) -> None:
    """The receiver counts when frames arrive; a sender that spends all it may is refused after any delay."""
    pair = talking()
    held: list[bytes] = []
    for turn in range(int(stall_seconds * 50)):
        pair.at(turn / 50)
        while pair.server.send_mark("m", pair.now):
            pass
        held += pair.server.to_send()
    pair.at(stall_seconds)
    for record in held:
        pair.to_client(record)
    assert pair.client.is_open
