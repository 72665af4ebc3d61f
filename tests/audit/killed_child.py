"""A proxy in small, for the test that kills it: records and notes without end, and prints what is durable."""

import sys

import trio

from sottovoce.audit import TokenStarted, open_audit
from tests.audit.examples import StandingClock


async def main(path: str) -> None:
    async with open_audit(path, StandingClock()) as log, trio.open_nursery() as nursery:

        async def record(first: int) -> None:
            for number in range(first, sys.maxsize, 3):
                log.note(TokenStarted(token="noted", pid=number))
                await log.record(TokenStarted(token="recorded", pid=number))
                print(number, flush=True)  # noqa: T201  the test reads it

        for first in range(3):
            nursery.start_soon(record, first)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
