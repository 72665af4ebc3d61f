"""Destroys a key that the tokens hold beside their own, on all of them, and has the audit log tell of it."""

import time
from functools import partial
from pathlib import Path

import msgspec

from sottovoce.app.anchors import locked, place_of
from sottovoce.app.hsm.keys import is_own, no_key, own_or_label
from sottovoce.app.hsm.opening import (
    DEADLINE_SECONDS,
    Opened,
    TokensRefused,
    opened,
    refuse_while_it_serves,
    tell_audit_log,
    tokens_of,
)
from sottovoce.hsm import Inventory, KeyState, PublishedKey, TokenKeys
from sottovoce.hsm.operations import FIND, Find


class KeyEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is gone, or goes when the last token that may have it opens again."""

    label: str
    gone: tuple[str, ...]
    left: dict[str, str]
    """Tokens that could not be asked and may still have it, and why; it is not used from there any more."""


async def destroy_key(directory: Path, label: str) -> KeyEnded:
    """Destroy a key on every token that opens.  Raises SottovoceError; what was begun is finished by another call."""
    name = refuse_own(label)
    tokens = tokens_of(directory)
    with locked(place_of(directory)):
        refuse_while_it_serves(tokens)
        inventory = Inventory(tokens.inventory)
        async with opened(tokens, tokens.places, change_keys=True) as those:
            if inventory.get(name) is None:
                await _list_stray(those, inventory, name, label)
            keys = TokenKeys(those.pool, inventory, time.time, partial(tell_audit_log, tokens))
            ended = await keys.destroy(name, deadline_seconds=DEADLINE_SECONDS)
    return KeyEnded(
        label=name, gone=ended.gone, left={each: those.closed.get(each, "it did not do it") for each in ended.left}
    )


def refuse_own(label: str) -> str:
    """Give the label of a key that may be destroyed.  Raises TokensRefused for one of a token's own."""
    if is_own(label):
        text = (
            f"{label} is one of the token's own keys, without which it does not serve: sottovoce anchor retire "
            "destroys an anchor that is no longer needed, the others stay as long as their token"
        )
        raise TokensRefused(text)
    return own_or_label(label)


async def _list_stray(those: Opened, inventory: Inventory, name: str, label: str) -> None:
    """Put a key that some token has, and no inventory tells of, on the list of those that are to end."""
    found = await those.ask_each(FIND, lambda _: Find(name))
    facts = next((each for answer in found.done.values() for each in answer.keys if each.label == name), None)
    if facts is None:
        raise no_key(label)
    inventory.put(PublishedKey(label=name, kind=facts.kind, state=KeyState.ENDING, made_at=int(time.time()), nodes={}))
