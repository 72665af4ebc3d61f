"""Several tokens of a real SoftHSM as one: what the others do when one is killed, hangs, goes, or is locked."""

import os
import signal
from pathlib import Path

import pytest
import trio

from sottovoce.hsm import (
    STATUS,
    Breaker,
    Cluster,
    HsmBusy,
    HsmTimeout,
    HsmUnavailable,
    HsmWrongPin,
    Pool,
    Status,
    TokenDown,
    TokenLocked,
    TokenMissing,
    TokenState,
    TokenUp,
)
from tests.hsm.conftest import OpenPool, PoolEvents
from tests.hsm.pool.signing import DEADLINE, MadeThree, Signing, on
from tests.hsm.token_child import DROP_SESSIONS, OPEN, SIGN, SIGN_ONCE, Nothing, Open, Sign

HASTY = {"deadline_seconds": 1.5, "hang_grace_seconds": 1.5, "start_seconds": 60}
"""On a busy machine one that is well may take its time, too."""


async def test_all_share_the_work_and_tell_who_did_it(opened_pool: OpenPool, made_three: MadeThree) -> None:
    async with opened_pool() as pool:
        as_pool: Pool = pool
        assert as_pool.nodes == ("a", "b", "c")
        signing = Signing(pool, made_three)
        assert await signing.many(24, delay_seconds=0.05) == {"a", "b", "c"}
        assert set(signing.made) == {(name, on(pool, name)) for name in "abc"}


async def test_what_is_asked_depends_on_the_node_and_a_node_that_cannot_answer_is_not_asked(
    opened_pool: OpenPool, made_three: MadeThree
) -> None:
    async with opened_pool() as pool:

        def only_c(node: str) -> Open | None:
            return Open(made_three[1][node].sealed) if node == "c" else None

        opened = await pool.call_on(OPEN, only_c, deadline_seconds=DEADLINE)
        assert (opened.node, opened.answer.length) == ("c", 32)
        with pytest.raises(HsmUnavailable, match="no token can answer sign"):
            await pool.call_on(SIGN, lambda _: None, deadline_seconds=DEADLINE)


async def test_a_fault_of_one_token_is_made_good_by_another(opened_pool: OpenPool, made_three: MadeThree) -> None:
    """A seed opens on the token that sealed it: asked anywhere, it is found."""
    async with opened_pool() as pool:
        for keys in made_three[1].values():
            assert (await pool.call(OPEN, Open(keys.sealed), deadline_seconds=DEADLINE)).length == 32
        assert pool.replacements == 0


async def test_one_is_killed_with_calls_in_flight_and_the_others_answer_them_at_once(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents
) -> None:
    async with opened_pool() as pool, trio.open_nursery() as nursery:
        signing = Signing(pool, made_three)
        killed = on(pool, "a")
        os.kill(killed, signal.SIGSTOP)  # what it has is still in flight when it is killed, however late that is
        nursery.start_soon(lambda: signing.many(12, delay_seconds=0.2))
        await in_flight(pool, 6)
        os.kill(killed, signal.SIGKILL)
        assert await pool_events.ups("a", 2) != killed
        down = next(event for event in pool_events.of("a") if isinstance(event, TokenDown))
        assert down.in_flight == 2
    assert len(signing.made) == 12
    assert (pool.replacements, killed in dict(signing.made).values()) == (1, False)


async def test_one_hangs_and_the_others_answer_what_it_had(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents
) -> None:
    async with opened_pool("ab", **HASTY) as pool:
        signing = Signing(pool, made_three)
        stopped = on(pool, "a")
        os.kill(stopped, signal.SIGSTOP)
        assert await signing.many(8) == {"b"}
        await pool_events.ups("a", 2)
        status = pool.status.nodes[0]
        assert (status.suspicions, status.replacements, status.suspects) == (2, 1, 0)
        assert "did not answer in time" in status.reason
        assert await signing.many(8, delay_seconds=0.05) == {"a", "b"}


async def test_one_is_taken_away_and_brought_back(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents, three: Path
) -> None:
    async with opened_pool() as pool:
        signing = Signing(pool, made_three)
        await signing.many(6)
        tokens = three / "hsm/b/tokens"
        tokens.rename(three / "away")
        while pool.status.nodes[1].state is TokenState.UP:
            await signing.many(6, delay_seconds=0.01)
        assert pool.status.nodes[1].breaker is not Breaker.CLOSED
        assert await signing.many(12, delay_seconds=0.05) == {"a", "c"}
        (three / "away").rename(tokens)
        await pool_events.ups("b", 2)
        assert await signing.many(12, delay_seconds=0.05) == {"a", "b", "c"}


