"""Clients that fall silent, and such as do not read."""

from typing import Any, cast

import pytest
import trio
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sottovoce.edge import VoiceConfig
from sottovoce.observe import events as log_events
from sottovoce.session import events
from sottovoce.wire import Code, Codec
from tests.edge.proxy import Peer, Proxy

HAND = "/v1/voice/hand"
FRAME = bytes(range(160))


@pytest.mark.protocol("P10.18")
async def test_a_client_that_falls_silent_is_told_and_its_call_ends_after_three_heartbeats(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10))
    async with proxy.called(HAND) as peer:
        await peer.say(FRAME)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        heard = await _hear_without_answering(peer)
        assert trio.current_time() - began == pytest.approx(30, abs=0.5)
    assert heard == [events.Ended(Code.GOING_AWAY, "ended by the other side", local=False)], "and in a frame of type 7"
    assert proxy.log.named(log_events.SESSION_ENDED)[0]["reason"] == "idle: nothing came in three heartbeats"
    assert proxy.hand.legs[0].end is not None
    assert not proxy.hand.legs[0].end.truncated


async def test_a_client_that_only_answers_pings_stays(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10))
    async with proxy.called(HAND) as peer:
        with trio.move_on_after(200):
            await peer.hear_end()
        assert peer.voice.is_open
        assert proxy.calls[0]._session.is_open


async def test_a_silent_call_holds_no_cipher(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10))
    async with proxy.called(HAND) as peer:
        await peer.say(FRAME)
        await peer.until(lambda: bool(proxy.hand.legs))
        assert _ciphers(proxy) == 0, "it has just begun"
        for _ in range(20):
            await peer.say(FRAME)
        await trio.testing.wait_all_tasks_blocked()
        assert _ciphers(proxy) > 0
        with trio.move_on_after(100):
            await peer.hear_end()  # and answer pings
        assert _ciphers(proxy) == 0
        await peer.say(FRAME)
        await trio.testing.wait_all_tasks_blocked()
        assert len(proxy.hand.legs[0].told) == 22


async def test_a_call_that_sends_in_slots_keeps_its_ciphers(autojump_clock: trio.testing.MockClock) -> None:
    """Its clock rings for every record; it is no silence that a record alone came since."""
    proxy = Proxy(VoiceConfig(padding=2))
    async with proxy.called(HAND, send_codec=Codec.PCM16_8K, receive_codec=Codec.PCM16_8K) as peer:
        for _ in range(50):
            with trio.move_on_after(1):
                await peer.hear_end()
            assert _ciphers(proxy) == 2, "for sending, inside and outside"


async def test_pings_of_the_websocket_are_no_sign_of_life(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10))
    async with proxy.called(HAND) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(_ping_for_ever, peer)
        await _hear_without_answering(peer)
        nursery.cancel_scope.cancel()
    assert proxy.log.named(log_events.SESSION_ENDED)[0]["code"] == Code.GOING_AWAY


async def test_without_a_heartbeat_silence_is_no_end(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=0, epoch_seconds=3600))
    async with proxy.called(HAND) as peer:
        with trio.move_on_after(1_000):
            await _hear_without_answering(peer)
        assert proxy.calls[0]._session.is_open
        assert peer.voice.is_open


async def test_the_time_in_which_a_backend_is_connected_does_not_count(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10))
    proxy.hand.seconds = 100.0
    async with proxy.called(HAND):
        await trio.sleep(105)
        assert proxy.calls[0]._session.is_open


async def test_a_question_that_could_not_be_put_is_not_counted(autojump_clock: trio.testing.MockClock) -> None:
    """The backend says as much as the client has to take; so no ping leaves, and nobody is asked for an answer."""
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10, epoch_seconds=3600))
    async with proxy.called(HAND) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.hear_end)
        nursery.start_soon(_talk_without_a_pause, proxy)
        await trio.sleep(45)
        assert peer.voice.is_open
        nursery.cancel_scope.cancel()


async def test_a_client_that_does_not_read_is_ended(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10, write_stall_seconds=5, epoch_seconds=3600))
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.lockstep_stream_pair()
        nursery.start_soon(proxy.serve, theirs)
        peer = Peer(ours, HAND)
        await peer.open()
        await peer.say(FRAME)
        began = trio.current_time()
        proxy.hand.sinks[0].audio(FRAME, 0, None)
        while proxy.calls[0]._session.is_open:
            await trio.sleep(1)
            if trio.current_time() - began < 4:
                await peer.say(FRAME)
        assert 5 <= trio.current_time() - began <= 16
        nursery.cancel_scope.cancel()
    ended = proxy.log.named(log_events.SESSION_ENDED)[0]
    assert (ended["code"], ended["reason"]) == (Code.RATE_LIMITED, "the client does not read")


async def test_a_client_that_reads_slowly_is_not_ended(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(heartbeat_seconds=10, write_stall_seconds=5, epoch_seconds=3600))
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.lockstep_stream_pair()
        nursery.start_soon(proxy.serve, theirs)
        peer = Peer(ours, HAND)
        await peer.open(send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0)
        await trio.testing.wait_all_tasks_blocked()
        peer.tls.transport = cast("trio.abc.Stream", _Slow(peer.tls.transport))
        for _ in range(100):
            proxy.hand.sinks[0].data(bytes(8_000))
        began = trio.current_time()
        with trio.move_on_after(300):
            await peer.until(lambda: len(_data(peer)) == 100)
        assert len(_data(peer)) == 100
        assert trio.current_time() - began > 30
        nursery.cancel_scope.cancel()


def _ciphers(proxy: Proxy) -> int:
    """How many ciphers a call holds keyed."""
    call: Any = proxy.calls[0]
    session, core = call._session, call._flow._line._core
    held = (session._sender._current.cipher, session._receiver._current.cipher, core._aead, core._rx_aead)
    return sum(isinstance(each, AESGCM) for each in held)


def _data(peer: Peer) -> list[events.Event]:
    return [each for each in peer.heard if isinstance(each, events.Data)]


class _Slow:
    """A connection over which little comes in a second."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.send_all = stream.send_all
        self.aclose = stream.aclose

    async def receive_some(self, _: int | None = None) -> bytes | bytearray:
        await trio.sleep(1)
        return await self._stream.receive_some(8_192)


async def _hear_without_answering(peer: Peer) -> list[events.Event]:
    """Read to the session's end; take records, and send nothing."""
    heard: list[events.Event] = []
    while not peer.voice.has_ended and (data := await peer.tls.receive_some()):
        for message in peer.websocket.receive(data):
            if isinstance(message, bytes):
                heard += peer.voice.receive(message, trio.current_time())
        peer.voice.to_send()
    return heard


async def _ping_for_ever(peer: Peer) -> None:
    while True:
        await trio.sleep(1)
        peer.websocket.send_ping(b"")
        await peer.tls.send_all(peer.websocket.to_send())


async def _talk_without_a_pause(proxy: Proxy) -> None:
    await trio.sleep(0.003)
    while True:
        for _ in range(4):
            proxy.hand.sinks[0].json(b"{}")
        await trio.sleep(0.1)
