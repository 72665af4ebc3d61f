"""Protocol §7: how old an epoch may get, and how a session ends."""

from typing import Any

import pytest

from sottovoce.session.events import Audio, Ended, EpochStarted
from sottovoce.wire import Code
from tests.session.dialogue import Pair, ended, talking
from tests.session.foreign_bytes import AUDIO, CLOSE, COVER, DTMF, HANDSHAKE, JSON, PING, SWITCH, message, u
from tests.session.meeting import AtClient, AtServer, Meeting, code_of, end_of

EPOCH = 100
Role = type[AtServer] | type[AtClient]
ROLES = [AtServer, AtClient]


def met(role: Role, epoch_seconds: int = EPOCH) -> Any:
    if role is AtServer:
        return AtServer(epoch_seconds=epoch_seconds)
    return AtClient(server={"t2": u(epoch_seconds, 2)})


def _everything_sent(meeting: Meeting) -> list[bool]:
    """Whether our machine takes each kind of frame to send."""
    session: Any = meeting.ours
    now = meeting.now
    return [
        session.seal_audio(b"x", now) is not None,
        session.send_dtmf(1, 100, now),
        session.send_ping(bytes(8), now),
        session.send_json(b"{}", now),
        session.send_mark("m", now),
        session.send_cover(3, now),
    ]


# Age


@pytest.mark.protocol("P7.22", "P7.24", "P11.30")
@pytest.mark.parametrize("role", ROLES)
def test_from_its_age_on_an_epoch_carries_no_audio_and_no_control(role: Role) -> None:
    meeting = met(role)
    meeting.now = EPOCH - 0.001
    assert all(_everything_sent(meeting))
    meeting.ours.to_send()
    meeting.now = EPOCH
    assert not any(_everything_sent(meeting))
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P7.24")
def test_past_its_age_the_root_step_still_runs() -> None:
    """Types 2, 6 and 7: init, answer, both switches; then audio flows again."""
    pair = talking(epoch_seconds=EPOCH)
    pair.tick(EPOCH + 20)
    assert pair.client.epoch == pair.server.epoch == 2
    pair.voice(up=1, down=1)


@pytest.mark.protocol("P7.24")
@pytest.mark.parametrize("role", ROLES)
def test_past_its_age_a_ping_is_not_answered_under_it(role: Role) -> None:
    meeting = met(role)
    meeting.now = EPOCH
    meeting.say(PING, bytes(8))
    assert meeting.ours.to_send() == []
    assert code_of(meeting) is None


@pytest.mark.protocol("P7.24")
@pytest.mark.parametrize("role", ROLES)
def test_past_its_age_a_session_can_still_be_ended(role: Role) -> None:
    meeting = met(role)
    meeting.now = EPOCH + 1
    meeting.ours.close(1000, meeting.now)
    assert meeting.hear() == [(CLOSE, u(1000, 2))]


@pytest.mark.protocol("P7.25")
@pytest.mark.parametrize("role", ROLES)
def test_receivers_do_not_check_age(role: Role) -> None:
    meeting = met(role)
    meeting.now = EPOCH + 25
    meeting.say(AUDIO, b"\0old")
    meeting.say(DTMF, b"\1\0\1")
    meeting.say(JSON, b"{}")
    assert code_of(meeting) is None
    assert Audio(b"\0old") in meeting.events


@pytest.mark.protocol("P7.26", "P10.5")
def test_the_server_closes_thirty_seconds_past_the_age() -> None:
    meeting = met(AtServer)
    assert meeting.at(EPOCH + 29.99) == []
    assert meeting.ours.next_deadline() == EPOCH + 30
    meeting.at(EPOCH + 30)
    assert code_of(meeting) == Code.EXPIRED
    assert meeting.hear() == [(CLOSE, u(Code.EXPIRED, 2))]


@pytest.mark.protocol("P7.27", "P10.5")
def test_the_client_closes_sixty_seconds_past_the_age() -> None:
    meeting = met(AtClient)
    meeting.init()
    assert meeting.at(EPOCH + 59.99) == []
    assert meeting.ours.next_deadline() == EPOCH + 60
    meeting.at(EPOCH + 60)
    assert code_of(meeting) == Code.EXPIRED
    assert meeting.hear() == [(CLOSE, u(Code.EXPIRED, 2))]


