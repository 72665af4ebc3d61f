"""A process with a seal, for a test that reads its memory: shares come on standard input, one a line, then words.

It says how it stands after each.  What it reads lies in buffers that it wipes, as the proxy's would be.
"""

import os
import sys
from pathlib import Path

import trio

from sottovoce.hsm.seal import SealConfig, SealKeeper, SealStore, open_seal
from sottovoce.primitives import Secret

_ROOM = 512


async def read_line() -> Secret:
    line = Secret.blank("share", _ROOM)
    length = await trio.to_thread.run_sync(os.readv, 0, [line.expose()])
    with memoryview(line.expose()) as view:
        text = Secret("share", bytearray(view[:length]))
    line.wipe()
    return text


async def follow_orders(keeper: SealKeeper) -> None:
    while True:
        with await read_line() as line:
            if not len(line):
                return
            if line == Secret("order", b"seal\n"):
                keeper.seal("ordered")
            else:
                await keeper.offer(line)
        os.write(1, f"{keeper.status.state.value} {keeper.status.have}\n".encode())


async def main() -> None:
    store = SealStore(Path(sys.argv[1]), Path(sys.argv[2]))
    async with open_seal(store, SealConfig(), wall=lambda: 0.0, report=lambda _: None) as keeper:
        await follow_orders(keeper)


if __name__ == "__main__":
    trio.run(main)
