"""A server that lets no further epoch begin: the one that runs is finished, and who asks for more is sent elsewhere."""

import pytest

from sottovoce.wire import Code
from tests.session.foreign_bytes import PING, PONG
from tests.session.meeting import AtServer, code_of


def epoch_begun(meeting: AtServer) -> None:
    """Go through a root step, to its end."""
    meeting.answered()
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    meeting.now += 20.0


@pytest.mark.protocol("P10.15")
@pytest.mark.parametrize("reauthenticate_every", [0, 1])
def test_the_next_step_is_answered_by_draining_and_costs_no_signature(reauthenticate_every: int) -> None:
    meeting = AtServer(reauthenticate_every=reauthenticate_every)
    meeting.server.refuse_rekey(meeting.now)
    meeting.say(PING, bytes(8))
    assert [kind for kind, _ in meeting.hear()] == [PONG], "the epoch goes on"
    asked = len(meeting.wanted)
    meeting.init()
    assert code_of(meeting) == Code.DRAINING
    assert len(meeting.wanted) == asked


def test_a_step_that_waits_for_its_signature_ends_the_session_at_once() -> None:
    meeting = AtServer()
    meeting.init()
    meeting.server.refuse_rekey(meeting.now)
    meeting.events += meeting.server.events()
    assert code_of(meeting) == Code.DRAINING


def test_a_step_that_was_answered_is_gone_through_and_the_next_one_is_not() -> None:
    meeting = AtServer()
    meeting.answered()
    meeting.server.refuse_rekey(meeting.now)
    meeting.switch()
    meeting.say(PING, bytes(8))
    assert meeting.server.epoch == 2
    meeting.hear()
    meeting.now += 20.0
    meeting.init()
    assert code_of(meeting) == Code.DRAINING


def test_a_step_that_is_wrong_is_told_so_first() -> None:
    meeting = AtServer()
    meeting.server.refuse_rekey(meeting.now)
    meeting.init(epoch=7)
    assert code_of(meeting) == Code.REKEY_PROTOCOL


def test_let_on_again_epochs_follow_each_other() -> None:
    meeting = AtServer()
    meeting.server.refuse_rekey(meeting.now)
    meeting.server.let_rekey()
    epoch_begun(meeting)
    epoch_begun(meeting)
    assert code_of(meeting) is None
    assert meeting.server.epoch == 3
