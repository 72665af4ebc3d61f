"""A voice call through the edge, in memory: TLS, upgrade, handshake, conversation."""

import pytest
import trio

from sottovoce.audit import AuditFailed, CallEnded, CallStarted, ClassicalSuiteUsed
from sottovoce.edge import VoiceConfig
from sottovoce.hsm import HsmTimeout
from sottovoce.observe import events as log_events
from sottovoce.primitives import Suite
from sottovoce.session import events
from sottovoce.transport import ServerWebSocket, WsEvent
from sottovoce.wire import Code, Codec
from tests.edge.house import house
from tests.edge.proxy import CLIENT, Peer, Proxy

HAND = "/v1/voice/hand"
FRAME = bytes(range(160))


async def test_audio_comes_back_through_echo_and_both_logs_know_of_it(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called() as peer:
        for number in range(5):
            await peer.say(bytes([number]) * 160, flags=0x20)
        await peer.until(lambda: len(peer.audio) == 5)
        await peer.close()
    assert peer.audio == [b"\x20" + bytes([number]) * 160 for number in range(5)]
    assert peer.closed is not None
    assert peer.closed.code == 1000
    started, ended = proxy.log.audit
    assert isinstance(started, CallStarted)
    assert (started.route, started.suite, started.client) == ("echo", "X25519MLKEM768_AES256GCM", CLIENT)
    assert isinstance(ended, CallEnded)
    assert (ended.code, ended.side, ended.truncated, ended.frames_received, ended.frames_sent) == (
        1000,
        "client",
        False,
        5,
        5,
    )
    assert proxy.log.named(log_events.SESSION_ENDED)[0]["session"] == started.session


async def test_timestamps_come_back_through_echo(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called() as peer:
        await peer.say(FRAME, flags=0x20, timestamp=8000)
        await peer.say(FRAME, timestamp=2**32 - 1)
        await peer.until(lambda: len(peer.audio) == 2)
        await peer.close()
    assert peer.audio == [bytes.fromhex("30 00001f40") + FRAME, bytes.fromhex("10 ffffffff") + FRAME]
    assert proxy.log.named(log_events.TASK_CRASHED) == []


async def test_the_backend_is_told_what_the_call_is(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND, metadata=b'{"a":1}', send_codec=Codec.PCMU_8K, receive_codec=Codec.OPUS_48K_MONO):
        await trio.testing.wait_all_tasks_blocked()
        start = proxy.hand.starts[0]
        assert (start.route, start.metadata, start.client_address) == ("hand", b'{"a":1}', CLIENT)
        assert (start.send_codec, start.receive_codec) == (Codec.PCMU_8K, Codec.OPUS_48K_MONO)
        assert (start.epoch, start.epoch_seconds) == (1, 300)
        assert start.identity is None


async def test_what_a_client_says_reaches_the_backend_in_order(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        now = peer.clock.now()
        await peer.say(FRAME)
        peer.voice.send_dtmf(5, 100, now)
        peer.voice.send_json(b'{"x":1}', now)
        peer.voice.send_mute(now, muted=True)
        await peer.say(FRAME)
        await peer.close()
    leg = proxy.hand.legs[0]
    assert leg.told == [
        ("audio", b"\0" + FRAME, 0),
        ("dtmf", 5, 100),
        ("json", b'{"x":1}'),
        ("mute", True),
        ("audio", b"\0" + FRAME, 0),
    ]
    assert leg.end is not None
    assert (leg.end.code, leg.end.reason, leg.end.truncated) == (1000, "normal", False)
    assert leg.end.statistics.frames_from_client == 2


async def test_what_a_backend_says_reaches_the_client_in_order_and_its_mark_comes_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        sink = proxy.hand.sinks[0]
        sink.audio(FRAME, 0, 77)
        sink.mark("one")
        sink.dtmf(3, 200)
        sink.clear()
        sink.json(b"{}")
        await peer.until(lambda: len([e for e in peer.heard if isinstance(e, events.Json)]) == 1)
        kinds = [type(event) for event in peer.heard if not isinstance(event, events.Established)]
        assert kinds == [events.Mark, events.Dtmf, events.Clear, events.Json]
        assert peer.voice.send_mark("one", peer.clock.now())
        await peer.close()
    assert ("mark", "one") in proxy.hand.legs[0].told


async def test_barge_in_drops_audio_that_was_not_sealed_yet(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        sink = proxy.hand.sinks[0]
        for _ in range(3):
            sink.audio(FRAME, 0, None)
        sink.clear()
        await peer.until(lambda: any(isinstance(event, events.Clear) for event in peer.heard))
        assert len(peer.audio) == 1  # what was on its way


async def test_records_behind_the_last_flight_wait_for_the_backend(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    proxy.hand.seconds = 3.0
    async with proxy.called(HAND) as peer:
        for _ in range(3):
            await peer.say(FRAME)
        await peer.close()
    assert [told[0] for told in proxy.hand.legs[0].told] == ["audio"] * 3
    assert proxy.hand.legs[0].end is not None


async def test_the_handshake_has_five_seconds(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        peer = Peer(proxy.connect(nursery))
        assert await peer.upgrade()
        began = trio.current_time()
        closed = await peer.hear_end()
        assert closed is not None
        assert closed.code == Code.EXPIRED
        assert 5.0 <= trio.current_time() - began < 5.1
        nursery.cancel_scope.cancel()


async def test_tls_and_request_have_their_time_too(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        stream = proxy.connect(nursery, handshake_seconds=3.0)
        began = trio.current_time()
        assert await stream.receive_some(10) == b""
        assert 3.0 <= trio.current_time() - began < 3.1


async def test_an_hsm_that_answers_late_delays_and_one_that_never_answers_expires(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    proxy.signer.seconds = 4.0
    async with proxy.called() as peer:
        assert peer.voice.is_open
    proxy.signer.seconds, proxy.signer.error = 0.0, HsmTimeout("busy")
    async with proxy.called() as peer:
        assert await peer.hear_end() is not None
        assert peer.closed is not None
        assert peer.closed.code == Code.EXPIRED
    assert len(proxy.log.named(log_events.SIGNATURE_DROPPED)) == 1
    assert proxy.signer.asked[0] == proxy.signer.asked[-1]
    assert proxy.signer.asked[0][1] == "192.0.2.7"


@pytest.mark.protocol("P6.41")
async def test_all_addresses_of_a_subscriber_have_one_subscribers_places_in_a_batch(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with house(proxy) as served:
        for host in ("2001:db8:1:2::7", "2001:db8:1:2:ffff::8", "2001:db8:1:3::7", "::ffff:192.0.2.7", "192.0.2.7"):
            await Peer(await served.dial(host)).open()
    one, same, neighbour, mapped, plain = [source for _, source in proxy.signer.asked]
    assert one == same != neighbour
    assert mapped == plain


async def test_epochs_change_while_nobody_speaks_and_the_hsm_signs_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy(VoiceConfig(epoch_seconds=10))
    async with proxy.called() as peer:
        for _ in range(3):
            epoch = peer.voice.epoch
            due = peer.voice.next_deadline()
            assert due is not None
            await trio.sleep_until(due)
            peer.voice.on_deadline(peer.clock.now())
            await peer.flush()
            await peer.until(
                lambda wanted=epoch + 1: (
                    wanted in [each.epoch for each in peer.heard if isinstance(each, events.EpochStarted)]
                )
            )
            await peer.say(FRAME)
        await peer.close()
    assert isinstance(ended := proxy.log.audit[-1], CallEnded)
    assert ended.epochs == 4
    assert [line["epoch"] for line in proxy.log.named(log_events.SESSION_REKEYED)] == [2, 3, 4]
    assert len(proxy.signer.asked) == 4


async def test_a_classical_suite_is_on_the_audit_log(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy(VoiceConfig(suites=("X25519_AES256GCM",)))
    async with proxy.called(suites=(Suite.X25519_AES256GCM,)) as peer:
        await peer.close()
    assert [type(event) for event in proxy.log.audit] == [CallStarted, ClassicalSuiteUsed, CallEnded]
    assert len(proxy.log.named(log_events.CLASSICAL_SUITE_USED)) == 1


async def test_a_client_that_does_not_read_loses_the_oldest_audio_and_never_sees_a_gap(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy(VoiceConfig(queue_frames=10))
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        sink = proxy.hand.sinks[0]
        # The first is being written, by a task that has no turn here; until it has left the others wait.
        for number in range(100):
            sink.audio(bytes([number]) * 160, 0, None)
        await peer.until(lambda: len(peer.audio) == 11)
        assert [payload[1] for payload in peer.audio] == [0, *range(90, 100)]
        assert peer.voice.is_open
        await peer.close()
    assert proxy.hand.legs[0].end is not None
    assert proxy.hand.legs[0].end.statistics.frames_dropped_to_client == 89


async def test_no_call_is_let_in_while_its_end_could_not_be_kept(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    proxy.log.failure = AuditFailed("the disk is full")
    async with trio.open_nursery() as nursery:
        peer = Peer(proxy.connect(nursery))
        assert not await peer.upgrade()
        assert peer.status == 503


@pytest.mark.protocol("P1.2", "P1.9")
async def test_a_refusal_is_an_http_status(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    for path, subprotocol, status in (("/v1/voice/none", "sottovoce.v1", 404), ("/v1/voice/echo", "chat", 400)):
        async with trio.open_nursery() as nursery:
            peer = Peer(proxy.connect(nursery), path, subprotocol=subprotocol)
            assert not await peer.upgrade()
            assert peer.status == status


@pytest.mark.protocol("P9.18", "P9.24")
async def test_a_data_session_carries_opaque_bytes_both_ways(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0) as peer:
        assert peer.voice.send_data(b"opaque" * 1000, peer.clock.now())
        await peer.flush()
        await peer.until(lambda: any(isinstance(event, events.Data) for event in peer.heard))
        assert peer.heard[-1] == events.Data(b"opaque" * 1000)
        await peer.close()


async def test_a_flood_is_taken_in_pieces_that_leave_other_calls_their_turn(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, sizes = Proxy(), list[int]()
    receive = ServerWebSocket.receive

    def weighed(websocket: ServerWebSocket, data: bytes) -> list[WsEvent]:
        sizes.append(len(data))
        return receive(websocket, data)

    async with proxy.called() as peer:
        monkeypatch.setattr(ServerWebSocket, "receive", weighed)
        for _ in range(900):
            peer.websocket.send_ping(b"")
        await peer.tls.send_all(peer.websocket.to_send())
        await peer.say(FRAME)
        await peer.until(lambda: len(peer.audio) == 1)
    assert sum(sizes) > 5_400
    assert max(sizes) <= 4_096


async def test_a_backend_that_is_spoken_to_and_says_nothing_is_called_silent_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.sleep(6)
        assert proxy.log.named(log_events.BACKEND_SILENT) == []  # nobody has spoken to it
        await peer.say(FRAME)
        proxy.hand.legs[0].frames_to_backend = 1
        await trio.sleep(20)
        assert [line["seconds"] for line in proxy.log.named(log_events.BACKEND_SILENT)] == [5.0]
        await peer.close()


async def test_a_backend_that_has_said_something_is_not_silent(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        proxy.hand.legs[0].frames_to_backend = 1
        proxy.hand.sinks[0].mark("I am here")
        await trio.sleep(20)
        await peer.close()
    assert proxy.log.named(log_events.BACKEND_SILENT) == []
