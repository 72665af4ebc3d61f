"""A proxy in small, for tests that kill it: opens the token, prints the token process's id, sleeps."""

import sys
from pathlib import Path

import msgspec
import trio

from sottovoce.hsm import TokenUp, open_token
from tests.hsm.conftest import COMMAND, PATIENT
from tests.hsm.token_child import SIGN, Sign


async def main(directory: Path) -> None:
    def report(event: object) -> None:
        if isinstance(event, TokenUp):
            print(event.pid, flush=True)  # noqa: T201  the test reads it

    config = msgspec.structs.replace(PATIENT).resolved(directory)
    async with open_token(config, command=COMMAND, files={}, report=report) as token:
        await token.call(SIGN, Sign("a root"), deadline_seconds=30)
        print("ready", flush=True)  # noqa: T201  likewise
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
