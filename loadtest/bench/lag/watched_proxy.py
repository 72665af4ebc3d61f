"""`sottovoce serve` with a watch on its event loop, `python -m loadtest.bench.lag.watched_proxy DIR OUT`.

It ends with SIGTERM, as `serve` does, and then writes OUT.
"""

import sys
from pathlib import Path

import msgspec
import trio

from loadtest.bench.lag.slow_token import COMMAND
from loadtest.bench.lag.watch import Watch, watching
from sottovoce.app.serving import parts
from sottovoce.app.serving import serve as serve_proxy
from sottovoce.settings import find_file, load


async def serve(directory: Path, watch: Watch) -> None:
    """Serve `directory` until SIGTERM."""
    file = find_file(directory)
    configuration = load(file, ["log.format=json"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await serve_proxy(configuration, file)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Serve, then write."""
    directory, out = map(Path, sys.argv[1:])
    setattr(parts, "COMMAND", COMMAND)  # noqa: B010  there is no other place to hand in one's own token process
    with watching() as watch:
        trio.run(serve, directory, watch)
    out.write_bytes(msgspec.json.encode(watch.seen))


if __name__ == "__main__":
    main()
