"""A token that an operator takes out of use: its calls go to others, and it comes back when it is let."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from sottovoce.hsm import Cluster, OperationRefused, TokenDown, TokenLocked, TokenState, TokenUp
from tests.hsm.conftest import OpenPool, PoolEvents
from tests.hsm.pool.signing import DEADLINE, MadeThree, Signing, on
from tests.hsm.pool.test_cluster import in_flight
from tests.hsm.token_child import SIGN, Sign
from tests.transport.stepping import sweep

WHY = "a screw is loose"


async def test_its_calls_go_to_others_at_once_and_it_stays_away_until_it_is_released(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents
) -> None:
    async with opened_pool() as pool, trio.open_nursery() as nursery:
        signing = Signing(pool, made_three)
        held = on(pool, "a")
        os.kill(held, signal.SIGSTOP)  # what it has is still out when it is taken out of use, however late that is
        nursery.start_soon(lambda: signing.many(12, delay_seconds=0.2))
        await in_flight(pool, 6)
        pool.hold("a", WHY)
        assert pool.status.nodes[0].state is TokenState.DOWN
        down = next(event for event in pool_events.of("a") if isinstance(event, TokenDown))
        assert down == TokenDown(WHY, 2, is_held=True)
        pool.hold("a", WHY)
        while len(signing.made) < 12:  # noqa: ASYNC110  a list has no event
            await trio.sleep(0.01)
        assert held not in {pid for _, pid in signing.made}
        assert await signing.many(12, delay_seconds=0.02) == {"b", "c"}
        pool.release("a")
        assert await pool_events.ups("a", 2) != held
        assert await signing.many(12, delay_seconds=0.05) == {"a", "b", "c"}


async def test_the_last_one_stays_and_so_does_one_that_is_well(opened_pool: OpenPool, made_three: MadeThree) -> None:
    async with opened_pool("ab") as pool:
        with pytest.raises(OperationRefused, match="there is no token x: there are a, b"):
            pool.hold("x", WHY)
        with pytest.raises(OperationRefused, match="token a is in use already"):
            pool.release("a")
        pool.hold("a", WHY)
        with pytest.raises(OperationRefused, match="no other token than b is up: calls would end with it"):
            pool.hold("b", WHY)
        assert await Signing(pool, made_three).many(4) == {"b"}


async def test_one_that_is_locked_is_tried_again_when_it_is_released(
    opened_pool: OpenPool, pool_events: PoolEvents, three: Path
) -> None:
    async with opened_pool("ab") as pool:
        pin = three / "secrets/a.pin"
        right = pin.read_text()
        pin.write_text("0" * len(right))
        os.kill(on(pool, "a"), signal.SIGKILL)
        while not any(isinstance(event, TokenLocked) for event in pool_events.of("a")):  # noqa: ASYNC110  as above
            await trio.sleep(0.01)
        pin.write_text(right)
        pool.release("a")
        await pool_events.ups("a", 2)


class AtStep(trio.abc.Instrument):
    """Does something once, just before a node's task runs for the so-many-th time."""

    def __init__(self, node: str, step: int, act: Callable[[], None]) -> None:
        self.has_acted = False
        self._node = node
        self._left = step
        self._act = act

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        frame = getattr(task.coro, "cr_frame", None)
        if not task.name.endswith("Node.run") or frame is None or frame.f_locals["self"].name != self._node:
            return
        if self._left == 0 and not self.has_acted:
            self.has_acted = True
            self._act()
        self._left -= 1


async def test_one_that_is_held_at_any_step_of_its_start_stays_away_and_loses_no_call(
    opened_pool: OpenPool, pool_events: PoolEvents
) -> None:
    async with opened_pool("ab") as pool:
        ups = 1

        def ups_of_b() -> int:
            return sum(isinstance(event, TokenUp) for event in pool_events.of("b"))

        async def attempt(step: int) -> bool:
            nonlocal ups
            instrument = AtStep("b", step, lambda: pool.hold("b", WHY))
            async with trio.open_nursery() as nursery:
                trio.lowlevel.add_instrument(instrument)
                os.kill(on(pool, "b"), signal.SIGKILL)
                nursery.start_soon(answered_by_b, pool)
                while not instrument.has_acted and ups_of_b() == ups:  # noqa: ASYNC110  as above
                    await trio.sleep(0.01)
                trio.lowlevel.remove_instrument(instrument)
                if instrument.has_acted:
                    await trio.testing.wait_all_tasks_blocked(0.1)
                    b = pool.status.nodes[1]
                    assert (b.state, b.reason, b.pid, b.in_flight) == (TokenState.DOWN, WHY, None, 0)
                    pool.release("b")
                await pool_events.ups("b", ups + 1)
            ups = ups_of_b()
            return instrument.has_acted

        assert await sweep(attempt) > 5


async def answered_by_b(pool: Cluster) -> None:
    await pool.call_on(SIGN, lambda node: Sign("x") if node == "b" else None, deadline_seconds=DEADLINE)
