"""Protocol §7: the root step and the switch, each side against a foreign peer."""

from typing import Any

import pytest

from sottovoce.wire import Code
from tests.session.dialogue import give_proof
from tests.session.foreign_bytes import HANDSHAKE, PING, PONG, SWITCH, message, split, tlvs_of, u, with_tlv
from tests.session.keys import serving_keys
from tests.session.meeting import AtClient, AtServer, code_of, judged_by_client

# When it begins


@pytest.mark.protocol("P7.2", "P7.3")
def test_the_client_begins_between_80_and_90_per_cent_at_a_moment_of_its_own() -> None:
    moments: set[float] = set()
    for seed in range(40):
        meeting = AtClient(server={"t2": u(1000, 2)})
        meeting.client._parts.entropy._seed = u(seed, 4)  # type: ignore[attr-defined]
        due = meeting.client.next_deadline()
        assert due is not None
        assert 800.0 <= due <= 900.0
        moments.add(meeting.client._moment_of_step(0.0))
    assert len(moments) == 40
    assert all(800.0 <= moment <= 900.0 for moment in moments)
    assert max(moments) - min(moments) > 70


@pytest.mark.protocol("P7.3", "P3.24")
def test_what_a_rekey_init_holds() -> None:
    meeting = AtClient()
    init = meeting.init()
    assert meeting.raw[-1][:2] == b"\x80\x10"
    assert init[0] == 12
    found = tlvs_of(init[4:])
    assert set(found) == {1, 2}
    assert found[1] == u(2, 4)
    assert found[2][:2] == u(0x11EC, 2)
    assert len(found[2]) == 2 + 1216


@pytest.mark.protocol("P7.2", "P3.29")
def test_a_rekey_request_starts_a_step_at_once() -> None:
    meeting = AtClient()
    meeting.now = 1.0
    meeting.say(HANDSHAKE, message(16))
    ((frame_type, payload),) = meeting.hear()
    assert (frame_type, payload[0]) == (HANDSHAKE, 12)


@pytest.mark.protocol("P7.9")
@pytest.mark.parametrize(("epoch_seconds", "least"), [(300, 10.0), (20, 10.0), (10, 5.0), (2, 1.0)])
def test_a_request_waits_until_a_step_may_come_again(epoch_seconds: int, least: float) -> None:
    meeting = AtClient(server={"t2": u(epoch_seconds, 2)})
    meeting.answer()
    answered_at = meeting.now
    meeting.hear()
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    meeting.now = answered_at + 0.1
    meeting.say(HANDSHAKE, message(16))
    assert meeting.hear() == []
    due = answered_at + least * 1.01
    assert meeting.ours.next_deadline() == pytest.approx(due), "the server's clock may run a little slower"
    assert meeting.at(answered_at + least) == []
    assert meeting.hear() == []
    meeting.at(due + 0.001)
    ((frame_type, payload),) = meeting.hear()
    assert (frame_type, payload[0]) == (HANDSHAKE, 12)


@pytest.mark.protocol("P7.10")
def test_a_request_during_a_step_is_ignored() -> None:
    meeting = AtClient()
    init = meeting.init()
    meeting.say(HANDSHAKE, message(16))
    assert meeting.hear() == []
    meeting.say(HANDSHAKE, meeting.peer.rekey_answer(init))
    assert [kind for kind, _ in meeting.hear()] == [SWITCH, PING]
    meeting.say(HANDSHAKE, message(16))
    meeting.switch()
    meeting.say(PING, bytes(8))
    assert [kind for kind, _ in meeting.hear()] == [PONG]
    due = meeting.ours.next_deadline()
    assert due is not None
    assert due > meeting.now + 0.8 * 300 - 1


@pytest.mark.protocol("P7.8", "P7.11", "P10.8", "P11.37")
@pytest.mark.parametrize(("epoch_seconds", "least"), [(300, 10.0), (20, 10.0), (10, 5.0), (2, 1.0)])
@pytest.mark.parametrize("early", [True, False])
def test_the_server_refuses_a_step_too_soon(epoch_seconds: int, least: float, *, early: bool) -> None:
    """The first may come at once; the next is measured from it."""
    meeting = AtServer(epoch_seconds=epoch_seconds)
    meeting.answered()
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    meeting.now = least - 0.01 if early else least
    meeting.init()
    assert code_of(meeting) == (Code.REKEY_PROTOCOL if early else None)


@pytest.mark.protocol("P7.7", "P7.13", "P10.8")
def test_a_second_init_during_a_step() -> None:
    for switched in (False, True):
        meeting = AtServer()
        meeting.answered()
        meeting.now = 20.0
        if switched:
            meeting.switch()
            meeting.say(PING, bytes(8))
            meeting.hear()
            meeting.init()
            assert code_of(meeting) is None
        meeting.init()
        assert code_of(meeting) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.7", "P11.37")
def test_a_flood_of_inits_while_the_first_waits_for_its_signature() -> None:
    meeting = AtServer()
    meeting.init()
    meeting.init()
    assert code_of(meeting) == Code.REKEY_PROTOCOL
    assert len(meeting.wanted) == 2, "the handshake's leaf and one root step's"


# What it says


