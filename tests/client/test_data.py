"""Calls without audio (codec 0), and calls in which each record has its slot (padding class 2)."""

import pytest

from sottovoce.client.items import Audio, Data
from sottovoce.primitives import ApiMisuse
from sottovoce.session import ServerConfig, events
from sottovoce.wire import Codec
from tests.client.servers import FRAME, PureServer, Talk, settings

_DATA = ServerConfig(codecs=(Codec.NONE,))
_CONSTANT = ServerConfig(padding=2, epoch_seconds=3600)


# --- data sessions --------------------------------------------------------------------------------------------------


@pytest.mark.protocol("P9.24")
def test_bytes_go_both_ways() -> None:
    talk = Talk(PureServer(config=_DATA), settings(codec=Codec.NONE)).run()
    machine, session = talk.machine, talk.server.session
    assert machine.is_open
    assert session is not None
    (established,) = (each for each in talk.server.events if isinstance(each, events.Established))
    assert (established.send_codec, established.receive_codec, established.frame_milliseconds) == (0, 0, 0)
    assert machine.send_data(b"one", 0.0)
    assert machine.send_data(bytes(8000), 0.0)
    assert session.send_data(b"two", 0.0)
    talk.server.settle()
    talk.run()
    assert [each.data for each in talk.server.events if isinstance(each, events.Data)] == [b"one", bytes(8000)]
    assert machine.items() == [Data(b"two")]
    assert repr(Data(b"hunter2")) == "Data(7 bytes)"


@pytest.mark.protocol("P9.25", "P9.26")
def test_the_two_kinds_of_call_do_not_mix() -> None:
    data = Talk(PureServer(config=_DATA), settings(codec=Codec.NONE)).run().machine
    with pytest.raises(ApiMisuse, match="send_data"):
        data.send_audio(FRAME, 0.0)
    with pytest.raises(ApiMisuse):
        data.send_mute(0.0, muted=True)
    with pytest.raises(ApiMisuse, match="data"):
        data.send_data(bytes(8001), 0.0)
    assert data.send_json({"still": "open"}, 0.0)
    voice = Talk().run().machine
    with pytest.raises(ApiMisuse, match=r"Codec\.NONE"):
        voice.send_data(b"data", 0.0)
    assert voice.send_audio(FRAME, 0.0)


def test_before_it_is_open_nothing_is_said() -> None:
    machine = Talk(PureServer(config=_DATA), settings(codec=Codec.NONE)).machine
    assert not machine.send_data(b"data", 0.0)


# --- padding class 2 ------------------------------------------------------------------------------------------------


def _slots(talk: Talk, until: float) -> list[int]:
    """Let each slot go by until then; gives how many bytes the client sent in each."""
    sizes = []
    while (due := talk.machine.next_deadline()) is not None and due <= until:
        talk.now = talk.server.now = due
        talk.machine.on_deadline(due)
        data = talk.machine.to_send()
        sizes.append(len(data))
        talk.server.receive(data, due)
    return sizes


@pytest.mark.protocol("P9.30")
def test_one_record_of_one_size_for_each_frame_duration_whatever_is_said() -> None:
    talk = Talk(PureServer(config=_CONSTANT)).run()
    machine = talk.machine
    silent = _slots(talk, 1.0)
    assert len(silent) in {50, 51}
    assert max(silent) - min(silent) <= 1, "CTR takes a byte more from 8 on, whatever is said"
    assert machine.send_audio(FRAME, 1.0)
    assert machine.send_dtmf(1, 100, 1.0)
    assert machine.send_mute(1.0, muted=True)
    assert not machine.has_output, "everything waits for its slot"
    spoken = _slots(talk, 1.2)
    assert set(spoken) == {max(silent)}
    assert talk.server.audio == [b"\0" + FRAME]
    assert machine.statistics.frames_sent == 1


def test_a_second_frame_has_to_wait_and_the_slot_makes_room() -> None:
    talk = Talk(PureServer(config=_CONSTANT)).run()
    machine = talk.machine
    _slots(talk, 0.0)
    assert machine.send_audio(b"one", 0.001)
    assert not machine.send_audio(b"two", 0.002)
    assert machine.may_send(0.002)
    assert not machine.send_audio(b"two", 0.021), "the attempt has emptied the slot that was due"
    assert machine.send_audio(b"two", 0.022)
    talk.now = 0.1
    _slots(talk, 0.1)
    assert [payload[1:] for payload in talk.server.audio] == [b"one", b"two"]


def test_a_frame_that_does_not_fit_is_counted_and_not_sent() -> None:
    talk = Talk(PureServer(config=_CONSTANT), settings(codec=Codec.OPUS_48K_MONO)).run()
    assert talk.machine.send_audio(bytes(1000), 0.0)
    assert (talk.machine.statistics.frames_sent, talk.machine.statistics.frames_too_large) == (0, 1)


@pytest.mark.protocol("P7.46")
def test_what_was_said_leaves_before_the_call_does() -> None:
    talk = Talk(PureServer(config=_CONSTANT)).run()
    machine = talk.machine
    _slots(talk, 0.0)
    assert machine.send_dtmf(1, 100, 0.001)
    assert machine.send_audio(FRAME, 0.001)
    machine.close(0.002)
    machine.close(0.003)
    assert machine.ended is None
    assert not machine.send_audio(FRAME, 0.004)
    assert not machine.send_dtmf(1, 100, 0.004)
    _slots(talk, 0.1)
    talk.run()
    assert talk.server.audio == [b"\0" + FRAME]
    assert machine.ended is not None
    assert (machine.ended.code, machine.ended.truncated) == (1000, False)
    assert talk.server.ended is not None
    assert talk.server.ended.code == 1000


def test_dropping_waits_for_no_slot() -> None:
    talk = Talk(PureServer(config=_CONSTANT)).run()
    talk.machine.send_audio(FRAME, 0.001)
    talk.machine.close(0.002)
    talk.machine.drop(0.003)
    assert talk.machine.is_over
    assert talk.machine.ended is not None
    assert talk.machine.ended.code == 1001


def test_a_frame_comes_back_through_the_servers_slot() -> None:
    talk = Talk(PureServer(config=_CONSTANT)).run()
    talk.server.say(b"hello")
    talk.at(0.02)
    talk.at(0.04)
    assert Audio(b"hello") in talk.machine.items()
