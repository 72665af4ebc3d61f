"""`sottovoce serve` that is told to make keys in its tokens and to use them (`orders`).

A line is `make LABEL` or `sign LABEL`; the answer is the names of the tokens that have the key, or of the one that
signed, or the error's name and text.
"""

import sys
import time

from sottovoce.app.serving import parts
from sottovoce.hsm import HsmError
from sottovoce.hsm.inventory import Inventory
from sottovoce.hsm.kinds import KeyKind, NewKey
from sottovoce.hsm.operations import TokenKeys
from tests.shows.orders import serve_with_orders

_SECONDS = 20.0


async def answer(all_parts: parts.Parts, what: bytes, rest: bytes) -> str:
    inventory = Inventory(all_parts.file.parent / "keys-for-others.json")
    keys = TokenKeys(all_parts.tokens, inventory, time.time)
    label = rest.decode()
    try:
        if what == b"make":
            made = await keys.generate(NewKey(label, KeyKind.ECDSA_P384), deadline_seconds=_SECONDS)
            return " ".join(sorted(made.nodes))
        return (await keys.sign(label, b"message", deadline_seconds=_SECONDS)).node
    except HsmError as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    parts.COMMAND = (sys.executable, "-m", "tests.shows.tokens.key_token")  # type: ignore[attr-defined, assignment]
    serve_with_orders(answer)
