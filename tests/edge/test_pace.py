"""Padding class 2 through the edge: one record of one size each frame duration, whatever the backend says."""

import itertools

import pytest
import trio

from sottovoce.edge import VoiceConfig
from sottovoce.observe import events as log_events
from sottovoce.relay import CallSink
from sottovoce.session import events
from sottovoce.wire import Codec
from tests.edge.proxy import Peer, Proxy

HAND = "/v1/voice/hand"
FRAME = bytes(320)
CODECS: dict[str, object] = {"send_codec": Codec.PCM16_8K, "receive_codec": Codec.PCM16_8K}


class Listening:
    """A client that hears, and notes when each record came and how long it was."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.came: list[tuple[float, int]] = []

    async def hear(self) -> None:
        while data := await self.peer.tls.receive_some():
            for record in self.peer.websocket.receive(data):
                if isinstance(record, bytes):
                    self.came.append((trio.current_time(), len(record)))
                    payload = self.peer.voice.open_audio(record, trio.current_time())
                    self.peer.audio += [] if payload is None else [payload]
            self.peer.heard += self.peer.voice.events()


async def _speak_unevenly(sink: CallSink) -> None:
    for pause in (0.0, 0.0, 0.03, 0.2, 0.001):
        sink.audio(FRAME, 0, None)
        await trio.sleep(pause)
    sink.json(b"{}")
    sink.mark("heard")


@pytest.mark.protocol("P9.30")
async def test_records_keep_one_pace_and_one_size_in_speech_and_silence(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(padding=2))
    async with proxy.called(HAND, **CODECS) as peer, trio.open_nursery() as nursery:
        listening = Listening(peer)
        nursery.start_soon(listening.hear)
        await trio.sleep(0.5)
        await _speak_unevenly(proxy.hand.sinks[0])
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    assert len(peer.audio) == 5
    assert any(isinstance(event, events.Mark) for event in peer.heard)
    # 328 bytes of plaintext, a tag, and an SFrame header of 2 or 3 bytes: its counter grows with the call.
    in_slots = [moment for moment, length in listening.came if length in {346, 347, 348}]
    assert {round(after - before, 3) for before, after in itertools.pairwise(in_slots)} == {0.02}
    assert len(listening.came) - len(in_slots) == 1, "the JSON object alone leaves at once, outside of the slots"


async def test_a_backend_that_hangs_up_is_heard_to_its_last_word(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(padding=2))
    async with proxy.called(HAND, **CODECS) as peer:
        await trio.testing.wait_all_tasks_blocked()
        sink = proxy.hand.sinks[0]
        for _ in range(10):
            sink.audio(FRAME, 0, None)
        sink.hung_up("goodbye")
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == 1000
    assert len(peer.audio) == 10


async def test_a_backend_that_is_faster_than_the_pace_loses_its_oldest(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(padding=2, queue_frames=5))
    async with proxy.called(HAND, **CODECS) as peer:
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(20):
            proxy.hand.sinks[0].audio(FRAME, 0, None)
        proxy.hand.sinks[0].hung_up("goodbye")
        await peer.hear_end()
        statistics = proxy.hand.legs[0].end.statistics if proxy.hand.legs[0].end else None
    assert statistics is not None
    assert (statistics.frames_to_client, statistics.frames_dropped_to_client) == (len(peer.audio), 20 - len(peer.audio))
    assert 5 <= len(peer.audio) <= 7


async def test_a_frame_that_fits_no_slot_is_counted_as_dropped(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(padding=2))
    async with proxy.called(HAND, **CODECS) as peer:
        await trio.testing.wait_all_tasks_blocked()
        proxy.hand.sinks[0].audio(bytes(400), 0, None)
        proxy.hand.sinks[0].audio(FRAME, 0, None)
        proxy.hand.sinks[0].hung_up("goodbye")
        await peer.hear_end()
        statistics = proxy.hand.legs[0].end.statistics if proxy.hand.legs[0].end else None
    assert statistics is not None
    assert (statistics.frames_to_client, statistics.frames_dropped_to_client) == (1, 1)


async def _keep_time(peer: Peer) -> None:
    while (due := peer.voice.next_deadline()) is not None:
        await trio.sleep_until(due)
        peer.voice.on_deadline(trio.current_time())
        await peer.flush()


async def test_a_signature_has_the_time_of_the_epoch_and_not_of_a_slot(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(padding=2, epoch_seconds=10))
    async with proxy.called(HAND, **CODECS) as peer, trio.open_nursery() as nursery:
        proxy.signer.seconds = 0.3
        nursery.start_soon(Listening(peer).hear)
        nursery.start_soon(_keep_time, peer)
        await trio.sleep(30)
        assert peer.voice.epoch == 4
        nursery.cancel_scope.cancel()
    assert all(deadline - asked_at > 10 for asked_at, deadline in proxy.signer.deadlines[1:])
    assert not proxy.log.named(log_events.SIGNATURE_DROPPED)
