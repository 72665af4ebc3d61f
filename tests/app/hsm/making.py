"""Makes keys in the tokens of a directory, as whoever uses them would."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import trio

from sottovoce.app.hsm.opening import opened, tokens_of
from sottovoce.hsm import Inventory, KeyKind, NewKey, PublishedKey, TokenKeys
from sottovoce.primitives import Secret

DEADLINE = 60.0


async def made_keys(
    directory: Path,
    *kinds: KeyKind,
    shared: Iterable[str] = (),
    on: Iterable[str] | None = None,
    extractable: Iterable[str] = (),
) -> list[PublishedKey]:
    """Make keys called key/<kind>; those whose kind `shared` names have one value on all tokens."""
    tokens = tokens_of(directory)
    made: list[PublishedKey] = []
    async with opened(tokens, on or tokens.places, change_keys=True) as those:
        keys = TokenKeys(those.pool, Inventory(tokens.inventory), time.time)
        for kind in kinds:
            new = NewKey(f"key/{kind}", kind, is_extractable=kind in set(extractable))
            if kind not in set(shared):
                made.append(await keys.generate(new, deadline_seconds=DEADLINE))
                continue
            with Secret.take("value", bytes(range(kind.value_bytes))) as value:
                made.append(await keys.import_key(new, value, deadline_seconds=DEADLINE))
    return made


def make_keys(directory: Path, *kinds: KeyKind, on: Iterable[str] | None = None) -> list[PublishedKey]:
    """Do so in a test that is not asynchronous."""
    return trio.run(partial(made_keys, directory, *kinds, on=on))
