"""Orders and answers: one line of JSON each.  Pure.

A share of a seal follows its order as a second line, and is in no JSON: so it lies in one buffer, which is overwritten.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec

from sottovoce.primitives import SottovoceError

MAX_LINE_BYTES: Final = 4096
_NAME: Final = "control"


class OrderInvalid(SottovoceError):
    """What was sent is no order of this version."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Do something: take a token out of use or into it again, seal, count a share, tell how the seal stands."""

    do: Literal["hold", "release", "seal", "unseal", "look"]
    node: str = ""
    reason: str = ""


class SealState(msgspec.Struct, frozen=True):
    """How the seal stands: of `count` shares it takes `wanted`, and `have` were given."""

    state: Literal["sealed", "unsealing", "unsealed"]
    reason: str
    have: int
    wanted: int
    count: int


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it: nothing went wrong where `error` is empty."""

    error: str = ""
    up: tuple[str, ...] = ()
    """The tokens that take calls now."""
    seal: SealState | None = None
    admin: str = ""
    """Where the proxy tells how it does; said to whoever only looks."""


def socket_path(ready_file: str) -> Path:
    """Give the place of the socket: beside the ready file, and of its name."""
    path = Path(ready_file)
    return path.with_name(f"{path.name}.{_NAME}")


def parse_order(line: bytes) -> Order:
    """Read an order.  Raises OrderInvalid."""
    try:
        return msgspec.json.decode(line, type=Order)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "that is no order of this version: use the commands of the version that runs"
        raise OrderInvalid(text) from None


def to_line(message: Order | Done) -> bytes:
    """Write an order or an answer."""
    return msgspec.json.encode(message) + b"\n"
