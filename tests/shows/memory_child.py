"""A proxy or a client whose secrets are told to the process that will read its memory.

    python -m tests.shows.memory_child NOTES serve DIR KEY=VALUE…       the proxy, as `sottovoce serve` runs it
    python -m tests.shows.memory_child NOTES call DIR URL TOKEN         a client; stops at points until a line comes

NOTES is what `telling` writes; SIGUSR1 asks for what lives.  Left out of the proxy is only what would close its memory
to the test.
"""

import signal
import sys
from pathlib import Path

import trio

from sottovoce.app.serving import lifetime
from sottovoce.cli import main
from sottovoce.client import connect, trust_from_directory
from tests.shows.telling import tell_secrets


def serve(words: list[str]) -> None:
    directory, *changes = words
    lifetime.harden_process = lambda: 0
    main(["serve", directory, *(word for change in changes for word in ("--set", change))])


def stop(point: str) -> None:
    """Stand still until a line comes: no task runs, no key turns."""
    sys.stdout.write(f"{point}\n")
    sys.stdout.flush()
    sys.stdin.readline()


async def call(directory: str, url: str, token: str) -> None:
    """Talk, turn the keys, hang up; stand still after each."""
    trust = trust_from_directory(directory)
    async with connect(url, anchor=trust.anchors, ca=trust.ca, token=Path(token)) as one:
        frames = one.audio()

        async def talk() -> None:
            for _ in range(40):
                await one.send(bytes(640))
                await anext(frames)

        await talk()
        stop("talking")
        for epoch in (2, 3):
            while one.statistics.epochs < epoch:
                await talk()
                await trio.sleep(0.02)
        await talk()
        stop("switched")
    stop("closed")


if __name__ == "__main__":
    notes, what, *rest = sys.argv[1:]
    signal.signal(signal.SIGUSR1, tell_secrets(Path(notes)).tell_live)
    if what == "serve":
        serve(rest)
    else:
        where, to, token_file = rest
        trio.run(call, where, to, token_file)
