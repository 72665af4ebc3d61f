"""The token process of these commands, run by `COMMAND` with FD and PPID: tries the token, and keeps keys in it.

It issues nothing and signs nothing that could be used; of the token's own keys it tells the public halves.
"""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from sottovoce.hsm import (
    Counts,
    Handler,
    KeyMissing,
    KeyName,
    Operation,
    Start,
    Worker,
    key_handlers,
    key_making_handlers,
    run_token_process,
)
from sottovoce.hsm.trials import trial_handlers
from sottovoce.identity import (
    SERVING_ALGORITHM,
    SERVING_PURPOSE,
    SERVING_SEED,
    ServingKeys,
    open_signer,
    read_seed_file,
)
from sottovoce.primitives import PublicKey

_PROGRAM = "from sottovoce.app.hsm.token_child import main; main()"
"""Not `-m`: the package imports this module before it could be run as one."""
_MAX_SIGNATURES = 100_000
"""So that the answer fits into a frame."""
COMMAND = (sys.executable, "-P", "-c", _PROGRAM)


class OwnKeys(msgspec.Struct, frozen=True):
    """Look for the token's own signing keys of these names, and for its KEK."""

    names: tuple[str, ...]


class FoundOwnKeys(msgspec.Struct, frozen=True):
    """Those that are there, by name; and whether the KEK is, which has no public half."""

    keys: dict[str, PublicKey]
    has_kek: bool


class AskServing(msgspec.Struct, frozen=True):
    """Ask for the public keys that the token signs roots with, for the list that other tokens read."""


class Loop(msgspec.Struct, frozen=True):
    """Sign and verify with the serving key, again and again, for so long: what no pool stands before."""

    seconds: float


class Looped(msgspec.Struct, frozen=True):
    """How long each took, in seconds."""

    took: tuple[float, ...]


MAX_LOOP_SECONDS = 60.0
LOOP = Operation("bench_loop", Loop, Looped, answer_seconds=2 * MAX_LOOP_SECONDS)
OWN_KEYS = Operation("own_keys", OwnKeys, FoundOwnKeys)
SERVING = Operation("serving_keys", AskServing, ServingKeys)


def compose(_: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    """Set up what this process answers; it makes and destroys keys only where it was opened for that."""

    def serving(worker: Worker, _: AskServing) -> ServingKeys:
        path = Path(start.files[SERVING_SEED])
        sealed = read_seed_file(path, SERVING_PURPOSE, SERVING_ALGORITHM)
        return ServingKeys(worker.public_key(KeyName.SERVING), open_signer(worker, sealed, path).public_key)

    making = key_making_handlers(counts) if start.change_keys else ()
    return [
        Handler(OWN_KEYS, _own_keys),
        Handler(SERVING, serving),
        Handler(LOOP, _loop),
        *trial_handlers(),
        *key_handlers(counts),
        *making,
    ]


def _own_keys(worker: Worker, question: OwnKeys) -> FoundOwnKeys:
    found: dict[str, PublicKey] = {}
    for name in question.names:
        with suppress(KeyMissing):
            found[name] = worker.public_key(name)
    try:
        worker.new_wrapped_key("trial")
    except KeyMissing:
        return FoundOwnKeys(found, has_kek=False)
    return FoundOwnKeys(found, has_kek=True)


def _loop(worker: Worker, question: Loop) -> Looped:
    took: list[float] = []
    ends_at = time.monotonic() + min(question.seconds, MAX_LOOP_SECONDS)
    while (began := time.monotonic()) < ends_at and len(took) < _MAX_SIGNATURES:
        worker.sign(KeyName.SERVING, b"sottovoce.v1 probe\x00" + os.urandom(32))
        took.append(time.monotonic() - began)
    return Looped(tuple(took))


def main() -> NoReturn:
    """Be the process."""
    run_token_process(sys.argv[1:], compose)
