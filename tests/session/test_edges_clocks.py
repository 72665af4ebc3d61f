"""Protocol §4, §7, §9: what happens at the very moment that something is due, and which of two moments comes first."""

import pytest

from sottovoce.session import Identity, ServerConfig
from sottovoce.session.events import Ended
from sottovoce.session.talk.slots import Slots
from sottovoce.wire import SLOT_CATCH_UP, Code, Codec
from tests.session.carriers import ServerOverTwo
from tests.session.dialogue import Credentials, Pair, ended, make_server, talking
from tests.session.foreign_bytes import CLOSE, HANDSHAKE, u
from tests.session.keys import DAY, WALL
from tests.session.meeting import AtClient, AtServer, Meeting, code_of, end_of

ROLES = [AtServer, AtClient]
Role = type[AtServer] | type[AtClient]


def _reason(meeting: Meeting) -> str:
    end = end_of(meeting)
    assert end is not None
    assert end.code == Code.EXPIRED
    return end.reason


# The end of a session, and what it is told as


@pytest.mark.protocol("P7.46", "P10.5")
@pytest.mark.parametrize("role", ROLES)
def test_who_closes_at_the_moment_of_the_end_was_too_late(role: Role) -> None:
    """One moment before, the code that was handed in is said; at the end the session has expired."""
    for early, code in ((0.001, 1000), (0.0, Code.EXPIRED)):
        meeting = role()
        due = meeting.ours.ends_at
        assert due is not None
        meeting.ours.close(1000, due - early)
        assert ended(meeting.ours.events()).code == code
        assert meeting.hear() == [(CLOSE, u(code, 2))]
        assert meeting.ours.ends_at is None, "a session that has ended does not end again"


@pytest.mark.protocol("P7.46", "P9.12")
@pytest.mark.parametrize("code", [0, 65_535])
def test_the_least_and_the_greatest_code_are_said_as_they_are(code: int) -> None:
    meeting = AtServer()
    meeting.ours.close(code, 0.0)
    assert meeting.hear() == [(CLOSE, u(code, 2))]


@pytest.mark.protocol("P2.17", "P7.26", "P4.21", "P10.5")
def test_an_end_by_time_says_which_time_it_was() -> None:
    handshake = AtServer(established=False)
    handshake.at(5.0)
    assert _reason(handshake) == "the handshake took too long"
    epoch = AtServer(epoch_seconds=10)
    epoch.at(40.0)
    assert _reason(epoch) == "an epoch was not renewed in time"
    credential = AtServer(credentials=Credentials(Identity("alice", expires_at=WALL + 100)))
    due = credential.ours.next_deadline()
    assert due is not None
    credential.at(due)
    assert _reason(credential) == "the session or its credential is at its end"


@pytest.mark.protocol("P7.50")
@pytest.mark.parametrize("role", ROLES)
def test_a_connection_that_ends_says_whether_the_handshake_was_done(role: Role) -> None:
    (early,) = role(established=False).ours.carriage_ended()
    (late,) = (event for event in role().ours.carriage_ended() if isinstance(event, Ended))
    assert isinstance(early, Ended)
    assert early.reason == "the connection ended during the handshake"
    assert late.reason == "the connection ended and nobody said why"


@pytest.mark.protocol("P4.21", "P4.23")
def test_a_credential_that_outlives_the_day_does_not_make_it_longer() -> None:
    credentials = Credentials(Identity("alice", expires_at=WALL + 2 * DAY))
    pair = Pair(server=make_server(ServerConfig(epoch_seconds=3600, reauthenticate_every=0), credentials=credentials))
    pair.run()
    while (due := pair.client.next_deadline()) is not None and due < DAY:
        pair.tick(due)
    assert pair.server.ends_at == DAY
    pair.tick(DAY)
    assert ended(pair.server_events).code == Code.EXPIRED


# The first of two moments


@pytest.mark.protocol("P4.21", "P9.30")
def test_a_session_that_ends_between_two_slots_ends_then() -> None:
    credentials = Credentials(Identity("alice", expires_at=WALL + 1.01))
    meeting = AtServer(padding=2, credentials=credentials)
    records = 0
    while (due := meeting.ours.next_deadline()) is not None:
        meeting.at(due)
        records += len(meeting.ours.to_send())
    assert meeting.now == pytest.approx(1.01, abs=1e-6)
    assert code_of(meeting) == Code.EXPIRED
    assert records == 51 + 1, "a slot each 20 ms from 0 to 1 s, and the end"


