import pytest
import trio

from sottovoce.edge.call import Bell


async def test_who_waits_goes_on_when_it_rings(autojump_clock: trio.testing.MockClock) -> None:
    bell = Bell()
    bell.ring()  # for nobody, and it is not kept
    for _ in range(2):
        with trio.move_on_after(1) as limit:
            await bell.wait()
        assert limit.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await bell.wait()
        bell.ring()
        bell.ring()
