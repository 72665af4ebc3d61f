"""From a plan to its outcome: calling, warming up, measuring, waiting for the last frames, hanging up."""

import gc
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from loadtest.replay.agenda import rounds_in
from loadtest.replay.book import Book
from loadtest.replay.calling import Calling
from loadtest.replay.engine import Engine
from loadtest.replay.outcome import Cost, Handshakes, Outcome, Quantiles
from loadtest.replay.plan import Plan, Progress, Watched
from loadtest.replay.processes.looking import Usage, describe_machine, usage_of
from loadtest.replay.routes import Routes, books_of

MOST_LATE_MS = 2.0
MOST_LATE_AT_TICKS_MS = 5.0
MOST_UNREAD_MS = 5.0
"""What a frame may have lain in its socket, where that is most of its latency."""
MOST_CORES = 0.95
_COLLECT_AFTER = (5_000, 20, 10)
"""As in the proxy: the garbage collector stops the sessions for long but rarely."""
_HEAD_START_SECONDS = 0.05

Tell = Callable[[Progress], None]


def run_load(plan: Plan, progress: Tell | None = None, should_stop: Callable[[], bool] | None = None) -> Outcome:
    """Carry out a plan and say what came of it; blocks for as long as it takes.

    `should_stop` is asked many times a second: once it says so, what was measured up to then is given, `is_partial`.
    Sessions that do not come about are counted with their reasons; it raises PlanRefused or CallMisconfigured for a
    plan that makes no sense, and nothing for a proxy that does not answer.
    """
    book = Book(books_of(plan), plan.phases)
    routes = Routes(plan, book)
    _open_enough_files()
    engine = Engine(book, should_stop or _never)
    collect_after = gc.get_threshold()
    try:
        return _Run(plan, book, engine, progress or _tell_nobody).carry_out(routes)
    finally:
        engine.close()
        gc.unfreeze()
        gc.set_threshold(*collect_after)


class _Sample(msgspec.Struct, frozen=True):
    """What everybody had used at a moment."""

    at: float
    proxy: Usage
    token: Usage
    backend: Usage
    generator_seconds: float


class _Run:
    def __init__(self, plan: Plan, book: Book, engine: Engine, tell: Tell) -> None:
        self._plan = plan
        self._book = book
        self._engine = engine
        self._tell = tell
        self._phase = "calling"
        self._phase_began = time.monotonic()
        self._called_per_second = 0.0
        self._rss_before = usage_of((*plan.watched.proxy, *plan.watched.token)).rss_kib
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def carry_out(self, routes: Routes) -> Outcome:
        plan, engine = self._plan, self._engine
        self._calling = Calling(plan, routes, engine, self._book)
        engine.call(self._calling.beginnings(), self._report)
        calling_seconds = time.monotonic() - self._phase_began
        self._called_per_second = len(engine.streams) / calling_seconds if calling_seconds else 0.0
        before = after = _sample(plan.watched)
        is_whole = False
        if engine.streams and engine.has_time:
            _collect_seldom()
            before, after, is_whole = self._speak()
            engine.hang_up()
        return self._outcome(before, after, is_whole=is_whole)

    def _speak(self) -> tuple[_Sample, _Sample, bool]:
        plan, engine, period = self._plan, self._engine, 1 / self._plan.frames_per_second
        began = time.monotonic() + _HEAD_START_SECONDS
        warm = began + rounds_in(plan.warm_up_seconds, period) * period
        over = warm + rounds_in(plan.seconds, period) * period
        self._book.began, tick = warm, plan.tick_us / 1e6
        self._calling.speak(began, warm, over)
        self._enter("warming up")
        goes_on = engine.speak(began, warm, tick, self._report)
        before = _sample(plan.watched)
        self._enter("measuring")
        is_whole = goes_on and engine.speak(began, over, tick, self._report)
        after = _sample(plan.watched)
        self._enter("waiting for the last frames")
        engine.listen(time.monotonic() + plan.grace_seconds)
        return before, after, is_whole

    def _enter(self, phase: str) -> None:
        self._phase, self._phase_began = phase, time.monotonic()
        self._report(self._phase_began)

    def _report(self, now: float) -> None:
        second = self._book.last_second(now)
        self._tell(
            Progress(
                phase=self._phase,
                seconds=now - self._phase_began,
                sessions_up=self._engine.alive,
                sessions_failed=self._engine.failed,
                offered=self._book.offered,
                carried=self._book.carried,
                latency_p99_ms=second.latency.p99,
                lateness_p99_ms=second.lateness.p99,
            )
        )

    def _outcome(self, before: _Sample, after: _Sample, *, is_whole: bool) -> Outcome:
        plan, book, engine = self._plan, self._book, self._engine
        latency, lateness, reading = book.latency(), book.lateness.quantiles(), book.reading.quantiles()
        cost = _cost(before, after, book, engine, self._rss_before)
        done = book.handshakes.total
        return Outcome(
            name=plan.name,
            about=plan.about,
            started_at=self._started_at,
            machine=describe_machine(),
            sessions=plan.sessions,
            seconds=plan.seconds if is_whole else round(max(0.0, after.at - before.at), 1),
            frames_per_second=plan.frames_per_second,
            tick_us=plan.tick_us,
            routes=book.route_outcomes(),
            handshakes=Handshakes(
                done=done,
                failed=engine.failed,
                per_second=self._called_per_second,
                latency=book.handshakes.quantiles(),
            ),
            latency=latency.quantiles(),
            lateness=lateness,
            reading=reading,
            cost=cost,
            seconds_of_run=book.seconds(),
            distribution=latency.curve(),
            phases=book.phase_outcomes(plan.seconds),
            happenings=tuple(book.happenings),
            is_partial=not is_whole,
            discarded=why_discarded(latency.quantiles(), lateness, reading, cost.generator_cores, plan.tick_us),
        )


