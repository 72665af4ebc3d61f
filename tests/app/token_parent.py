"""A proxy in small, for tests that kill it: opens the token, prints the token process's id, sleeps."""

import sys
from pathlib import Path

import trio

from sottovoce.app.places import token_files
from sottovoce.app.token_process import COMMAND
from sottovoce.hsm import TokenUp, open_token
from tests.app.directories import PATIENT


async def main(directory: Path) -> None:
    def report(event: object) -> None:
        if isinstance(event, TokenUp):
            print(event.pid, flush=True)  # noqa: T201  the test reads it

    config = PATIENT.resolved(directory)
    async with open_token(config, command=COMMAND, files=token_files(config, directory), report=report):
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
