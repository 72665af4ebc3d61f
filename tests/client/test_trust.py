from pathlib import Path

import pytest

from sottovoce.client import CallMisconfigured, trust_from_directory
from sottovoce.client.trust import read_anchors, read_ca
from sottovoce.session import format_anchor_file
from tests.client.servers import anchors
from tests.session.keys import anchor_of, classical_anchor_keys
from tests.transport.certificates import authority


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "anchor.json").write_bytes(format_anchor_file(anchors()))
    (tmp_path / "certs" / "ca.pem").write_bytes(authority().pem)
    return tmp_path


def test_a_directory_gives_anchors_and_ca(directory: Path) -> None:
    trust = trust_from_directory(str(directory))
    assert trust.anchors == anchors()
    assert trust.ca == authority().pem


@pytest.mark.parametrize("name", ["anchor.json", "ca.pem"])
def test_a_file_that_is_missing_is_named_with_the_remedy(directory: Path, name: str) -> None:
    (directory / "certs" / name).unlink()
    with pytest.raises(CallMisconfigured, match=f"certs/{name}: No such file") as refusal:
        trust_from_directory(directory)
    assert name in refusal.value.remedy


def test_anchors_come_from_a_file_its_content_or_as_they_are(directory: Path) -> None:
    path = directory / "certs" / "anchor.json"
    for source in (path, str(path), path.read_bytes(), anchors()):
        assert read_anchors(source) == anchors()


def test_a_ca_comes_from_a_file_or_as_it_is(directory: Path) -> None:
    path = directory / "certs" / "ca.pem"
    for source in (path, str(path), path.read_bytes()):
        assert read_ca(source) == authority().pem


@pytest.mark.parametrize("content", [b"", b"{}", b'{"anchors": []}', b"\xff"])
def test_what_is_no_anchor_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(CallMisconfigured, match=r"mine\.json: ") as refusal:
        read_anchors(path)
    assert refusal.value.remedy
    with pytest.raises(CallMisconfigured, match="the anchor file: "):
        read_anchors(content)


@pytest.mark.protocol("P6.31", "P11.19")
def test_a_weaker_twin_is_refused_however_it_is_given() -> None:
    twins = (*anchors(), anchor_of(classical_anchor_keys(), ("localhost",)))
    with pytest.raises(CallMisconfigured, match="with a PQ key and one without; remove"):
        read_anchors(twins)
    with pytest.raises(CallMisconfigured, match="no anchor is given"):
        read_anchors(())


def test_a_file_that_cannot_be_one(tmp_path: Path) -> None:
    with pytest.raises(CallMisconfigured, match="Is a directory"):
        read_ca(tmp_path)
    with pytest.raises(CallMisconfigured, match="no file's name"):
        read_ca("a\0b")
    large = tmp_path / "large"
    large.write_bytes(bytes(2_000_000))
    with pytest.raises(CallMisconfigured, match="far too large"):
        read_ca(large)
