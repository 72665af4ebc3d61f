"""Outcomes that no run has made, for the report's tests."""

from typing import Any

from msgspec.structs import replace

from loadtest.replay.outcome import Cost, Handshakes, Outcome, Quantiles, RouteOutcome, Second


def quantiles(scale: float = 1.0, count: int = 5000) -> Quantiles:
    return Quantiles(count, 0.8 * scale, 1.2 * scale, 2.1 * scale, 4.4 * scale, 9.0 * scale)


def route(**changes: Any) -> RouteOutcome:
    known = RouteOutcome(
        url="wss://localhost:8443/echo", sessions=100, offered=50_000, carried=49_990, lost=10, latency=quantiles()
    )
    return replace(known, **changes)


def outcome(**changes: Any) -> Outcome:
    """A sound run, ten seconds of 100 calls, with `changes`."""
    seconds = tuple(
        Second(at=at, offered=5000, carried=4999, latency=quantiles(1 + at / 10), lateness=quantiles(0.1))
        for at in range(10)
    )
    known = Outcome(
        started_at="2026-11-26T00:20:00+00:00",
        machine="AMD EPYC, 2 cores, Linux 6.18, CPython 3.11.7",
        sessions=100,
        seconds=10.0,
        frames_per_second=50.0,
        routes=(route(),),
        handshakes=Handshakes(done=100, failed=0, per_second=83.2, latency=quantiles(8, 100)),
        latency=quantiles(),
        lateness=quantiles(0.1),
        cost=Cost(
            proxy_us_per_frame=21.2,
            token_us_per_frame=0.1,
            proxy_cores=0.43,
            rss_kib_per_call=61.4,
            generator_cores=0.7,
            backend_cores=0.1,
        ),
        seconds_of_run=seconds,
        distribution=((0.0, 0.5), (50.0, 0.8), (90.0, 1.2), (99.0, 2.1), (99.9, 4.4), (100.0, 9.0)),
    )
    return replace(known, **changes)


def silent(**changes: Any) -> Outcome:
    """A run in which nothing came back and nobody could be looked at."""
    nothing = {
        "routes": (route(carried=0, lost=0, offered=0, sessions=0, calls_failed=100, reasons={"refused": 100},
                         latency=Quantiles()),),
        "handshakes": Handshakes(done=0, failed=100, per_second=0.0, latency=Quantiles()),
        "latency": Quantiles(),
        "lateness": Quantiles(),
        "cost": Cost(),
        "seconds_of_run": (),
        "distribution": (),
    }  # fmt: skip
    return outcome(**(nothing | changes))
