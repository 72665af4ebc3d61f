"""The token process of these commands, run by `COMMAND` with FD and PPID: tries the token, and keeps keys in it.

It issues nothing and signs nothing that could be used; of the token's own keys it tells the public halves.
"""

import sys
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


OWN_KEYS = Operation("own_keys", OwnKeys, FoundOwnKeys)
SERVING = Operation("serving_keys", AskServing, ServingKeys)


def compose(_: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    """Set up what this process answers; it makes and destroys keys only where it was opened for that."""

    def serving(worker: Worker, _: AskServing) -> ServingKeys:
        path = Path(start.files[SERVING_SEED])
        sealed = read_seed_file(path, SERVING_PURPOSE, SERVING_ALGORITHM)
        return ServingKeys(worker.public_key(KeyName.SERVING), open_signer(worker, sealed, path).public_key)

    making = key_making_handlers(counts) if start.change_keys else ()
    return [Handler(OWN_KEYS, _own_keys), Handler(SERVING, serving), *trial_handlers(), *key_handlers(counts), *making]


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


def main() -> NoReturn:
    """Be the process."""
    run_token_process(sys.argv[1:], compose)