@pytest.mark.protocol("P7.11", "P7.12", "P10.8")
@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 0}, {"epoch": 1}, {"epoch": 3}, {"epoch": 0xFFFFFFFF},
        {"group": 0x11ED}, {"group": 0x001D}, {"group": 0x7A7A},
    ],
    ids=str,
)  # fmt: skip
def test_an_init_for_another_epoch_or_group(changes: dict[str, Any]) -> None:
    meeting = AtServer()
    meeting.init(**changes)
    assert code_of(meeting) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.11", "P7.12", "P10.8")
@pytest.mark.parametrize(
    ("tag", "value"), [(1, u(1, 4)), (1, u(3, 4)), (2, u(0x11ED, 2) + bytes(1665)), (2, u(0x7A7A, 2) + bytes(1120))]
)
def test_a_response_for_another_epoch_or_group(tag: int, value: bytes) -> None:
    assert judged_by_client("RekeyResponse", lambda made: with_tlv(made, tag, value)) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.13")
@pytest.mark.parametrize("every", [0, 1])
def test_a_response_that_nobody_asked_for(every: int) -> None:
    """Where no proof is due, nothing else is wrong with it."""
    meeting = AtClient(server={"t6": u(every, 1)})
    meeting.say(HANDSHAKE, message(13, t1=u(2, 4), t2=u(0x11EC, 2) + bytes(1120)))
    assert code_of(meeting) == Code.REKEY_PROTOCOL
    meeting = AtClient()
    meeting.answer()
    meeting.hear()
    meeting.say(HANDSHAKE, message(13, t1=u(3, 4), t2=u(0x11EC, 2) + bytes(1120)))
    assert code_of(meeting) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.4", "P3.25")
def test_what_the_server_answers() -> None:
    meeting = AtServer()
    ((frame_type, payload),) = meeting.answered()
    assert frame_type == HANDSHAKE
    assert meeting.raw[-1][:2] == b"\x80\x10", "sealed under the old epoch"
    response, verify = split(payload)
    assert (response[0], verify[0]) == (13, 14)
    assert tlvs_of(response[4:])[1] == u(2, 4)
    assert tlvs_of(response[4:])[2][:2] == u(0x11EC, 2)


def _steps(every: int, count: int) -> list[bool]:
    """For each epoch from 1 on, whether the answer that ended it held RekeyVerify."""
    meeting = AtServer(reauthenticate_every=every)
    seen: list[bool] = []
    for _ in range(count):
        meeting.now += 20
        ((_, payload),) = meeting.answered()
        seen.append(len(split(payload)) == 2)
        meeting.switch()
        meeting.say(PING, bytes(8))
        meeting.hear()
    return seen


@pytest.mark.protocol("P7.5")
def test_the_server_proves_itself_again_at_every_nth_step() -> None:
    assert _steps(1, 4) == [True] * 4
    assert _steps(2, 6) == [False, True] * 3
    assert _steps(3, 6) == [False, False, True] * 2
    assert _steps(0, 4) == [False] * 4


@pytest.mark.protocol("P7.5", "P7.13", "P10.8")
@pytest.mark.parametrize(
    ("every", "verify", "good"),
    [(1, True, True), (1, False, False), (2, False, True), (2, True, False), (0, False, True), (0, True, False)],
)
def test_the_client_wants_it_exactly_then(every: int, *, verify: bool, good: bool) -> None:
    meeting = AtClient(server={"t6": u(every, 1)})
    meeting.answer(verify=verify)
    assert code_of(meeting) == (None if good else Code.REKEY_PROTOCOL)


@pytest.mark.protocol("P7.6", "P10.1")
def test_a_frame_with_more_messages_than_it_may_hold() -> None:
    client = AtClient()
    answer = client.peer.rekey_answer(client.init())
    client.say(HANDSHAKE, answer + message(16))
    assert code_of(client) == Code.BAD_RECORD
    client = AtClient()
    client.say(HANDSHAKE, message(16) + message(16))
    assert code_of(client) == Code.BAD_RECORD
    client = AtClient()
    response, verify = split(client.peer.rekey_answer(client.init()))
    client.say(HANDSHAKE, response + response)
    assert code_of(client) == Code.BAD_RECORD
    client = AtClient()
    client.init()
    client.say(HANDSHAKE, verify + response)
    assert code_of(client) in {Code.BAD_RECORD, Code.REKEY_PROTOCOL}
    server = AtServer()
    server.say(HANDSHAKE, server.peer.rekey_init() + server.peer.rekey_init())
    assert code_of(server) == Code.BAD_RECORD
    for meeting in (AtServer(), AtClient()):
        meeting.say(HANDSHAKE, b"")
        assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P7.6", "P7.13")
def test_a_response_and_its_proof_in_two_frames() -> None:
    meeting = AtClient()
    response, verify = split(meeting.peer.rekey_answer(meeting.init()))
    meeting.say(HANDSHAKE, response)
    assert code_of(meeting) == Code.REKEY_PROTOCOL
    meeting = AtClient()
    meeting.init()
    meeting.say(HANDSHAKE, verify)
    assert code_of(meeting) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P5.24", "P11.29")
def test_a_late_answer_to_the_handshakes_leaf_is_not_taken_for_the_root_steps() -> None:
    meeting = AtServer()
    handshake = meeting.wanted[0]
    meeting.init()
    give_proof(meeting.server, handshake, serving_keys(), 0.0)
    assert meeting.ours.to_send() == []
    meeting.prove()
    assert len(meeting.ours.to_send()) == 1
    meeting.prove()
    assert meeting.ours.to_send() == []
