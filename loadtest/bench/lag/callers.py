"""Clients in a process of their own, `python -m loadtest.bench.lag.callers DIR URL`.

Each line of standard input, `PER_SECOND SECONDS`, is a stretch in which calls begin at that rate; each call is a whole
handshake and an end in good order.  A line of JSON says when the stretch ran and what became of its calls.
"""

import sys
import time

import msgspec
import trio

from sottovoce.client import CallError, Trust, connect, trust_from_directory


class Stretch(msgspec.Struct):
    """One stretch.  Times are the machine's monotonic clock."""

    began: float = 0.0
    ended: float = 0.0
    handshakes: list[float] = []
    """Seconds until each call could speak, TCP and TLS included."""
    failures: list[str] = []


async def run_stretch(url: str, trust: Trust, per_second: float, seconds: float) -> Stretch:
    """Call at a steady rate."""
    stretch = Stretch(began=time.monotonic(), handshakes=[], failures=[])
    async with trio.open_nursery() as nursery:
        for number in range(round(per_second * seconds)):
            await trio.sleep_until(_at(stretch.began + number / per_second))
            nursery.start_soon(_call, url, trust, stretch)
        await trio.sleep_until(_at(stretch.began + seconds))
        stretch.ended = time.monotonic()
    return stretch


async def _call(url: str, trust: Trust, stretch: Stretch) -> None:
    began = trio.current_time()
    try:
        async with connect(url, anchor=trust.anchors, ca=trust.ca):
            stretch.handshakes.append(trio.current_time() - began)
    except CallError as error:
        stretch.failures.append(str(error))


def _at(monotonic: float) -> float:
    return trio.current_time() + monotonic - time.monotonic()


async def main() -> None:
    """Run one stretch for each line."""
    directory, url = sys.argv[1:]
    trust = trust_from_directory(directory)
    for line in sys.stdin:
        per_second, seconds = map(float, line.split())
        stretch = await run_stretch(url, trust, per_second, seconds)
        print(msgspec.json.encode(stretch).decode(), flush=True)


if __name__ == "__main__":
    trio.run(main)
