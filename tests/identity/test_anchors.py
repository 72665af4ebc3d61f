"""Loading the anchor file."""

from pathlib import Path

import pytest

from sottovoce.app.places import ANCHORS
from sottovoce.identity import AnchorsUnusable, load_anchors
from tests.app.directories import HOSTS


def test_the_file_of_init_is_read(made_directory: Path) -> None:
    anchors = load_anchors(made_directory / ANCHORS)
    assert [anchor.authorities for anchor in anchors] == [HOSTS]


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "anchor.json"
    with pytest.raises(AnchorsUnusable, match=r"anchor\.json cannot be read \(No such file.*restore it"):
        load_anchors(path)
    path.write_text("{}")
    with pytest.raises(AnchorsUnusable, match=r"the anchor file .*anchor\.json: not an anchor file"):
        load_anchors(path)
