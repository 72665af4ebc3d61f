"""SoftHSM's configuration, which has to follow its directory."""

import errno
import os
from pathlib import Path

import pytest

from sottovoce.hsm import ModuleUnusable, TokenMissing, configuration_text, find_softhsm, new_configuration, softhsm


def test_a_moved_directory_gets_its_configuration_anew(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    new_configuration(tmp_path / "old/softhsm2.conf")
    moved = (tmp_path / "old").rename(tmp_path / "new") / "softhsm2.conf"
    assert str(tmp_path / "old/tokens") in moved.read_text()
    softhsm.refresh_configuration(moved)
    assert moved.read_text() == configuration_text(moved)
    assert str(tmp_path / "new/tokens") in moved.read_text()
    assert sorted(path.name for path in moved.parent.iterdir()) == ["softhsm2.conf", "tokens"]


def test_an_operators_own_configuration_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "softhsm2.conf"
    own.write_text("directories.tokendir = /srv/tokens\n")
    softhsm.refresh_configuration(own)
    assert own.read_text() == "directories.tokendir = /srv/tokens\n"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    new_configuration(tmp_path / "softhsm2.conf")
    (tmp_path / "tokens").rmdir()
    with pytest.raises(TokenMissing, match="tokens is missing"):
        softhsm.refresh_configuration(tmp_path / "softhsm2.conf")


def test_a_token_whose_file_was_left_empty_is_mended(tmp_path: Path) -> None:
    """As SoftHSM leaves it when it is killed between the two calls with which it writes it."""
    new_configuration(tmp_path / "softhsm2.conf")
    file = tmp_path / "tokens/0000-1111/token.object"
    file.parent.mkdir()
    for content in (b"\x01label, blobs", b"\x02another login", b"\x02a changed PIN, longer"):
        file.write_bytes(content)
        softhsm.refresh_configuration(tmp_path / "softhsm2.conf")
        for damaged in (b"", bytes(len(content))):
            file.write_bytes(damaged)
            softhsm.refresh_configuration(tmp_path / "softhsm2.conf")
            assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["token.object"]


def test_a_token_that_was_never_whole_is_left_alone(tmp_path: Path) -> None:
    new_configuration(tmp_path / "softhsm2.conf")
    (tmp_path / "tokens/0000-1111").mkdir()
    softhsm.refresh_configuration(tmp_path / "softhsm2.conf")
    (tmp_path / "tokens/0000-1111/token.object").write_bytes(b"")
    softhsm.refresh_configuration(tmp_path / "softhsm2.conf")
    assert (tmp_path / "tokens/0000-1111/token.object").read_bytes() == b""


def test_without_room_for_the_first_copy_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login on a full disk would leave the file empty; with a copy beside it that can be mended."""

    def fail(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    new_configuration(tmp_path / "softhsm2.conf")
    file = tmp_path / "tokens/0000-1111/token.object"
    file.parent.mkdir()
    file.write_bytes(b"first")
    with monkeypatch.context() as full:
        full.setattr(softhsm, "_replace", fail)
        with pytest.raises(OSError, match="No space"):
            softhsm.refresh_configuration(tmp_path / "softhsm2.conf")
    softhsm.refresh_configuration(tmp_path / "softhsm2.conf")
    file.write_bytes(b"second")
    monkeypatch.setattr(softhsm, "_replace", fail)
    softhsm.refresh_configuration(tmp_path / "softhsm2.conf")


def test_softhsm_is_found_or_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_softhsm().endswith("libsofthsm2.so")
    monkeypatch.setattr(softhsm, "_PLACES", (Path("/no/such.so"),))
    with pytest.raises(ModuleUnusable, match="install it"):
        find_softhsm()
