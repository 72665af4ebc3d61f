"""A token that an operator takes out of use: its calls go to others, and it comes back when it is let."""

import os
import signal
from pathlib import Path

import pytest
import trio

from sottovoce.hsm import OperationRefused, TokenDown, TokenLocked, TokenState
from tests.hsm.conftest import OpenPool, PoolEvents
from tests.hsm.pool.signing import MadeThree, Signing, on
from tests.hsm.pool.test_cluster import in_flight

WHY = "a screw is loose"


async def test_its_calls_go_to_others_at_once_and_it_stays_away_until_it_is_released(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents
) -> None:
    async with opened_pool() as pool, trio.open_nursery() as nursery:
        signing = Signing(pool, made_three)
        held = on(pool, "a")
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
