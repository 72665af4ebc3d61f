"""Turns of tasks that say or write something."""

import trio


async def take_turn(lock: trio.StrictFIFOLock) -> None:
    """Acquire a lock; without a turn of the scheduler if it is free, as each use of it here has one by itself."""
    if lock.locked():
        await lock.acquire()
    else:
        lock.acquire_nowait()