@pytest.mark.protocol("P7.26", "P7.39")
def test_a_session_that_ends_while_an_old_key_is_kept_ends_then() -> None:
    meeting = ServerOverTwo(epoch_seconds=10)
    meeting.now = 39.0
    assert meeting.throw(meeting.lossy_out.seal_at(1, 0, b"\0x\x01")) == b"\0x"
    assert meeting.ours.next_deadline() == 40.0, "not 41, when the kept key has to go"
    early = ServerOverTwo(epoch_seconds=10)
    early.throw(early.lossy_out.seal_at(1, 0, b"\0x\x01"))
    assert early.ours.next_deadline() == 2.0


@pytest.mark.protocol("P9.30", "P11.38")
@pytest.mark.parametrize("role", ROLES)
def test_a_deadline_that_comes_early_fills_no_slot(role: Role) -> None:
    """A shell may call for another reason, or a little too early: still one record a slot."""
    meeting = AtServer(padding=2) if role is AtServer else AtClient(server={"t4": b"\x02"})
    meeting.at(0.0)
    assert len(meeting.ours.to_send()) == 1
    for now in (0.0, 0.01, 0.019):
        meeting.at(now)
        assert meeting.ours.to_send() == []
    meeting.at(0.02)
    assert len(meeting.ours.to_send()) == 1


@pytest.mark.protocol("P9.30")
@pytest.mark.parametrize(("began_at", "milliseconds"), [(0.0, 20), (0.0, 10), (3.7, 20), (1_000.1, 60)])
def test_who_wakes_at_a_slots_own_moment_sends_as_many_as_are_allowed(began_at: float, milliseconds: int) -> None:
    """Not one more, whichever way the division of two times is rounded: 0.58 / 0.02 is less than 29."""
    seconds = milliseconds / 1000
    for index in range(SLOT_CATCH_UP - 1, 400):
        slots = Slots(Codec.PCM16_16K, milliseconds, began_at)
        now = began_at + index * seconds
        records = 0
        while slots.due_at <= now:
            slots.take(now)
            records += 1
        assert records == SLOT_CATCH_UP
        assert slots.due_at == began_at + (index + 1) * seconds


# The root step


@pytest.mark.protocol("P7.9", "P7.2")
@pytest.mark.parametrize("late", [0.0, 0.001])
def test_a_request_that_comes_when_a_step_may_come_again_starts_it_at_once(late: float) -> None:
    pair = talking().step()
    answered_at = pair.now
    pair.at(answered_at + 10.0 * 1.01 + late)
    pair.server.request_rekey()
    pair.run()
    assert pair.client.epoch == pair.server.epoch == 3


@pytest.mark.protocol("P7.7", "P10.8")
@pytest.mark.parametrize("is_answered", [False, True])
def test_an_init_for_the_epoch_that_is_being_made(*, is_answered: bool) -> None:
    """It names the epoch that a first one may name, and the least time has passed: what is wrong is that one runs."""
    meeting = AtServer()
    if is_answered:
        meeting.answered()
    else:
        meeting.init()
    meeting.now = 20.0
    meeting.init(epoch=2)
    assert _refusal(meeting) == "a RekeyInit during a root step"


@pytest.mark.protocol("P7.13", "P10.8")
def test_a_second_answer_that_names_the_epoch_behind() -> None:
    """The client sends under epoch 2 already, so the next one is 3; but nobody asked for it."""
    meeting = AtClient()
    init = meeting.init()
    meeting.say(HANDSHAKE, meeting.peer.rekey_answer(init))
    assert meeting.client.epoch == 2
    meeting.say(HANDSHAKE, meeting.peer.rekey_answer(init))
    assert _refusal(meeting) == "an unsolicited RekeyResponse"


def _refusal(meeting: Meeting) -> str:
    end = end_of(meeting)
    assert end is not None
    assert end.code == Code.REKEY_PROTOCOL
    return end.reason
