"""What a call's one task waits by for as long as the call lasts: a `ParkingLot` for one, at a third of its memory."""

import trio


class Bell:
    """Wakes the task that waits, if one does."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        """Wait until it rings; one task at a time."""
        if self._waiting is not None:
            raise trio.BusyResourceError("another task waits for this bell")
        self._waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave)

    def ring(self) -> None:
        """Have who waits go on."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            trio.lowlevel.reschedule(waiting)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        """It was cancelled."""
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED
