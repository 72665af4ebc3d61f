"""A proxy or a client whose secrets are told to the process that will read its memory.

    python -m tests.shows.memory_child NOTES serve DIR KEY=VALUE…       the proxy, as `sottovoce serve` runs it
    python -m tests.shows.memory_child NOTES call DIR URL TOKEN         a client; stops at points until a line comes

NOTES gets a line for each secret at the moment at which it is wiped, `wiped NAME HEX`, and after SIGUSR1 one for each
that lives, `live NAME HEX`, then `told`.  The hex is of the secret under a mask, and no copy in the clear is made: what
is found in memory is no note.  Left out of the proxy is only what would close its memory to the test.
"""

import gc
import os
import signal
import sys
from pathlib import Path

import trio

from sottovoce.app import serving
from sottovoce.cli import main
from sottovoce.client import connect, trust_from_directory
from sottovoce.primitives import Secret, wipe_bytes

MASK = bytes(byte ^ 0xA5 for byte in range(256))
SHORTEST_BYTES = 10
"""The part of an SFrame nonce that a generation keeps; what is shorter is found by chance."""


def tell_secrets(path: Path) -> None:
    """Begin to write notes."""
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    wipe, overwrite = Secret.wipe, wipe_bytes

    def note(what: str, name: str, value: bytes | bytearray) -> None:
        if len(value) >= SHORTEST_BYTES and any(value):
            os.write(notes, f"{what} {name.replace(' ', '-')} {value.translate(MASK).hex()}\n".encode())

    def noting_wipe(self: Secret) -> None:
        note("wiped", self.name, self.expose())
        wipe(self)

    def noting_wipe_bytes(value: bytes) -> None:
        note("wiped", "bytes", value)
        overwrite(value)

    def tell_live(*_: object) -> None:
        gc.collect()
        for thing in gc.get_objects():
            if isinstance(thing, Secret):
                note("live", thing.name, thing.expose())
        os.write(notes, b"told\n")

    Secret.wipe = noting_wipe  # type: ignore[method-assign]
    for module in list(sys.modules.values()):
        if getattr(module, "wipe_bytes", None) is overwrite:
            module.wipe_bytes = noting_wipe_bytes  # type: ignore[attr-defined]
    signal.signal(signal.SIGUSR1, tell_live)


def serve(words: list[str]) -> None:
    directory, *changes = words
    serving.harden_process = lambda: 0
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
    tell_secrets(Path(notes))
    if what == "serve":
        serve(rest)
    else:
        where, to, token_file = rest
        trio.run(call, where, to, token_file)
