"""Which keys there are beside the tokens' own, and on which nodes each was proved: one file, whole or not at all.

A token knows its keys by label only; that two nodes' keys belong together, and that a key is ready, is said here.  An
entry is written before the first node makes a key and again when enough nodes have it, so that what a proxy which was
killed left in the tokens has a name, and is destroyed by the next one.  Nothing in the file is secret.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

from sottovoce.hsm.errors import HsmError
from sottovoce.hsm.kinds import KeyKind
from sottovoce.primitives import one_line


class InventoryUnusable(HsmError):
    """The inventory's file cannot be read or written; the text names it and the remedy."""


class KeyState(StrEnum):
    """Where a key is in its life."""

    MAKING = "making"
    """Some nodes may have it.  It is not used, and destroyed if nobody goes on with it."""
    USABLE = "usable"
    ENDING = "ending"
    """It is not used any more, and some nodes may still have it."""


class PublishedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key and the nodes that have it, or their own key of that label."""

    label: str
    kind: KeyKind
    state: KeyState
    made_at: int
    """Seconds since 1970."""
    nodes: dict[str, bytes]
    """Where it was proved, with the public half (SubjectPublicKeyInfo, DER) that this node's key has; none: empty."""
    is_shared: bool = False
    """Whether the nodes' keys are the same one."""
    is_extractable: bool = False
    """Whether it may be wrapped under another."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[PublishedKey]
    format: Literal["sottovoce.key-inventory.1"] = "sottovoce.key-inventory.1"


def parse_inventory(data: bytes) -> dict[str, PublishedKey]:
    """Read an inventory, by label.  Raises InventoryUnusable, whose text follows the file's name."""
    try:
        keys = msgspec.json.decode(data, type=_File).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InventoryUnusable(
            f"is no inventory of keys ({one_line(str(error))}): restore it from its backup"
        ) from None
    by_label = {key.label: key for key in keys}
    if len(by_label) != len(keys):
        raise InventoryUnusable("names a key twice: restore it from its backup")
    return by_label


def format_inventory(keys: Iterable[PublishedKey]) -> bytes:
    """Write an inventory, by label."""
    ordered = sorted(keys, key=lambda key: key.label)
    return msgspec.json.format(msgspec.json.encode(_File(ordered)), indent=1) + b"\n"


class Inventory:
    """The file and what is in it.  One process has it open; its methods block on the disk, and are not for two at once.

    After an error the file is as it was, and so is this.
    """

    def __init__(self, path: Path) -> None:
        """Read it; one that is not there is empty.  Raises InventoryUnusable."""
        self._path = path
        self._keys: dict[str, PublishedKey] = {}
        try:
            self._keys = parse_inventory(path.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error) from None
        except InventoryUnusable as error:
            raise InventoryUnusable(f"{path} {error}") from None

    @property
    def keys(self) -> tuple[PublishedKey, ...]:
        """All keys, whatever their state."""
        return tuple(self._keys.values())

    def get(self, label: str) -> PublishedKey | None:
        """Give a key."""
        return self._keys.get(label)

    def put(self, key: PublishedKey) -> None:
        """Add a key, or replace what is known of it.  Raises InventoryUnusable."""
        self._write(self._keys | {key.label: key})

    def remove(self, label: str) -> None:
        """Forget a key.  Raises InventoryUnusable."""
        self._write({each: key for each, key in self._keys.items() if each != label})

    def _write(self, keys: dict[str, PublishedKey]) -> None:
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(format_inventory(keys.values()))
                file.flush()
                os.fsync(descriptor)
            fresh.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            raise self._unusable(error) from None
        self._keys = keys
        with suppress(OSError):  # it is in place; only a crash of the machine could bring the old one back
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _unusable(self, error: OSError) -> InventoryUnusable:
        return InventoryUnusable(
            f"the inventory of keys {self._path} cannot be read or written ({error.strerror}): see to its folder"
        )
