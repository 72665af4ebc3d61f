"""A backend that says as much as it may, over a real leg: it waits, and its client keeps the call."""

from typing import cast

import trio

from sottovoce.edge import ServedRoute
from sottovoce.session import events
from sottovoce.wire import Codec
from tests.edge.proxy import Peer, Proxy
from tests.relay.backend import Calling

PATH = "/v1/voice/support"


def _over(calling: Calling) -> Proxy:
    proxy = Proxy()
    cast("dict[str, ServedRoute]", proxy.services.routes)["support"] = ServedRoute(calling.route)
    return proxy


def _heard(peer: Peer, kind: type[events.Event]) -> int:
    return sum(isinstance(each, kind) for each in peer.heard)


async def test_fifty_texts_a_second_for_a_minute_all_arrive_in_the_end(autojump_clock: trio.testing.MockClock) -> None:
    calling = Calling()

    async def talk() -> None:
        backend = await calling.accepted()
        for _ in range(60 * 50):
            await backend.send('{"type": "json", "value": {}}')
            await trio.sleep(1 / 50)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        async with _over(calling).called(PATH) as peer:
            with trio.move_on_after(250):
                await peer.until(lambda: _heard(peer, events.Json) == 60 * 50)
            assert _heard(peer, events.Json) == 60 * 50


async def test_data_that_comes_faster_than_it_is_taken_waits_at_the_backend(
    autojump_clock: trio.testing.MockClock,
) -> None:
    calling = Calling()

    async def talk() -> None:
        backend = await calling.accepted()
        backend.put(*[bytes(8_000)] * 3_000)
        await backend.flush()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        ours, theirs = trio.testing.lockstep_stream_pair()
        nursery.start_soon(_over(calling).serve, theirs)
        peer = Peer(ours, PATH)
        await peer.open(send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0)
        await trio.sleep(5)
        await peer.until(lambda: _heard(peer, events.Data) == 3_000)
        assert _heard(peer, events.Data) == 3_000
        nursery.cancel_scope.cancel()
