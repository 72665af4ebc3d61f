"""Messages in a stream of bytes, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.primitives import ApiMisuse
from sottovoce.relay.audiosocket.framing import AudioSocketFraming, Kind
from sottovoce.transport import PeerClosed, WsFailed

KNOWN = sorted(set(Kind) - {Kind.HANG_UP})
MESSAGES = st.lists(st.tuples(st.sampled_from(KNOWN), st.binary(max_size=400)), max_size=8)


def encoded(kind: int, payload: bytes) -> bytes:
    return bytes([kind, *divmod(len(payload), 256)]) + payload


@given(MESSAGES, st.integers(1, 500), st.booleans())
def test_messages_come_out_as_they_were_put_in(messages: list[tuple[int, bytes]], cut: int, hang_up: bool) -> None:  # noqa: FBT001  hypothesis gives it
    data = b"".join(encoded(*message) for message in messages) + b"\0\0\0" * hang_up
    framing = AudioSocketFraming()
    heard = [event for at in range(0, len(data), cut) for event in framing.receive(data[at : at + cut])]
    expected = [bytes([kind]) + payload for kind, payload in messages]
    assert heard == [*expected, *[PeerClosed(1000, "")] * hang_up]
    assert framing.receive_eof() == ([] if hang_up else [PeerClosed(1005, "")])
    assert framing.is_over
    assert not framing.is_open
    assert framing.receive(encoded(16, b"late")) == framing.receive_eof() == []


@given(st.binary(max_size=3000))
def test_nothing_makes_it_raise(data: bytes) -> None:
    framing = AudioSocketFraming()
    for event in framing.receive(data) + framing.receive_eof():
        assert isinstance(event, bytes | PeerClosed | WsFailed)
    assert framing.is_over
    assert framing.to_send() == b""


@given(MESSAGES)
def test_what_is_sent_is_what_is_read(messages: list[tuple[int, bytes]]) -> None:
    framing = AudioSocketFraming()
    for kind, payload in messages:
        framing.send_binary(bytes([kind]) + payload)
    assert framing.to_send() == b"".join(encoded(*message) for message in messages)
    assert framing.to_send() == b""


@given(st.binary(max_size=30), MESSAGES)
def test_a_message_that_stands_by_itself_is_the_same_message(data: bytes, messages: list[tuple[int, bytes]]) -> None:
    for each in (data, *(encoded(*message) for message in messages)):
        quick, thorough = AudioSocketFraming(), AudioSocketFraming()
        message = quick.receive_message(each)
        assert thorough.receive(each) == [message] if message is not None else quick.receive(each) is not None
    framing = AudioSocketFraming()
    framing.receive(b"\x10")
    assert framing.receive_message(encoded(16, b"ab")) is None


def test_the_longest_message() -> None:
    framing = AudioSocketFraming()
    framing.send_binary(b"\x10" + bytes(65_535))
    data = framing.to_send()
    assert data[:3] == b"\x10\xff\xff"
    assert framing.receive(data[:-1]) == []
    assert framing.receive(data[-1:]) == [b"\x10" + bytes(65_535)]


def test_closing_is_said_once_and_waits_for_the_server() -> None:
    framing = AudioSocketFraming()
    framing.close(1000)
    framing.close(1008)
    assert framing.to_send() == b"\0\0\0"
    assert not framing.is_open
    assert not framing.is_over
    assert framing.receive(encoded(16, b"ab")) == [b"\x10ab"]
    assert framing.receive_eof() == [PeerClosed(1005, "")]
    assert framing.is_over


@given(MESSAGES, st.sampled_from(sorted(set(range(256)) - set(Kind))), st.binary(min_size=2, max_size=900))
def test_a_type_that_there_is_not_is_told_at_its_header_and_nothing_behind_it(
    messages: list[tuple[int, bytes]], kind: int, rest: bytes
) -> None:
    whole = b"".join(encoded(*message) for message in messages)
    told = [*(bytes([known]) + payload for known, payload in messages), bytes([kind])]
    framing = AudioSocketFraming()
    assert framing.receive(whole + bytes([kind, *rest])) == told
    slow = AudioSocketFraming()
    heard = [event for byte in whole + bytes([kind, *rest[:1]]) for event in slow.receive(bytes([byte]))]
    assert heard + slow.receive(rest[1:2]) == told
    for each in (framing, slow):
        assert each.receive(encoded(16, b"ab")) == each.receive(b"\0\0\0") == []
        assert each.receive_message(encoded(16, b"ab")) is None
        assert each.is_open
        each.close(1008)
        assert each.to_send() == b"\xff\0\1\2\0\0\0"
        assert each.receive_eof() == [PeerClosed(1005, "")]
        assert each.is_over


def test_the_last_message_that_stands_by_itself_is_no_exception() -> None:
    framing = AudioSocketFraming()
    assert framing.receive_message(encoded(0x48, b"")) is None
    assert framing.receive(encoded(0x48, b"")) == [b"H"]


def test_a_text_is_our_own_fault() -> None:
    with pytest.raises(ApiMisuse):
        AudioSocketFraming().send_text("no")