@pytest.mark.protocol("P7.22", "P7.26")
def test_the_servers_age_counts_from_when_it_could_first_send() -> None:
    """The answer does not start the new epoch's age at the server, the client's first record under it does."""
    meeting = met(AtServer)
    meeting.now = 50.0
    meeting.answered()
    meeting.now = 60.0
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    assert meeting.ours.next_deadline() == 60 + EPOCH + 30
    meeting.now = 60 + EPOCH - 0.01
    assert meeting.ours.seal_audio(b"x", meeting.now) is not None
    assert meeting.ours.seal_audio(b"x", 60 + EPOCH) is None


@pytest.mark.protocol("P7.22", "P7.27", "P11.40")
def test_the_clients_age_counts_from_when_it_could_first_send() -> None:
    meeting = met(AtClient)
    meeting.answer()
    began = meeting.now
    meeting.hear()
    assert meeting.ours.seal_audio(b"x", began + EPOCH - 0.01) is not None
    assert meeting.ours.seal_audio(b"x", began + EPOCH) is None


@pytest.mark.protocol("P11.40", "P7.27")
def test_an_answer_and_then_silence_at_the_client() -> None:
    """The server never switches: its old receive keys are gone 60 s past the old epoch's age."""
    meeting = met(AtClient)
    meeting.answer()
    meeting.hear()
    assert meeting.ours.next_deadline() == EPOCH + 60
    meeting.at(EPOCH + 60)
    assert code_of(meeting) == Code.EXPIRED


@pytest.mark.protocol("P11.40", "P7.26")
def test_an_answer_and_then_silence_at_the_server() -> None:
    meeting = met(AtServer)
    meeting.now = 50.0
    meeting.answered()
    assert meeting.ours.next_deadline() == EPOCH + 30
    meeting.at(EPOCH + 30)
    assert code_of(meeting) == Code.EXPIRED
    half = met(AtServer)
    half.now = 50.0
    half.answered()
    half.switch()
    half.at(EPOCH + 30)
    assert code_of(half) == Code.EXPIRED


@pytest.mark.protocol("P11.40", "P7.26")
def test_an_init_whose_signature_never_comes() -> None:
    meeting = met(AtServer)
    meeting.now = 95.0
    meeting.init()
    meeting.at(EPOCH + 30)
    assert code_of(meeting) == Code.EXPIRED


@pytest.mark.protocol("P7.23", "P11.33")
@pytest.mark.parametrize("role", ROLES)
def test_after_an_hours_sleep_nothing_more_is_sealed(role: Role) -> None:
    """The clock ran on.  Whatever is asked first, audio or the deadline, no record leaves but the last one."""
    meeting = met(role)
    meeting.now = 3600.0
    assert not any(_everything_sent(meeting))
    meeting.at(3600.0)
    assert code_of(meeting) == Code.EXPIRED
    assert [kind for kind, _ in meeting.hear()] == [CLOSE]


# End


@pytest.mark.protocol("P7.46", "P9.12", "P10.18")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("code", [1000, 1001, *(int(code) for code in Code if code >= 4400)])
def test_a_side_that_ends_says_so_in_its_last_record(role: Role, code: int) -> None:
    meeting = met(role)
    meeting.ours.close(code, 0.0)
    assert meeting.hear() == [(CLOSE, u(code, 2))]
    end = ended(meeting.ours.events())
    assert (end.code, end.local, end.truncated) == (code, True, False)
    assert not any(_everything_sent(meeting))
    meeting.ours.close(4499, 0.0)
    assert meeting.ours.to_send() == []
    assert meeting.ours.next_deadline() is None


@pytest.mark.protocol("P7.46", "P10.17")
@pytest.mark.parametrize("role", ROLES)
def test_a_fault_of_the_peer_is_told_by_its_code_and_no_more(role: Role) -> None:
    meeting = met(role)
    meeting.say(0x0E)
    assert meeting.hear() == [(CLOSE, u(Code.BAD_RECORD, 2))]


