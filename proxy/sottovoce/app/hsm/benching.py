"""What a pool costs: signatures through it, over a bare loop in the token process, in one run and by turns.

A signature is made with the serving key and verified in software, on both sides; it is good for nothing else.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from sottovoce.app.hsm.opening import DEADLINE_SECONDS, Opened, TokensRefused, opened, tokens_of
from sottovoce.app.hsm.token_child import LOOP, Loop
from sottovoce.hsm import PROBE, Probe

ROUNDS = 3
CONCURRENCIES = (1, 32)


class Measured(msgspec.Struct, frozen=True):
    """Signatures of one kind: how many a second, and how long they took."""

    per_second: float
    p50_milliseconds: float
    p99_milliseconds: float


class TokensMeasured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, of these tokens together."""

    tokens: tuple[str, ...]
    seconds: float
    """For each of the three, in all rounds."""
    bare: Measured
    """One session and one loop in each token's process, all at once."""
    pool: dict[int, Measured]
    """Through the pool, by how many calls were made at the same time."""

    @property
    def added_milliseconds(self) -> float:
        """What the pool adds to one call at a time."""
        return self.pool[1].p50_milliseconds - self.bare.p50_milliseconds

    @property
    def share(self) -> float:
        """What part of the bare loops' rate the pool has, with many calls at once."""
        return self.pool[max(self.pool)].per_second / self.bare.per_second


async def bench_tokens(
    directory: Path, node: str, *, seconds: float, progress: Callable[[str], None]
) -> TokensMeasured:
    """Measure all tokens of a directory together, or the one that is named.  Raises SottovoceError."""
    tokens = tokens_of(directory)
    names = [tokens.named(node).name] if node else list(tokens.places)
    bare: list[float] = []
    pool: dict[int, list[float]] = {each: [] for each in CONCURRENCIES}
    each_seconds = seconds / ROUNDS
    async with opened(tokens, names) as those:
        for name, reason in those.closed.items():
            text = f"token {name} does not open: {reason}"
            raise TokensRefused(text)
        for number in range(1, ROUNDS + 1):
            progress(f"round {number} of {ROUNDS}")
            bare += await _bare(those, each_seconds)
            for concurrency in CONCURRENCIES:
                pool[concurrency] += await _pooled(those, each_seconds, concurrency)
    return TokensMeasured(
        tokens=tuple(names),
        seconds=seconds,
        bare=_measured(bare, seconds),
        pool={concurrency: _measured(took, seconds) for concurrency, took in pool.items()},
    )


async def _bare(those: Opened, seconds: float) -> list[float]:
    outcome = await those.ask_each(LOOP, lambda _: Loop(seconds))
    for error in outcome.failed.values():
        raise error
    return [each for answer in outcome.done.values() for each in answer.took]


async def _pooled(those: Opened, seconds: float, concurrency: int) -> list[float]:
    took: list[float] = []
    ends_at = trio.current_time() + seconds

    async def sign() -> None:
        while (began := trio.current_time()) < ends_at:
            await those.pool.call(PROBE, Probe(), deadline_seconds=DEADLINE_SECONDS)
            took.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        for _ in range(concurrency):
            nursery.start_soon(sign)
    return took


def _measured(took: list[float], seconds: float) -> Measured:
    ordered = sorted(took) or [seconds]
    return Measured(
        per_second=round(len(took) / seconds, 1),
        p50_milliseconds=round(1000 * ordered[len(ordered) // 2], 3),
        p99_milliseconds=round(1000 * ordered[len(ordered) * 99 // 100], 3),
    )
