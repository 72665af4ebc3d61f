"""The token process as it is run, which also makes keys for others and uses them."""

import sys
from collections.abc import Iterable

from sottovoce.app import token_process
from sottovoce.hsm import Counts, Handler, Start, Worker, run_token_process
from sottovoce.hsm.operations import key_handlers, key_making_handlers


def compose(worker: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    yield from token_process.compose(worker, start, counts)
    yield from key_handlers(counts)
    yield from key_making_handlers(counts)


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