def why_discarded(
    latency: Quantiles, lateness: Quantiles, reading: Quantiles, generator_cores: float | None, tick_us: int
) -> str | None:
    """Say why a run's figures say nothing about the proxy; None if they do."""
    most = MOST_LATE_AT_TICKS_MS if tick_us else MOST_LATE_MS
    if lateness.p99 > most:
        return (
            f"the generator was the limit: 99 % of its frames left within {lateness.p99:.1f} ms of their due instant, "
            f"{most:g} ms is allowed{' at ticks' if tick_us else ''}; offer less, or give it a core of its own"
        )
    if reading.p99 > MOST_UNREAD_MS and reading.p99 > latency.p99 / 2:
        return (
            f"the generator was the limit: 99 % of what came was read within {reading.p99:.1f} ms, of a latency of "
            f"{latency.p99:.1f} ms; offer less, or give it a core of its own"
        )
    if generator_cores is not None and generator_cores > MOST_CORES:
        return f"the generator was the limit: it kept {generator_cores:.2f} of a core busy; offer less"
    return None


def _cost(before: _Sample, after: _Sample, book: Book, engine: Engine, rss_before: int | None) -> Cost:
    seconds = after.at - before.at
    if seconds <= 0:
        return Cost()
    forwarded = 2 * book.carried
    of_proxy = after.proxy - before.proxy
    proxy, waited, token = (
        of_proxy.processor_seconds,
        of_proxy.waited_seconds,
        (after.token - before.token).processor_seconds,
    )
    backend = (after.backend - before.backend).processor_seconds
    rss = None if after.proxy.rss_kib is None else after.proxy.rss_kib + (after.token.rss_kib or 0)
    grown = None if rss is None or rss_before is None else rss - rss_before
    return Cost(
        proxy_us_per_frame=None if proxy is None or not forwarded else proxy * 1e6 / forwarded,
        token_us_per_frame=None if token is None or not forwarded else token * 1e6 / forwarded,
        proxy_cores=None if proxy is None else proxy / seconds,
        proxy_waited_cores=None if waited is None else waited / seconds,
        rss_kib_per_call=None if grown is None or not engine.streams else grown / len(engine.streams),
        generator_cores=(after.generator_seconds - before.generator_seconds) / seconds,
        backend_cores=None if backend is None else backend / seconds,
    )


def _sample(watched: Watched) -> _Sample:
    return _Sample(
        time.monotonic(),
        usage_of(watched.proxy),
        usage_of(watched.token),
        usage_of(watched.backend),
        time.process_time(),
    )


def _open_enough_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _collect_seldom() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _never() -> bool:
    return False


def _tell_nobody(_: Progress) -> None:
    """Nobody watches."""
