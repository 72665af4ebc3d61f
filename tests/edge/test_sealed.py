"""What calls notice of an HSM that is sealed: new ones are refused, those that run end, and nobody is told why."""

import msgspec
import pytest
import trio

from sottovoce.edge import VoiceConfig
from sottovoce.hsm import HsmUnavailable
from sottovoce.hsm.seal import OPEN, Effects
from sottovoce.observe import events as log_events
from sottovoce.session import events
from sottovoce.transport import TlsStream
from sottovoce.wire import Code
from tests.edge.house import house
from tests.edge.proxy import Peer, Proxy
from tests.transport.ends import client as client_tls

SEALED = Effects(120, lets_rekey=False)
AT_ONCE = Effects(120, lets_rekey=False, ends_calls=True)
TOLD = events.Ended(Code.DRAINING, "ended by the other side", local=False)
REQUEST = (
    b"GET /v1/voice/{route} HTTP/1.1\r\nHost: localhost:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: sottovoce.v1\r\n\r\n"
)


class Seal:
    """A seal that a test opens and closes."""

    def __init__(self) -> None:
        self.effects = OPEN


class SealedProxy(Proxy):
    """A proxy with a seal."""

    def __init__(self, voice: VoiceConfig | None = None) -> None:
        super().__init__(voice)
        self.seal = Seal()
        self.services = msgspec.structs.replace(self.services, seal=self.seal)


async def answer_to(proxy: Proxy, route: str) -> bytes:
    """Give what a request gets, as it comes."""
    async with trio.open_nursery() as nursery:
        tls = TlsStream(proxy.connect(nursery), client_tls())
        await tls.send_all(REQUEST.replace(b"{route}", route.encode()))
        said = b""
        while data := await tls.receive_some():
            said += data
        return said


async def test_a_new_call_gets_503_and_when_to_come_again_and_no_reason(autojump_clock: trio.testing.MockClock) -> None:
    proxy = SealedProxy()
    proxy.seal.effects = SEALED
    said = await answer_to(proxy, "echo")
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 120\r\n" in said
    assert said.endswith(b"no calls are taken at the moment\n")
    assert b"seal" not in said.lower()
    assert (await answer_to(proxy, "none")).startswith(b"HTTP/1.1 404 ")
    refused, _ = proxy.log.named(log_events.UPGRADE_REFUSED)
    assert (refused["status"], refused["reason"]) == (503, "the HSM is sealed")
    proxy.seal.effects = OPEN
    async with proxy.called() as peer:
        await peer.close()


async def test_a_call_that_runs_finishes_its_epoch_and_begins_no_other(autojump_clock: trio.testing.MockClock) -> None:
    proxy = SealedProxy(VoiceConfig(epoch_seconds=20))
    async with house(proxy) as served:
        peer = Peer(await served.dial())
        await peer.open()
        await trio.testing.wait_all_tasks_blocked()
        signed = len(proxy.signer.asked)
        began = trio.current_time()
        proxy.seal.effects = SEALED
        served.listener.heed(SEALED)
        await peer.say(b"x" * 160)
        await peer.until(lambda: bool(peer.audio))
        due = peer.voice.next_deadline()
        assert due is not None
        await trio.sleep_until(due)
        peer.voice.on_deadline(peer.clock.now())
        await peer.flush()
        await peer.until(lambda: peer.voice.has_ended)
        assert peer.heard[-1] == TOLD
        assert 16 <= trio.current_time() - began <= 18, "at its RekeyInit"
        assert len(proxy.signer.asked) == signed
    (ended,) = proxy.log.named(log_events.SESSION_ENDED)
    assert (ended["code"], ended["side"], ended["truncated"]) == (Code.DRAINING, "proxy", False)


async def test_unsealed_in_time_it_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    proxy = SealedProxy(VoiceConfig(epoch_seconds=20))
    async with house(proxy) as served:
        peer = Peer(await served.dial())
        await peer.open()
        await trio.testing.wait_all_tasks_blocked()
        served.listener.heed(SEALED)
        await trio.sleep(5)
        served.listener.heed(OPEN)
        due = peer.voice.next_deadline()
        assert due is not None
        await trio.sleep_until(due)
        peer.voice.on_deadline(peer.clock.now())
        await peer.flush()
        await peer.until(lambda: peer.voice.epoch == 2)
        assert not peer.voice.has_ended


async def test_calls_end_at_once_where_it_is_configured_so(autojump_clock: trio.testing.MockClock) -> None:
    proxy = SealedProxy()
    async with house(proxy) as served:
        peers = [await served.peer() for _ in range(3)]
        began = trio.current_time()
        served.listener.heed(AT_ONCE)
        await trio.testing.wait_all_tasks_blocked()
        assert [peer.heard[-1] for peer in peers] == [TOLD] * 3
        assert trio.current_time() - began < 1


@pytest.mark.parametrize("effects", [SEALED, AT_ONCE, OPEN])
async def test_a_call_that_has_ended_while_its_connection_is_still_being_closed(
    effects: Effects, autojump_clock: trio.testing.MockClock
) -> None:
    proxy = SealedProxy()
    async with proxy.called() as peer:
        await peer.close()
        await trio.testing.wait_all_tasks_blocked()
        (call,) = proxy.calls
        call.heed(effects)
        assert not call.recheck(proxy.credentials)
        call.send_away()
    assert len(proxy.log.named(log_events.SESSION_ENDED)) == 1


@pytest.mark.parametrize("effects", [SEALED, AT_ONCE])
async def test_a_call_that_is_not_agreed_on_yet_is_sent_elsewhere(
    effects: Effects, autojump_clock: trio.testing.MockClock
) -> None:
    """It waits for its signature, which fails at that moment: that is no fault of the token, and not told as one."""
    proxy = SealedProxy()
    proxy.signer.seconds, proxy.signer.error = 2.0, HsmUnavailable("the HSM is sealed")
    async with house(proxy) as served:
        peer = Peer(await served.dial())
        assert await peer.upgrade()
        peer.begin()
        await peer.flush()
        await trio.sleep(1)
        served.listener.heed(effects)
        closed = await peer.hear_end()
        assert closed is not None
        assert closed.code == Code.DRAINING
        await trio.sleep(3)
    (refused,) = proxy.log.named(log_events.SESSION_REFUSED)
    assert refused["code"] == Code.DRAINING
    assert proxy.log.named(log_events.SIGNATURE_DROPPED) == []