@pytest.mark.protocol("P7.48", "P10.1")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("code", [1000, 4400, 4460, 4499, 0, 65_535, 4999])
def test_the_other_side_ends_it(role: Role, code: int) -> None:
    """Whatever it says.  It is not answered, and what comes after it is ignored, right or wrong."""
    meeting = met(role)
    meeting.say(CLOSE, u(code, 2))
    end = end_of(meeting)
    assert end is not None
    assert (end.code, end.local, end.truncated) == (code, False, False)
    assert meeting.ours.to_send() == []
    for record in (meeting.out.seal(b"\0x\x01"), b"\x05", b"", bytes(20_000)):
        assert meeting.take(record) == []
    assert meeting.ours.to_send() == []
    assert meeting.ours.carriage_ended(1006) == []


@pytest.mark.protocol("P9.12", "P10.1")
@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x03\xe8\x00"])
def test_a_close_of_the_wrong_length(payload: bytes) -> None:
    meeting = met(AtServer)
    meeting.say(CLOSE, payload)
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P7.49")
def test_both_end_it_at_once() -> None:
    pair = talking()
    pair.client.close(1000, 0.0)
    pair.server.close(Code.DRAINING, 0.0)
    up, down = pair.client_records(), pair.server_records()
    for record in up:
        pair.to_server(record)
    for record in down:
        pair.to_client(record)
    assert ended([*pair.client_events, *pair.client.events()]).code == 1000
    assert ended([*pair.server_events, *pair.server.events()]).code == Code.DRAINING
    assert not pair.client.carriage_ended(1006)
    assert not pair.server.carriage_ended(1006)


@pytest.mark.protocol("P7.50", "P11.2")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 4460])
def test_a_carriage_that_ends_without_a_word_is_truncated(role: Role, code: int | None) -> None:
    meeting = met(role)
    end = ended(meeting.ours.carriage_ended(code))
    assert end.truncated
    assert not end.local
    assert meeting.ours.next_deadline() is None
    assert not any(_everything_sent(meeting))


@pytest.mark.protocol("P7.50", "P11.2")
def test_a_close_that_was_cut_off_on_the_way_is_truncation() -> None:
    pair = talking()
    pair.client.close(1000, 0.0)
    (record,) = pair.client_records()
    assert len(record) > 20
    assert ended(pair.server.carriage_ended(1000)).truncated


@pytest.mark.protocol("P7.50")
def test_an_error_found_locally_is_no_truncation() -> None:
    meeting = met(AtServer)
    meeting.take(b"\x05")
    end = end_of(meeting)
    assert end is not None
    assert end.local
    assert not end.truncated
    assert meeting.ours.carriage_ended(1006) == []


@pytest.mark.protocol("P7.28", "P7.51")
@pytest.mark.parametrize("how", ["carriage", "close", "peer", "fault"])
@pytest.mark.parametrize("role", ROLES)
def test_after_any_end_nothing_can_be_opened_or_sealed(role: Role, how: str) -> None:
    meeting = met(role)
    spare = meeting.out.seal_at(0, 0, b"\0x\x01")
    match how:
        case "carriage":
            meeting.ours.carriage_ended(None)
        case "close":
            meeting.ours.close(1000, 0.0)
        case "peer":
            meeting.say(CLOSE, u(1000, 2))
        case _:
            meeting.take(b"\x05")
    meeting.ours.events()
    meeting.ours.to_send()
    assert meeting.take(spare) == []
    assert not any(_everything_sent(meeting))


@pytest.mark.protocol("P11.34", "P4.21")
def test_the_wall_clock_is_read_once() -> None:
    """A session asks for calendar time when it begins and never again, so a wall clock that jumps changes nothing."""
    pair = Pair()
    assert not hasattr(pair.client, "wall")
    pair.run()
    for _ in range(3):
        pair.step()
    assert [event.epoch for event in pair.client_events if isinstance(event, EpochStarted)] == [2, 3, 4]
    assert not any(isinstance(event, Ended) for event in pair.client_events)


def test_frames_sent_before_and_after_a_step_all_arrive() -> None:
    pair = talking(epoch_seconds=10, padding=0)
    for _ in range(5):
        pair.voice(up=3, down=3)
        pair.step()
    meeting = met(AtClient)
    assert meeting.say(COVER, b"filling") == []
    assert (SWITCH, HANDSHAKE) == (2, 6)
    assert message(16)[:1] == b"\x10"
