"""Calls that talk until the other side ends them, each frame with a number of its own."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from sottovoce.client import Audio, Call, CallEnded, CallError

PACE_SECONDS = 0.1


class Talker:
    """One call."""

    def __init__(self) -> None:
        self.returned: list[int] = []
        """The numbers of the frames that came back."""
        self.failure: CallError | None = None
        self.ended_at = 0.0
        self.ended = trio.Event()

    @property
    def has_gap(self) -> bool:
        """Whether a frame is missing before the last one that came, or came twice."""
        return self.returned != list(range(len(self.returned)))

    @property
    def code(self) -> int | None:
        return getattr(self.failure, "code", None)

    async def run(
        self,
        calling: AbstractAsyncContextManager[Call],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Talk to the end; started once the first frame is back."""
        async with calling as call, trio.open_nursery() as nursery:
            nursery.start_soon(self._send, call)
            try:
                async for item in call:
                    if isinstance(item, Audio):
                        self.returned.append(int.from_bytes(item.payload[:4]))
                        if len(self.returned) == 1:
                            task_status.started()
            except CallError as error:
                self.failure = error
            self.ended_at = trio.current_time()
            self.ended.set()
            nursery.cancel_scope.cancel()

    async def _send(self, call: Call) -> None:
        number = 0
        try:
            while True:
                await call.send(number.to_bytes(4) + bytes(636))
                number += 1
                await trio.sleep(PACE_SECONDS)
        except CallEnded:
            pass  # who hears is told why


@asynccontextmanager
async def hanging_up() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose calls are cut off when the block ends."""
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()
