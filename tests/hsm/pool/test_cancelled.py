"""A pool cancelled at every step: no call, no process and no descriptor is left."""

from pathlib import Path

import trio

from sottovoce.hsm import TokenUp
from tests.hsm.conftest import OpenPool, PoolEvents
from tests.hsm.pool.signing import MadeThree, Signing
from tests.transport.stepping import run_cancelled_at, sweep


async def test_a_call_cancelled_at_every_step_leaves_the_pool_as_it_was(
    opened_pool: OpenPool, made_three: MadeThree
) -> None:
    async with opened_pool("ab") as pool:
        signing = Signing(pool, made_three)

        async def attempt(step: int) -> bool:
            was_cancelled = await run_cancelled_at(step, lambda: signing.sign(f"root {step}"))
            assert pool.waiting == 0
            assert await signing.many(4, delay_seconds=0.02) == {"a", "b"}
            assert pool.in_flight == 0
            return was_cancelled

        assert await sweep(attempt) >= 1
        assert pool.replacements == 0


async def test_calls_that_wait_are_cancelled_at_any_instant(opened_pool: OpenPool, made_three: MadeThree) -> None:
    async with opened_pool("ab") as pool:
        signing = Signing(pool, made_three)
        for instant in range(12):
            with trio.move_on_after(instant * 0.005):
                await signing.many(20, delay_seconds=0.01)
            assert pool.waiting == 0
        await signing.many(4)


async def test_opening_is_cancelled_at_every_step(opened_pool: OpenPool, pool_events: PoolEvents) -> None:
    async def open_and_close() -> None:
        async with opened_pool("ab"):
            pass

    await open_and_close()
    descriptors = open_descriptors()

    async def attempt(step: int) -> bool:
        was_cancelled = await run_cancelled_at(step, open_and_close)
        assert open_descriptors() == descriptors
        return was_cancelled

    assert await sweep(attempt) >= 2
    assert not any(is_running(event.pid) for _, event in pool_events if isinstance(event, TokenUp))


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
