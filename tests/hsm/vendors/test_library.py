"""Finding a vendor's library."""

from pathlib import Path

import msgspec
import pytest

from sottovoce.hsm import ModuleUnusable, find_softhsm
from sottovoce.hsm.vendors import PROFILES, Fact, Mark, Vendor, find_library


def test_softhsm_is_found_as_ever() -> None:
    assert find_library(Vendor.SOFTHSM) == find_softhsm()


def test_the_first_place_that_has_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tuple(str(tmp_path / name) for name in ("a.so", "b.so", "c.so"))
    row = msgspec.structs.replace(PROFILES[Vendor.THALES], libraries=Fact(places, Mark.READ, "a test"))
    monkeypatch.setitem(PROFILES, Vendor.THALES, row)
    Path(places[1]).touch()
    Path(places[2]).touch()
    assert find_library(Vendor.THALES) == places[1]


def test_one_that_is_not_there_is_named_with_its_places() -> None:
    with pytest.raises(
        ModuleUnusable, match=r"^the library of yubihsm is not at .* or .*: install it, or set hsm.module"
    ):
        find_library(Vendor.YUBIHSM)
