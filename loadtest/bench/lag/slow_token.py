"""The token process with an HSM that takes 50 ms to sign, `python -m loadtest.bench.lag.slow_token FD PPID`.

Everything else is as in `sottovoce.app.token_process`.
"""

import sys
import time
from collections.abc import Iterable

import msgspec

from sottovoce.app import token_process
from sottovoce.hsm import Counts, Handler, Start, Worker, run_token_process
from sottovoce.identity import SIGN_ROOT

COMMAND = (sys.executable, "-m", "loadtest.bench.lag.slow_token")
SIGN_SECONDS = 0.050


def compose(worker: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    """Set up what the real process answers, the signing of roots slowed down."""
    for handler in token_process.compose(worker, start, counts):
        if handler.name == SIGN_ROOT.name:
            _slow_down(handler)
        yield handler


def _slow_down(handler: Handler) -> None:
    respond = handler.respond

    def respond_late(worker: Worker, fields: msgspec.Raw) -> bytes:
        time.sleep(SIGN_SECONDS)
        return respond(worker, fields)

    handler.respond = respond_late


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
