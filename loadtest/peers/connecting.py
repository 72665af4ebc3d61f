"""What calls cost that only come and then are silent: processor time of a handshake, memory of an idle call.

Some calls come about, then more; what the processes grew by in between is what the later ones cost.  What a process
takes when it starts, and for its first calls, is left out.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from loadtest.peers.servers import Cores, Running
from loadtest.peers.statistics import Spread, spread
from loadtest.replay import Plan
from loadtest.replay.book import Book
from loadtest.replay.engine import Engine
from loadtest.replay.processes.looking import sockets_of, usage_of
from loadtest.replay.routes import Routes, books_of

_AT_A_TIME = 1000.0
"""Calls a second that are begun, no more than `engine.AT_ONCE` at once: as fast as they are taken."""
_SETTLE_SECONDS = 0.3


class Connected(msgspec.Struct, frozen=True):
    """What one round has shown of one contender; None where a process could not be looked at."""

    round: int
    name: str
    calls: int
    failed: int
    us_per_handshake: float | None
    """Processor time of proxy and token process, TCP, TLS, upgrade and voice handshake together."""
    kib_per_call: float | None
    """Of memory, of proxy and token process."""
    shares: tuple[float, ...] = ()
    """Of the calls, by worker, where there are several."""


class Connecting(msgspec.Struct, frozen=True, kw_only=True):
    """A contender over the rounds."""

    name: str
    us_per_handshake: Spread | None
    per_second: Spread | None
    """Handshakes that one core has time for."""
    ratio: Spread | None
    """Of `per_second` to the yardstick's of the same round."""
    kib_per_call: Spread | None
    shares: Spread | None
    """Of the calls, the least and the most that a worker had."""
    failed: int


def connect(of: tuple[int, str], running: Running, cores: Cores, calls: tuple[int, int]) -> Connected:
    """Have calls come about and be silent: few at first, then more, up to many; `of` is the round and whose it is."""
    few, many = calls
    plan = Plan(targets=(running.target,), sessions=many, seconds=1.0, watched=running.watched)
    book = Book(books_of(plan))
    routes = Routes(plan, book)
    watched = (*running.watched.proxy, *running.watched.token)
    with cores.as_generator():
        engine = Engine(book, lambda: False)
        try:
            _call(engine, routes, few)
            before, sockets = usage_of(watched), [sockets_of(pid) for pid in running.watched.proxy]
            _call(engine, routes, many - few)
            after = usage_of(watched)
            came = max(1, len(engine.streams) - few)
            grown = [sockets_of(pid) - had for pid, had in zip(running.watched.proxy, sockets, strict=True)]
            engine.hang_up()
        finally:
            engine.close()
    used = (after - before).processor_seconds
    memory = None if after.rss_kib is None or before.rss_kib is None else after.rss_kib - before.rss_kib
    workers = [each for each in grown if each > 0]
    return Connected(
        *of,
        came,
        engine.failed,
        None if used is None else used * 1e6 / came,
        None if memory is None else memory / came,
        tuple(each / sum(workers) for each in workers) if len(workers) > 1 else (),
    )


def over_rounds(found: Sequence[Connected], yardstick: str) -> tuple[Connecting, ...]:
    """Give each contender's figures, in the order in which they first ran.  Pure."""
    costs = {each.round: each.us_per_handshake for each in found if each.name == yardstick}
    names = dict.fromkeys(each.name for each in found)
    return tuple(_over(name, [each for each in found if each.name == name], costs) for name in names)


def _over(name: str, rounds: Sequence[Connected], costs: Mapping[int, float | None]) -> Connecting:
    pairs = ((costs.get(each.round), each.us_per_handshake) for each in rounds)
    return Connecting(
        name=name,
        us_per_handshake=spread(each.us_per_handshake for each in rounds),
        per_second=spread(1e6 / each.us_per_handshake if each.us_per_handshake else None for each in rounds),
        ratio=spread(theirs / ours if theirs and ours else None for theirs, ours in pairs),
        kib_per_call=spread(each.kib_per_call for each in rounds),
        shares=spread(share for each in rounds for share in each.shares),
        failed=sum(each.failed for each in rounds),
    )


def _call(engine: Engine, routes: Routes, calls: int) -> None:
    beginnings = [(number / _AT_A_TIME, partial(routes.begin, 0)) for number in range(calls)]
    engine.call(beginnings, lambda _: None)
    time.sleep(_SETTLE_SECONDS)
