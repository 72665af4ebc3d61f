"""A listener that serves in memory, and clients that come to it from any address."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from sottovoce.edge import CurrentServices, Listener, ListenerConfig
from tests.edge.proxy import Peer, Proxy
from tests.edge.sockets import MemoryListener


class House:
    """A listener that serves in memory."""

    def __init__(self, listener: Listener, sockets: MemoryListener, nursery: trio.Nursery) -> None:
        self.listener = listener
        self.nursery = nursery
        self.dial = sockets.dial
        self.is_over = trio.Event()
        self.ended_at: dict[Peer, float] = {}

    async def serve(self, current: CurrentServices) -> None:
        await self.listener.serve(current)
        self.is_over.set()

    async def peer(self, path: str = "/v1/voice/echo") -> Peer:
        """Give a client that has agreed on a call and answers to its end."""
        peer = Peer(await self.dial(), path)
        await peer.open()
        await trio.testing.wait_all_tasks_blocked()
        self.nursery.start_soon(self._hear, peer)
        return peer

    async def _hear(self, peer: Peer) -> None:
        await peer.hear_end()
        self.ended_at[peer] = trio.current_time()
        await peer.tls.aclose()


@asynccontextmanager
async def house(proxy: Proxy, current: CurrentServices | None = None, **config: object) -> AsyncGenerator[House]:
    sockets = MemoryListener()
    listener = Listener("listener", ListenerConfig(**config), sockets.bound)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        served = House(listener, sockets, nursery)
        nursery.start_soon(served.serve, current or CurrentServices(proxy.services))
        yield served
        nursery.cancel_scope.cancel()
