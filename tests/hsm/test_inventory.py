"""The inventory of keys: what is read is what was written, or it is refused in one line."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm.inventory import (
    Inventory,
    InventoryUnusable,
    KeyState,
    PublishedKey,
    format_inventory,
    parse_inventory,
)
from sottovoce.hsm.kinds import KeyKind

published = st.builds(
    PublishedKey,
    label=st.from_regex(r"key/[a-z0-9]{1,8}", fullmatch=True),
    kind=st.sampled_from(KeyKind),
    state=st.sampled_from(KeyState),
    made_at=st.integers(0, 2**40),
    nodes=st.dictionaries(st.sampled_from("abc"), st.binary(max_size=120)),
    is_shared=st.booleans(),
    is_extractable=st.booleans(),
)
KEY = PublishedKey(label="key/one", kind=KeyKind.AES_256_GCM, state=KeyState.USABLE, made_at=1, nodes={"a": b""})


@given(st.lists(published, unique_by=lambda key: key.label))
def test_what_is_read_is_what_was_written(keys: list[PublishedKey]) -> None:
    assert parse_inventory(format_inventory(keys)) == {key.label: key for key in keys}


fields = st.dictionaries(st.text(max_size=8), st.none(), min_size=1).map(msgspec.json.encode)


@given(st.binary(max_size=60) | st.just(b"[" * 100_000) | fields)
def test_what_is_none_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(
        InventoryUnusable, match=r"^is no inventory of keys \(.*\): restore it from its backup$"
    ) as seen:
        parse_inventory(data)
    assert str(seen.value).isprintable()


def test_one_that_names_a_key_twice_is_refused() -> None:
    with pytest.raises(InventoryUnusable, match="names a key twice"):
        parse_inventory(format_inventory([KEY, KEY]))


def test_one_of_a_later_version_is_refused() -> None:
    with pytest.raises(InventoryUnusable, match="is no inventory"):
        parse_inventory(format_inventory([KEY]).replace(b"inventory.1", b"inventory.2"))
    with pytest.raises(InventoryUnusable, match="unknown field"):
        parse_inventory(format_inventory([KEY]).replace(b'"made_at"', b'"new": 1, "made_at"'))


def test_it_is_kept_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    inventory = Inventory(path)
    assert (inventory.keys, inventory.get("key/one")) == ((), None)
    inventory.put(KEY)
    assert Inventory(path).get("key/one") == inventory.get("key/one") == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    inventory.remove("key/one")
    assert Inventory(path).keys == inventory.keys == ()
    assert [each.name for each in tmp_path.iterdir()] == ["inventory.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_one_that_cannot_be_written_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "inventory.json"
    inventory = Inventory(path)
    inventory.put(KEY)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os if step == "fsync" else Path, step, fail)
        with pytest.raises(InventoryUnusable, match=r"inventory\.json cannot be read or written \(No space left"):
            inventory.remove("key/one")
    assert (path.read_bytes(), inventory.keys) == (before, (KEY,))
    assert [each.name for each in tmp_path.iterdir()] == ["inventory.json"]


def test_a_damaged_one_is_named_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    path.write_bytes(b"{}")
    with pytest.raises(InventoryUnusable, match=r"inventory\.json is no inventory of keys"):
        Inventory(path)
    assert path.read_bytes() == b"{}"
    path.unlink()
    path.mkdir()
    with pytest.raises(InventoryUnusable, match=r"inventory\.json cannot be read or written \(Is a directory\)"):
        Inventory(path)
