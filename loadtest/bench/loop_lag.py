"""The proxy's event loop while 50 handshakes a second wait for an HSM that takes 50 ms to sign.

The proxy is the real one, over loopback, with SoftHSM slowed down inside the token process; the clients are in another
process.  Stretches with calls and without take turns.  Each stretch gives its worst moment and its 99th percentile, and
the middle one of the stretches counts.  Time in which the loop was ready to run and had no processor, since others had
them all, is not its lag and is taken off; the detail has the figure with it, and that of the stretches without calls.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import trio

from loadtest.bench.crowd.proxy import served
from loadtest.bench.figure import Figure
from loadtest.bench.lag.callers import Stretch
from loadtest.bench.lag.watch import Watched
from sottovoce.app.initialise import default_configuration, initialise

PER_SECOND = 50
STRETCH_SECONDS = 4
WARM_UP_SECONDS = 1
ROUNDS = 3
LIMIT_MS = 20.0


def measure() -> list[Figure]:
    """Give the lag that a call would feel, and what the loop itself does to it."""
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as temporary:
        directory, out = Path(temporary) / "voice", Path(temporary) / "watched.json"
        configuration = default_configuration(0)
        trio.run(lambda: initialise(directory, configuration=configuration, progress=lambda _: None))
        command = [sys.executable, "-m", "loadtest.bench.lag.watched_proxy", str(directory), str(out)]
        with served(command, directory) as proxy:
            busy, idle = _take_turns(directory, f"wss://{proxy.addresses[0]}/echo")
        watched = msgspec.json.decode(out.read_bytes(), type=Watched)
    handshakes = [seconds for stretch in busy for seconds in stretch.handshakes]
    failures = [failure for stretch in busy for failure in stretch.failures]
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(failures) + len(handshakes)} calls failed: {failures[0]}")
    lag = _Lag(watched, busy, idle)
    calls = f"{len(handshakes)} calls, {statistics.median(handshakes) * 1e3:.0f} ms to speak"
    return [
        lag.figure("99th percentile", 0.99, calls),
        lag.figure("worst", 1.0, f"{PER_SECOND} handshakes/s, HSM of 50 ms"),
    ]


class _Lag:
    """Everything that was seen, and in which stretches."""

    def __init__(self, watched: Watched, busy: list[Stretch], idle: list[Stretch]) -> None:
        self._late = list(zip(watched.at, watched.late, strict=True))
        self._own = [
            (at, max(0.0, late - queued)) for (at, late), queued in zip(self._late, watched.queued, strict=True)
        ]
        self._busy = busy
        self._idle = idle

    def figure(self, name: str, part: float, detail: str) -> Figure:
        """Give the figure for one part of the moments, as in 0.99 of them."""

        def middle(values: list[tuple[float, float]], stretches: list[Stretch]) -> float:
            return statistics.median(_quantile(_within(values, stretch), part) for stretch in stretches) * 1e3

        with_wait, without_calls = middle(self._late, self._busy), middle(self._late, self._idle)
        detail += f"; {with_wait:.1f} ms with the wait for a processor, {without_calls:.1f} ms without calls"
        return Figure(f"event loop lag, {name}", middle(self._own, self._busy), LIMIT_MS, "ms", detail)


def _within(values: list[tuple[float, float]], stretch: Stretch) -> list[float]:
    return [seconds for at, seconds in values if stretch.began <= at <= stretch.ended]


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def _take_turns(directory: Path, url: str) -> tuple[list[Stretch], list[Stretch]]:
    """Give the stretches with calls and those without; what warms up is not among them."""
    command = [sys.executable, "-m", "loadtest.bench.lag.callers", str(directory), url]
    busy: list[Stretch] = []
    idle: list[Stretch] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as callers:  # noqa: S603  ourselves
        if callers.stdin is None or callers.stdout is None:
            raise RuntimeError("the callers have no pipes")

        def run(per_second: int, seconds: int) -> Stretch:
            print(per_second, seconds, file=callers.stdin, flush=True)
            return msgspec.json.decode(callers.stdout.readline() if callers.stdout else "", type=Stretch)

        run(PER_SECOND, WARM_UP_SECONDS)
        for _ in range(ROUNDS):
            busy.append(run(PER_SECOND, STRETCH_SECONDS))
            idle.append(run(0, STRETCH_SECONDS))
    return busy, idle
