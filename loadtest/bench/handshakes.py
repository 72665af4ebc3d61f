"""What a connection costs the proxy and its token process: with a signature, with a ticket, and when it is refused.

The proxy is the real one, over loopback, with SoftHSM; 64 clients at a time in another process.  What is counted is the
processor time of proxy and token process for whole connections, TCP and TLS included.  Turns of each kind alternate,
and the middle one of the rounds' ratios counts.

A refusal behind TLS cannot cost less than TLS: of a hello that is refused, only what comes on top of a connection that
was upgraded and then left is held against a full handshake.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import trio

from loadtest.bench.crowd.callers import AT_ONCE, Turn
from loadtest.bench.crowd.processor import processor_seconds
from loadtest.bench.crowd.proxy import served
from loadtest.bench.figure import Figure
from loadtest.replay.processes.crew import watched_of
from sottovoce.app.initialise import default_configuration, initialise

CONNECTIONS = 768
ROUNDS = 3
TICKET_LIMIT = 1.4
REFUSED_LIMIT = 0.1
_KINDS = ("full", "ticket", "upgraded", "syntax", "size", "closed")
_LIMITS = (
    "max_handshakes_per_second",
    "max_handshakes_per_address",
    "max_handshakes_per_prefix",
    "max_prefix_handshakes_per_second",
)


def measure() -> list[Figure]:
    """Give the ratios."""
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as temporary:
        directory = Path(temporary) / "voice"
        trio.run(lambda: initialise(directory, configuration=_configuration(), progress=lambda _: None))
        costs = _costs(directory)
    each = {kind: statistics.median(seconds) / CONNECTIONS * 1e6 for kind, seconds in costs.items()}

    def ratio(count: Callable[[int], float]) -> float:
        return statistics.median(count(number) for number in range(ROUNDS))

    def on_top(kind: str) -> Callable[[int], float]:
        return lambda number: max(0.0, costs[kind][number] - costs["upgraded"][number]) / costs["full"][number]

    full, upgraded = f"{each['full']:.0f} µs", f"{each['upgraded']:.0f} µs"
    return [
        Figure(
            "connection, full to ticket handshake",
            ratio(lambda number: costs["full"][number] / costs["ticket"][number]),
            TICKET_LIMIT,
            "x",
            f"{full} to {each['ticket']:.0f} µs of proxy and token process, {AT_ONCE} at once",
        ),
        Figure(
            "refused at the rate limit, to full",
            ratio(lambda number: costs["closed"][number] / costs["full"][number]),
            REFUSED_LIMIT,
            "x",
            f"{each['closed']:.0f} µs to {full}, the whole connection",
        ),
        *(
            Figure(
                f"refused hello, {word}, to full",
                ratio(on_top(kind)),
                REFUSED_LIMIT,
                "x",
                f"{each[kind]:.0f} µs with {upgraded} for TCP, TLS and upgrade",
            )
            for kind, word in (("syntax", "bad TLVs"), ("size", "too large"))
        ),
    ]


def _configuration() -> str:
    """One listener that takes whatever comes, and one that takes next to nothing."""
    limits = "".join(f"{key} = 1000000\n" for key in _LIMITS) + "bad_hello_weight = 0\n"
    narrow = '[listeners.narrow]\naddress = "127.0.0.1:0"\nmax_handshakes_per_second = 1\n'
    return f"{default_configuration(0)}{limits}\n{narrow}"


def _costs(directory: Path) -> dict[str, list[float]]:
    """Give the processor seconds of each turn, by kind."""
    command = [sys.executable, "-m", "sottovoce", "serve", str(directory)]
    costs: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    with served(command, directory) as proxy:
        watched = watched_of((proxy.pid,))
        pids = (*watched.proxy, *watched.token)
        wide, narrow = (f"wss://localhost:{address.rpartition(':')[2]}/echo" for address in proxy.addresses)
        with _Callers(directory, wide) as callers, _Callers(directory, narrow) as refused:
            callers.turn("prepare", 0)
            for _ in range(ROUNDS + 1):
                for kind in _KINDS:
                    before = processor_seconds(pids)
                    (refused if kind == "closed" else callers).turn(kind, CONNECTIONS)
                    costs[kind].append(processor_seconds(pids) - before)
    return {kind: seconds[1:] for kind, seconds in costs.items()}  # the first round only warms up


class _Callers:
    """The clients' process."""

    def __init__(self, directory: Path, url: str) -> None:
        command = [sys.executable, "-m", "loadtest.bench.crowd.callers", str(directory), url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  ourselves

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def turn(self, kind: str, count: int) -> None:
        """Have one turn done.  Raises RuntimeError when not all came about as they should have."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the callers have no pipes")
        print(kind, count, file=self._process.stdin, flush=True)
        turn = msgspec.json.decode(self._process.stdout.readline(), type=Turn)
        if turn.failures:
            raise RuntimeError(f"{kind}: {len(turn.failures)} connections failed: {turn.failures[0]}")
        if turn.done != count or turn.resumed != (count if kind == "ticket" else 0):
            raise RuntimeError(f"{kind}: of {count} connections {turn.done} were made, {turn.resumed} with a ticket")
