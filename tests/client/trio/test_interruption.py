"""Ctrl-C reaches the user's task, never the client's own: there it would end Trio itself with an internal error."""

import trio
from trio.testing import MockClock

from tests.client.servers import FRAME
from tests.client.trio.servers import calling, serving


class Watching(trio.abc.Stream):
    """Passes everything on, and notes where Ctrl-C could strike."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.is_protected: list[bool] = []

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.is_protected.append(trio.lowlevel.currently_ki_protected())
        await self._stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self.is_protected.append(trio.lowlevel.currently_ki_protected())
        return await self._stream.receive_some(max_bytes)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_the_client_s_own_tasks_are_not_interrupted(autojump_clock: MockClock) -> None:
    async with serving() as (stream, _):
        watching = Watching(stream)
        async with calling(watching) as call:
            assert watching.is_protected
            assert all(watching.is_protected)
            await call.send(FRAME)
            assert not all(watching.is_protected)  # the user's own writing is the user's to break off