async def test_one_drops_its_sessions_and_no_call_is_lost(opened_pool: OpenPool, made_three: MadeThree) -> None:
    async with opened_pool() as pool:
        signing = Signing(pool, made_three)
        for _ in range(3):
            await pool.call(DROP_SESSIONS, Nothing(), deadline_seconds=DEADLINE)
            await signing.many(12)
        assert len(signing.made) == 36


async def test_what_must_not_be_repeated_is_not_when_its_node_dies(
    opened_pool: OpenPool, pool_events: PoolEvents
) -> None:
    async with opened_pool("ab") as pool, trio.open_nursery() as nursery:
        nursery.start_soon(kill_when_busy, pool)
        with pytest.raises(HsmUnavailable, match="outcome is unknown"):
            await pool.call(SIGN_ONCE, Sign("root", delay_seconds=5), deadline_seconds=DEADLINE)
        busy = next(name for name, event in pool_events if isinstance(event, TokenDown))
        other = await pool.call_on(STATUS, lambda node: None if node == busy else Status(), deadline_seconds=DEADLINE)
        assert (other.node, "signed" in other.answer.counts) == ("ab".replace(busy, ""), False)


async def test_two_of_three_are_down_and_the_third_goes_on_without_a_quorum(
    opened_pool: OpenPool, made_three: MadeThree, three: Path
) -> None:
    async with opened_pool() as pool:
        signing = Signing(pool, made_three)
        assert (pool.status.up, pool.status.quorum, pool.status.has_quorum) == (3, 2, True)
        for name in "ab":
            (three / f"hsm/{name}/tokens").rename(three / f"{name}-away")
            os.kill(on(pool, name), signal.SIGKILL)
        assert await signing.many(12) == {"c"}
        assert (pool.status.up, pool.status.has_quorum, pool.state) == (1, False, TokenState.UP)


async def test_all_are_down_and_calls_fail_by_their_deadline_until_one_is_back(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents, three: Path
) -> None:
    async with opened_pool("ab") as pool:
        for name in "ab":
            (three / f"hsm/{name}/tokens").rename(three / f"{name}-away")
            os.kill(on(pool, name), signal.SIGKILL)
        for name in "ab":
            await pool_events.until(name, TokenDown)
        with pytest.raises(HsmUnavailable, match=r"no token that can answer sign is up \(a: .*; b: "):
            await pool.call(SIGN, Sign("root"), deadline_seconds=1.0)
        assert pool.state is TokenState.DOWN
        (three / "b-away").rename(three / "hsm/b/tokens")
        assert await Signing(pool, made_three).sign("root") == "b"


async def test_all_hang_and_callers_leave_at_their_deadlines_while_the_loop_runs(
    opened_pool: OpenPool, made_three: MadeThree
) -> None:
    async with opened_pool(max_waiting=50) as pool:
        pids = [on(pool, name) for name in "abc"]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        ticks, outcomes = 0, dict.fromkeys((HsmTimeout, HsmBusy), 0)

        async def ask() -> None:
            try:
                await pool.call(SIGN, Sign("root"), deadline_seconds=1.0)
            except (HsmTimeout, HsmBusy) as error:
                outcomes[type(error)] += 1

        async def tick() -> None:
            nonlocal ticks
            while True:
                await trio.sleep(0.001)
                ticks += 1

        async with trio.open_nursery() as ticking:
            ticking.start_soon(tick)
            async with trio.open_nursery() as nursery:
                for _ in range(60):
                    nursery.start_soon(ask)
            ticking.cancel_scope.cancel()
        assert outcomes == {HsmTimeout: 56, HsmBusy: 4}
        assert ticks > 30
        assert pool.waiting == 0
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        assert len(await Signing(pool, made_three).many(12, delay_seconds=0.05)) == 3


