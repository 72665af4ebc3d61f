"""How a call through the edge ends: by the client, the backend, the proxy, a fault, or the network."""

import pytest
import trio

from sottovoce.audit import CallEnded, CallRefused
from sottovoce.edge import VoiceConfig
from sottovoce.observe import events as log_events
from sottovoce.relay import BackendDown, BackendFault, CallEnd
from sottovoce.session import Credential, events
from sottovoce.wire import Code
from tests.edge.proxy import AUTHORITY, CLIENT, Peer, Proxy

HAND = "/v1/voice/hand"
FRAME = bytes(range(160))


async def test_a_backend_that_hangs_up_ends_the_call_in_good_order_behind_its_last_words(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        sink = proxy.hand.sinks[0]
        sink.audio(FRAME, 0, None)
        sink.hung_up("goodbye")
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == 1000
    assert len(peer.audio) == 1
    assert peer.heard[-1] == events.Ended(1000, "ended by the other side", local=False)
    assert isinstance(ended := proxy.log.audit[-1], CallEnded)
    assert ended.side == "backend"


@pytest.mark.protocol("P10.14")
async def test_a_backend_that_goes_away_is_backend_down(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        proxy.hand.sinks[0].backend_closed("lost: it broke")
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.BACKEND_DOWN
    assert proxy.log.named(log_events.BACKEND_LOST)[0]["reason"] == "lost: it broke"


async def test_a_backend_that_cannot_be_reached_is_backend_down(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    proxy.hand.error = BackendDown(BackendFault.UNREACHABLE, "nobody there")
    async with proxy.called(HAND) as peer:
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.BACKEND_DOWN
    assert isinstance(proxy.log.audit[-1], CallEnded)


@pytest.mark.protocol("P1.5")
async def test_a_text_message_is_bad_record(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called() as peer:
        peer.websocket.send_text("hello")
        await peer.tls.send_all(peer.websocket.to_send())
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.BAD_RECORD


async def test_a_text_message_before_the_handshake_is_bad_record_too(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        peer = Peer(proxy.connect(nursery))
        assert await peer.upgrade()
        peer.websocket.send_text("hello")
        await peer.tls.send_all(peer.websocket.to_send())
        closed = await peer.hear_end()
        nursery.cancel_scope.cancel()
    assert closed is not None
    assert closed.code == Code.BAD_RECORD
    assert proxy.log.audit == [CallRefused(code=4400, reason="bad_record", client=CLIENT)]


@pytest.mark.protocol("P7.50", "P10.1")
async def test_a_changed_record_ends_the_call_with_one_code_and_nothing_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        record = peer.voice.seal_audio(FRAME, peer.clock.now())
        assert record is not None
        await peer.send(record[:-1] + bytes([record[-1] ^ 1]))
        closed = await peer.hear_end()
    assert closed is not None
    assert (closed.code, closed.reason) == (Code.DECRYPT_FAILED, "")
    assert proxy.hand.legs[0].told == []


async def test_a_client_that_vanishes_is_truncated_for_the_backend(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await peer.say(FRAME)
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(peer.tls.transport)
        await trio.testing.wait_all_tasks_blocked()
        end = proxy.hand.legs[0].end
        assert end is not None
        assert (end.truncated, end.code) == (True, 1006)


async def test_a_websocket_close_without_frame_type_7_is_truncated_whatever_its_code(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        peer.websocket.close(1000)
        await peer.tls.send_all(peer.websocket.to_send())
        await peer.hear_end()
        await trio.testing.wait_all_tasks_blocked()
        end = proxy.hand.legs[0].end
        assert end is not None
        assert end.truncated


async def test_a_client_that_does_not_renew_is_expired_after_thirty_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy(VoiceConfig(epoch_seconds=10))
    async with proxy.called() as peer:
        began = trio.current_time()
        closed = await peer.hear_end()
        assert closed is not None
        assert closed.code == Code.EXPIRED
        assert 39 < trio.current_time() - began <= 41


@pytest.mark.parametrize("is_cut", [True, False])
async def test_what_a_backend_says_when_it_is_told_of_an_end_comes_too_late_and_harms_nobody(
    autojump_clock: trio.testing.MockClock, *, is_cut: bool
) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await trio.testing.wait_all_tasks_blocked()
        (leg,), (sink,) = proxy.hand.legs, proxy.hand.sinks
        stop = leg.stop

        def say_and_stop(end: CallEnd) -> None:
            sink.audio(b"x", 0, None)
            stop(end)

        leg.stop = say_and_stop  # type: ignore[method-assign]
        if is_cut:
            await trio.aclose_forcefully(peer.tls.transport)
        else:
            peer.websocket.close(1000)
            await peer.tls.send_all(peer.websocket.to_send())
            await peer.hear_end()
        await trio.testing.wait_all_tasks_blocked()
    assert leg.end is not None
    assert proxy.calls[0].counts.to_client == 0


async def test_a_refused_credential_is_auth_failed_and_the_token_stays_out_of_the_logs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    proxy.credentials.verdict = Code.AUTH_FAILED
    async with proxy.called(credential=Credential()) as peer:
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.AUTH_FAILED
    assert proxy.log.audit == [CallRefused(code=4401, reason="auth_failed", client=CLIENT)]
    assert proxy.credentials.asked[0][2:] == (AUTHORITY.encode(), b"/v1/voice/echo")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (4403, "gave up the handshake and says policy: most often its codec is none of the route's (none, opus_"),
        (4401, "gave up the handshake and says auth_failed: most often it does not accept this proxy's voice certi"),
        (1000, "the client gave up the handshake and says normal"),
        (4000, "the connection ended during the handshake"),
    ],
)
async def test_what_a_client_says_that_gives_up_the_handshake_is_the_reason(
    autojump_clock: trio.testing.MockClock, code: int, reason: str
) -> None:
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        peer = Peer(proxy.connect(nursery), HAND)
        assert await peer.upgrade()
        peer.websocket.close(code)
        await peer.tls.send_all(peer.websocket.to_send())
        await peer.hear_end()
    (event,) = proxy.log.named(log_events.SESSION_REFUSED)
    assert (event["code"], event["route"]) == (code, "hand")
    assert reason in str(event["reason"])


@pytest.mark.protocol("P10.3")
async def test_a_route_for_others_is_policy_and_its_backend_hears_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    proxy.credentials.verdict = Code.POLICY
    async with proxy.called("/v1/voice/hand") as peer:
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.POLICY
    assert proxy.log.audit == [CallRefused(code=4403, reason="policy", client=CLIENT)]
    assert not proxy.hand.starts


async def test_draining_tells_the_client_to_go_elsewhere(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with proxy.called() as peer:
        proxy.calls[0].end(Code.DRAINING, "going down")
        closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == Code.DRAINING


async def test_a_call_that_ends_while_its_backend_is_being_connected_is_told_there(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    proxy.hand.seconds = 2.0
    async with proxy.called(HAND) as peer:
        await trio.sleep(1)
        proxy.calls[0].end(Code.DRAINING, "going down")
        await trio.sleep(1.5)
        end = proxy.hand.legs[0].end
        assert end is not None
        assert (end.code, end.truncated) == (Code.DRAINING, False)
        await peer.hear_end()


async def test_a_client_that_never_answers_the_close_is_dropped_after_five_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with proxy.called() as peer:
        began = trio.current_time()
        proxy.calls[0].end(Code.DRAINING, "going down")
        while await peer.tls.receive_some():
            pass
        assert 5.0 <= trio.current_time() - began < 5.5


async def test_cancelled_at_any_moment_a_call_leaves_no_key_and_tells_its_backend(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for steps in range(0, 60, 3):
        proxy = Proxy()
        async with trio.open_nursery() as nursery:
            peer = Peer(proxy.connect(nursery), HAND)
            nursery.start_soon(_talk_for_ever, peer)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        for call in proxy.calls:
            assert call._session.has_ended
            assert call._session._sender is None
            assert call._session._receiver is None
        assert all(leg.end is not None and leg.end.truncated for leg in proxy.hand.legs)


async def _talk_for_ever(peer: Peer) -> None:
    await peer.open()
    while True:
        await peer.say(FRAME)
        await trio.sleep(0.02)
