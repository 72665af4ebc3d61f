"""Frames that complete no message: a few are answered or passed over, a flood of them ends the connection."""

import pytest

from sottovoce.transport import PeerClosed, WsFailed
from sottovoce.transport.limits import IDLE_FRAMES_PAID, MAX_IDLE_FRAMES
from tests.transport.websocket.dialogue import BINARY, CLOSE, CONT, PING, PONG, frame, open_server

FLOODED = WsFailed("the peer sent too many frames without completing a message", None, 1008)


@pytest.mark.parametrize(
    ("nothing", "counts"),
    [(frame(PING, masked=True), 1), (frame(PONG, masked=True), 1), (frame(CONT, masked=True, fin=False), 4)],
    ids=["pings", "pongs", "empty fragments"],
)
def test_a_flood_of_frames_that_carry_nothing(nothing: bytes, counts: int) -> None:
    end = open_server()
    end.receive(frame(BINARY, b"a", masked=True, fin=False))
    left = (MAX_IDLE_FRAMES - 4) // counts
    assert end.receive(nothing * (left - 1)) == []
    [failed] = end.receive(nothing * 2)
    assert failed == FLOODED
    assert end.to_send().endswith(frame(CLOSE, (1008).to_bytes(2), masked=False))
    assert end.is_over


NOTHING = [frame(PING, b"x", masked=True), frame(PONG, masked=True)]


@pytest.mark.parametrize("nothing", NOTHING, ids=["pings", "pongs"])
def test_a_few_between_messages_are_no_flood(nothing: bytes) -> None:
    end = open_server()
    for _ in range(MAX_IDLE_FRAMES):
        assert end.receive(nothing * IDLE_FRAMES_PAID) == []
        assert end.receive(frame(BINARY, b"a", masked=True)) == [b"a"]
    assert not end.is_over


def test_messages_in_several_fragments_are_no_flood() -> None:
    first, *others = (frame(opcode, b"a", masked=True, fin=False) for opcode in (BINARY, CONT, CONT, CONT))
    """Of which the last one completes it, and the others count as four each."""
    end = open_server()
    for _ in range(MAX_IDLE_FRAMES):
        assert end.receive(b"".join((first, *others, frame(CONT, b"b", masked=True)))) == [b"aaaab"]


@pytest.mark.parametrize("nothing", NOTHING, ids=["pings", "pongs"])
@pytest.mark.parametrize("are_together", [True, False], ids=["together", "each by itself"])
def test_a_message_now_and_then_does_not_excuse_a_flood(nothing: bytes, *, are_together: bool) -> None:
    end = open_server()
    message = frame(BINARY, b"a", masked=True)
    pieces = [nothing * (MAX_IDLE_FRAMES // 2), message] * 3
    heard = [end.receive(data) for data in ([b"".join(pieces)] if are_together else pieces)]
    events = [event for each in heard for event in each]
    assert events[:2] == [b"a", b"a"]
    assert events[2] == FLOODED
    assert len(events) == 3


def test_each_ping_is_answered_in_its_order() -> None:
    end = open_server()
    end.receive(b"".join(frame(PING, bytes([number]) * number, masked=True) for number in range(126)))
    assert end.to_send() == b"".join(frame(PONG, bytes([number]) * number, masked=False) for number in range(126))


def test_a_ping_behind_our_close_and_theirs_harms_nobody() -> None:
    end = open_server()
    end.close(1000)
    end.to_send()
    assert end.receive(frame(PING, b"x", masked=True)) == []
    [closed] = end.receive(frame(CLOSE, (1000).to_bytes(2), masked=True) + frame(PING, b"x", masked=True))
    assert isinstance(closed, PeerClosed)
    assert end.is_over