async def test_one_whose_pin_became_wrong_is_locked_after_one_try_and_the_others_go_on(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents, three: Path
) -> None:
    async with opened_pool("ab") as pool:
        (three / "secrets/a.pin").write_text("00000000\n")
        os.kill(on(pool, "a"), signal.SIGKILL)
        await pool_events.until("a", TokenLocked)
        assert await Signing(pool, made_three).many(8) == {"b"}
        assert [type(event) for event in pool_events.of("a")] == [TokenUp, TokenDown, TokenLocked]
        (three / "secrets/b.pin").write_text("00000000\n")
        os.kill(on(pool, "b"), signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(HsmWrongPin):
                await pool.call(SIGN, Sign("root"), deadline_seconds=DEADLINE)
        assert pool.state is TokenState.LOCKED


async def test_one_that_does_not_start_is_told_and_tried_again_and_the_others_serve(
    opened_pool: OpenPool, made_three: MadeThree, pool_events: PoolEvents, three: Path
) -> None:
    tokens = three / "hsm/a/tokens"
    tokens.rename(three / "away")
    async with opened_pool(wait=False) as pool:
        assert await Signing(pool, made_three).many(12) <= {"b", "c"}
        await pool_events.until("a", TokenDown)
        assert isinstance(pool_events.of("a")[0], TokenDown)
        assert "the token with it: restore it" in pool.status.nodes[0].reason
        (three / "away").rename(tokens)
        assert await pool_events.ups("a", 1) == on(pool, "a")


async def test_where_none_starts_the_first_ones_fault_is_told(opened_pool: OpenPool, three: Path) -> None:
    (three / "hsm/a/tokens").rename(three / "away")
    (three / "secrets/b.pin").write_text("00000000\n")
    with pytest.raises(TokenMissing, match="hsm/a/tokens is missing"):
        async with opened_pool("ab"):
            pass
    with pytest.raises(HsmWrongPin, match=r"secrets/b\.pin does not open"):
        async with opened_pool("ba"):
            pass


async def test_a_slow_answer_is_overtaken_by_another_tokens(opened_pool: OpenPool) -> None:
    async with opened_pool("ab") as pool:

        def slow_on_a(node: str) -> Sign:
            return Sign("root", delay_seconds=5.0 if node == "a" else 0.0)

        for _ in range(64):
            await pool.call(SIGN, Sign("root"), deadline_seconds=DEADLINE)
        answered = [await pool.call_on(SIGN, slow_on_a, deadline_seconds=DEADLINE) for _ in range(2)]
        assert [each.node for each in answered] == ["b", "b"]
        assert pool.status.hedges_won >= 1
        assert pool.replacements == 0


async def test_eight_tenants_share_two_tokens_fairly(opened_pool: OpenPool) -> None:
    async with opened_pool("ab", max_waiting=10_000) as pool:
        served: dict[str, int] = dict.fromkeys("abcdefgh", 0)

        async def ask(tenant: str) -> None:
            await pool.call_on(SIGN, lambda _: Sign("root"), deadline_seconds=DEADLINE, tenant=tenant)
            served[tenant] += 1
            if sum(served.values()) == 160:
                asking.cancel_scope.cancel()

        async with trio.open_nursery() as asking:
            for place, tenant in enumerate(served):
                for _ in range(200 if place == 0 else 40):
                    asking.start_soon(ask, tenant)
        assert sum(served.values()) ** 2 / (8 * sum(count**2 for count in served.values())) >= 0.95


async def kill_when_busy(pool: Cluster) -> None:
    await in_flight(pool, 1)
    busy = next(node for node in pool.status.nodes if node.in_flight)
    os.kill(on(pool, busy.name), signal.SIGKILL)


async def in_flight(pool: Cluster, count: int) -> None:
    while pool.in_flight < count:  # noqa: ASYNC110  nothing tells of a sending
        await trio.sleep(0.001)


async def test_what_token_processes_renew_is_counted_past_their_end(
    opened_pool: OpenPool, made_three: MadeThree
) -> None:
    assert made_three[1]
    async with opened_pool("a") as pool:
        await pool.call(SIGN, Sign("root"), deadline_seconds=DEADLINE)
        (status,) = pool.status.nodes
        assert (status.renewals.sessions, status.renewals.logins, status.sessions) == (0, 0, 3)
        await pool.call(DROP_SESSIONS, Nothing(), deadline_seconds=DEADLINE)
        await pool.call(SIGN, Sign("root"), deadline_seconds=DEADLINE)
        dropped = pool.status.nodes[0].renewals
        assert dropped.sessions >= 1
        assert dropped.logins == 1
        assert dropped.keys > status.renewals.keys
        os.kill(status.pid or 0, signal.SIGKILL)
        await pool.call(SIGN, Sign("root"), deadline_seconds=DEADLINE)
        after = pool.status.nodes[0].renewals
        assert (after.sessions, after.logins) == (dropped.sessions, dropped.logins)
        assert after.keys > dropped.keys
