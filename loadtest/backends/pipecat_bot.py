"""A Pipecat bot behind the `raw` adapter, with Pipecat's own WebSocket transport; one call at a time.

    .venv/pipecat/bin/python -m loadtest.backends.pipecat_bot --port 9000 --rate 16000

It says back what it hears.  Keys, as of a phone menu: `0` interrupts the bot, `#` makes it hang up and end, another one
comes back.  A message of the client's application comes back as it is.  The first line on stdout is the bot's URL.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

_MAX_PORT = 65_535
_OURS = "loadtest"


def main(words: Sequence[str] | None = None) -> int:
    """Run until told to stop.  Without Pipecat, one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.backends.pipecat_bot", description="A Pipecat bot that echoes."
    )
    parser.add_argument("--port", type=int, default=9000, help="port (default: 9000)")
    parser.add_argument("--rate", type=int, default=16_000, help="samples a second (default: 16000)")
    arguments = parser.parse_args(words)
    if not 0 < arguments.port <= _MAX_PORT:
        parser.error(f"--port {arguments.port}: is no port; give one from 1 to {_MAX_PORT}")
    try:
        from loadtest.backends.pipecat_pipeline import serve  # noqa: PLC0415  --help is to be had without Pipecat
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(_OURS):
            raise
        package = error.name.partition(".")[0]
        sys.stderr.write(f"pipecat_bot: the package {package} is missing: pip install 'pipecat-ai[websocket]==1.14'\n")
        return 1
    asyncio.run(serve(arguments.port, arguments.rate))
    return 0


if __name__ == "__main__":
    sys.exit(main())
