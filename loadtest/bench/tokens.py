"""What the pool of tokens costs, and whom it serves when there is too much to do.

The tokens are SoftHSM's, the pool is the proxy's own, in this process.  Bare loops, one session in each token's process
that signs and verifies, and calls through the pool take turns, so that the machine is the same for both.  Then eight
tenants want more than a token can do, unequally much; and at last every token process is stopped, over and over, while
calls keep coming, and the event loop is watched.
"""

import os
import signal
import statistics
import tempfile
from collections import Counter
from pathlib import Path

import trio

from loadtest.bench.figure import Figure
from loadtest.bench.lag.watch import Watched, watching
from sottovoce.app.hsm import TokensMeasured, bench_tokens
from sottovoce.app.hsm.opening import opened, tokens_of
from sottovoce.app.initialise import initialise
from sottovoce.hsm import PROBE, Cluster, HsmError, Probe

TOKENS = 2 if (os.cpu_count() or 1) < 3 else 3  # noqa: PLR2004
"""As many as the third core is there for."""
SECONDS = 9.0
ADDED_LIMIT_MS = 0.2
ONE_TOKEN_LIMIT = 1 / 0.9
SEVERAL_TOKENS_LIMIT = 1 / 0.85
TENANTS = 8
FAIRNESS_SECONDS = 3.0
UNFAIRNESS_LIMIT = 0.05
HANG_SECONDS = 6.0
LAG_LIMIT_MS = 5.0
_CALLS_PER_SECOND = 100
_DEADLINE_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0


def measure() -> list[Figure]:
    """Give the figures."""
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as temporary:
        return trio.run(_measure, Path(temporary) / "voice")


async def _measure(directory: Path) -> list[Figure]:
    await initialise(directory, tokens=TOKENS, progress=lambda _: None)
    first = next(iter(tokens_of(directory).places))
    one = await bench_tokens(directory, first, seconds=SECONDS, progress=lambda _: None)
    several = await bench_tokens(directory, "", seconds=SECONDS, progress=lambda _: None)
    bare, alone = one.bare, one.pool[1]
    return [
        Figure(
            "pool, added to a signature",
            one.added_milliseconds,
            ADDED_LIMIT_MS,
            "ms",
            f"p50 {alone.p50_milliseconds:.2f} ms by the pool, {bare.p50_milliseconds:.2f} ms in a bare loop",
        ),
        _throughput("bare loop to pool, one token", one, ONE_TOKEN_LIMIT),
        _throughput(f"{TOKENS} bare loops to pool, {TOKENS} tokens", several, SEVERAL_TOKENS_LIMIT),
        await _fairness(directory, first),
        await _lag(directory),
    ]


def _throughput(name: str, measured: TokensMeasured, limit: float) -> Figure:
    pool, many = measured.pool[max(measured.pool)], max(measured.pool)
    detail = f"{measured.bare.per_second:.0f} to {pool.per_second:.0f} signatures a second, {many} at once"
    return Figure(name, 1 / measured.share, limit, "x", detail)


async def _fairness(directory: Path, token: str) -> Figure:
    """Have tenant N wait for 2 N calls at a time, and see how equally much each gets."""
    done: Counter[str] = Counter()

    async def sign(pool: Cluster, tenant: str) -> None:
        while True:
            await pool.call_on(PROBE, lambda _: Probe(), deadline_seconds=_PATIENCE_SECONDS, tenant=tenant)
            done[tenant] += 1

    async with opened(tokens_of(directory), [token]) as those, trio.open_nursery() as nursery:
        for number in range(1, TENANTS + 1):
            for _ in range(2 * number):
                nursery.start_soon(sign, those.pool, f"tenant {number}")
        await trio.sleep(FAIRNESS_SECONDS)
        nursery.cancel_scope.cancel()
    shares = [done[f"tenant {number}"] for number in range(1, TENANTS + 1)]
    detail = f"{min(shares)} to {max(shares)} signatures for each of {TENANTS} tenants; 1 - Jain's index"
    return Figure("pool, unfairness to tenants", 1 - jain_index(shares), UNFAIRNESS_LIMIT, "", detail)


def jain_index(shares: list[int]) -> float:
    """Give Jain's index of fairness: 1 for equal shares, 1 / N where one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


async def _lag(directory: Path) -> Figure:
    """Stop every token process, and each that comes in its place, while calls come that nobody answers."""
    tokens = tokens_of(directory)
    failed: Counter[str] = Counter()
    with watching() as watch:
        async with (
            opened(tokens, tokens.places, config=tokens.configuration.hsm) as those,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(watch.run)
            nursery.start_soon(_keep_stopped, those.pool)
            with trio.move_on_after(HANG_SECONDS):
                await _keep_calling(those.pool, failed)
            nursery.cancel_scope.cancel()
        seen = watch.seen
    own, whole = lags(seen)
    calls = f"{failed.total()} calls failed ({', '.join(sorted(failed))})"
    detail = f"99th percentile, {whole:.1f} ms with the wait for a processor; {calls}"
    return Figure("pool, event loop lag while all hang", own, LAG_LIMIT_MS, "ms", detail)


def lags(seen: Watched) -> tuple[float, float]:
    """Give the 99th percentile in ms: of what the loop itself is late, and with its waiting for a processor."""
    own = [max(0.0, late - queued) for late, queued in zip(seen.late, seen.queued, strict=True)]
    return _p99_ms(own), _p99_ms(seen.late)


def _p99_ms(seconds: list[float]) -> float:
    return 1e3 * statistics.quantiles(seconds, n=100)[98]


async def _keep_stopped(pool: Cluster) -> None:
    stopped: set[int] = set()
    while True:
        for node in pool.status.nodes:
            if node.pid is not None and node.pid not in stopped:
                stopped.add(node.pid)
                os.kill(node.pid, signal.SIGSTOP)
        await trio.sleep(0.01)


async def _keep_calling(pool: Cluster, failed: Counter[str]) -> None:
    async def call() -> None:
        try:
            await pool.call(PROBE, Probe(), deadline_seconds=_DEADLINE_SECONDS)
        except HsmError as error:
            failed[type(error).__name__] += 1

    async with trio.open_nursery() as nursery:
        while True:
            nursery.start_soon(call)
            await trio.sleep(1 / _CALLS_PER_SECOND)
