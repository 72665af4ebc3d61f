"""Gives one token of a directory the keys that another has, and has the audit log tell of it."""

import time
from functools import partial
from pathlib import Path

import msgspec

from sottovoce.app.anchors import locked, place_of
from sottovoce.app.hsm.opening import (
    DEADLINE_SECONDS,
    TokensRefused,
    opened,
    refuse_while_it_serves,
    tell_audit_log,
    tokens_of,
)
from sottovoce.hsm import Inventory, KeyName, TokenKeys
from sottovoce.hsm.operations import KeySynced, SyncOutcome

_OWN = "a token's own key never moves, and the other has its own"


class TokensSynced(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each key; the source's own stand last, and stay."""

    source: str
    target: str
    keys: tuple[KeySynced, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the target has every key that it could have."""
        own = set(KeyName)
        return not any(each.outcome is SyncOutcome.STAYS and each.label not in own for each in self.keys)


async def sync_tokens(directory: Path, source: str, target: str) -> TokensSynced:
    """Give `target` the keys that `source` has.  Raises SottovoceError; may be run again."""
    tokens = tokens_of(directory)
    names = [tokens.named(source).name, tokens.named(target).name]
    if source == target:
        text = f"{source} is both: give two tokens, first the one that has the keys"
        raise TokensRefused(text)
    with locked(place_of(directory)):
        refuse_while_it_serves(tokens)
        inventory = Inventory(tokens.inventory)
        async with opened(tokens, names, change_keys=True) as (pool, closed):
            for name, reason in closed.items():
                text = f"token {name} does not open: {reason}"
                raise TokensRefused(text)
            keys = await TokenKeys(pool, inventory, time.time, partial(tell_audit_log, tokens)).synchronize(
                source, target, deadline_seconds=DEADLINE_SECONDS
            )
    own = [KeySynced(name, SyncOutcome.STAYS, _OWN) for name in KeyName]
    return TokensSynced(source=source, target=target, keys=(*keys, *own))
