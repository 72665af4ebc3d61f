"""Clients that do anything at any moment, while the proxy drains: nothing crashes, and all that began has ended."""

import random
from collections.abc import Awaitable, Callable

import pytest
import trio

from sottovoce.audit import CallEnded, CallStarted
from sottovoce.edge import VoiceConfig
from sottovoce.hsm import HsmTimeout
from sottovoce.observe import events as log_events
from sottovoce.primitives import ApiMisuse
from sottovoce.relay import BackendDown, CallSink
from sottovoce.relay.errors import BackendFault
from sottovoce.session import Identity
from sottovoce.transport import WebSocketClosed
from sottovoce.wire import Code, Codec
from tests.edge.house import House, house
from tests.edge.proxy import Peer, Proxy

Deed = Callable[[Peer, random.Random], Awaitable[None]]


async def _vanish(peer: Peer, _: random.Random) -> None:
    await trio.aclose_forcefully(peer.tls.transport)


async def _hang_up(peer: Peer, _: random.Random) -> None:
    await peer.close()


async def _stay(peer: Peer, _: random.Random) -> None:
    await peer.hear_end()


async def _stall(_: Peer, __: random.Random) -> None:
    await trio.sleep_forever()


async def _say_rubbish(peer: Peer, chance: random.Random) -> None:
    await peer.send(chance.randbytes(chance.randrange(60)))
    await peer.hear_end()


async def _say_much(peer: Peer, chance: random.Random) -> None:
    for _ in range(chance.randrange(80)):
        if not peer.voice.may_send(trio.current_time()) or peer.voice.slot_milliseconds:
            break
        await peer.say(bytes(20))
    await peer.hear_end()


async def _close_without_a_word(peer: Peer, _: random.Random) -> None:
    peer.websocket.close(1000)
    await peer.tls.send_all(peer.websocket.to_send())
    await peer.hear_end()


_DEEDS: list[Deed] = [_vanish, _hang_up, _stay, _stall, _say_rubbish, _say_much, _close_without_a_word]


async def _live(served: House, chance: random.Random) -> None:
    await trio.sleep(chance.random() * 20)
    how_far = chance.random()
    try:
        peer = Peer(await served.dial(f"192.0.{chance.randrange(3)}.{chance.randrange(4)}"), chance.choice(_PATHS))
        if how_far < 0.1:
            await peer.tls.transport.send_all(chance.randbytes(100))
        elif how_far < 0.2:
            await peer.tls.do_handshake()
        elif how_far < 0.3:
            await peer.upgrade()
        else:
            await peer.open(**chance.choice(_CODECS))
            await trio.sleep(chance.choice((0.0, chance.random() * 10)))
            await chance.choice(_DEEDS)(peer, chance)
    except (trio.BrokenResourceError, trio.ClosedResourceError, AssertionError, ApiMisuse, WebSocketClosed):
        pass  # refused, evicted or cut off
    await trio.sleep_forever()


_PATHS = ["/v1/voice/echo", "/v1/voice/hand"]
_CODECS: list[dict[str, object]] = [
    {},
    {"send_codec": Codec.NONE, "receive_codec": Codec.NONE, "frame_milliseconds": 0},
]


_WORDS: list[Callable[[CallSink, Codec], None]] = [
    lambda sink, _: sink.json(b"{}"),
    lambda sink, codec: sink.data(bytes(20)) if codec is Codec.NONE else sink.audio(bytes(20), 0, None),
    lambda sink, _: sink.hung_up("goodbye"),
    lambda sink, _: sink.backend_closed("gone"),
]


async def _disturb(proxy: Proxy, chance: random.Random) -> None:
    while True:
        await trio.sleep(chance.random())
        proxy.credentials.verdict = chance.choice([Identity("kiosk-1"), Identity("bob"), None, Code.AUTH_FAILED])
        proxy.signer.seconds = chance.choice([0.0, 0.0, 0.5, 6.0])
        proxy.signer.error = chance.choice([None, None, HsmTimeout("busy")])
        proxy.hand.seconds = chance.choice([0.0, 1.0, 7.0])
        proxy.hand.error = chance.choice([None, None, BackendDown(BackendFault.LOST, "gone")])
        hand = proxy.hand
        for start, leg, sink in list(zip(hand.starts, hand.legs, hand.sinks, strict=True))[-3:]:
            if leg.end is None:
                chance.choice(_WORDS)(sink, start.receive_codec)


@pytest.mark.parametrize("padding", [1, 2])
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_clients_do(autojump_clock: trio.testing.MockClock, seed: int, padding: int) -> None:
    chance = random.Random(seed)  # noqa: S311  for a test's choices
    proxy = Proxy(VoiceConfig(padding=padding, epoch_seconds=30, heartbeat_seconds=3, write_stall_seconds=3))
    async with house(proxy, max_handshakes=12, max_handshakes_per_address=5) as served:
        served.nursery.start_soon(_disturb, proxy, chance)
        for _ in range(60):
            served.nursery.start_soon(_live, served, random.Random(chance.random()))  # noqa: S311
        await trio.sleep(chance.uniform(5, 20))
        served.listener.drain(4.0, 6.0)
        with trio.fail_after(11):
            await served.is_over.wait()
        assert len(served.listener._gate) == 0
        assert not served.listener._gate._at_address
        assert served.listener.calls == served.listener._connections == 0
    assert not proxy.log.named(log_events.TASK_CRASHED)
    began = [event.session for event in proxy.log.audit if isinstance(event, CallStarted)]
    ended = [event.session for event in proxy.log.audit if isinstance(event, CallEnded)]
    assert sorted(began) == sorted(ended)
    assert all(leg.end is not None for leg in proxy.hand.legs)
