"""The ring: what stands in it, and what is not taken for one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sottovoce.identity import AnchorRing, AnchorsUnusable, RingAnchor, issuing_anchor, load_ring, next_key, seed_of
from sottovoce.identity.rotation import parse_ring
from sottovoce.session import Anchor
from tests.session.keys import anchor_keys, anchor_of, classical_anchor_keys, other_anchor_keys

OLD = RingAnchor.of(anchor_of(anchor_keys()), "sottovoce-anchor")
NEW = RingAnchor.of(anchor_of(other_anchor_keys()), "sottovoce-anchor-2")
RING = AnchorRing(issuing=OLD.id, anchors=(OLD, NEW))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "anchors.json"
    assert load_ring(path) is None
    assert issuing_anchor(path) == ("sottovoce-anchor", tmp_path / "anchor.mldsa87.json", None)
    path.write_bytes(RING.to_file())
    assert load_ring(path) == RING
    path.write_bytes(msgspec.structs.replace(RING, issuing=NEW.id).to_file())
    assert issuing_anchor(path) == ("sottovoce-anchor-2", tmp_path / "anchor-2.mldsa87.json", NEW.id)
    assert RING.issuer.anchor == anchor_of(anchor_keys())
    assert RING.newest == NEW


def test_each_anchor_has_names_of_its_own() -> None:
    assert next_key(AnchorRing(issuing=OLD.id, anchors=(OLD,))) == "sottovoce-anchor-2"
    assert next_key(AnchorRing(issuing=NEW.id, anchors=(NEW,), leaving=(OLD,))) == "sottovoce-anchor-3"
    assert seed_of("sottovoce-anchor") == "anchor.mldsa87.json"
    assert seed_of("sottovoce-anchor-12") == "anchor-12.mldsa87.json"


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda ring: ring.pop("anchors"), "is no list of anchors"),
        (lambda ring: ring.update(format="sottovoce.anchors.2"), "a format that this version does not know"),
        (lambda ring: ring.update(more=1), "is no list of anchors"),
        (lambda ring: ring.update(issuing="00"), "an issuing anchor that it does not hold"),
        (lambda ring: ring.update(anchors=[]), "an issuing anchor that it does not hold"),
        (lambda ring: ring["anchors"][1].update(key="sottovoce-serving"), "a format that this version does not know"),
        (lambda ring: ring["anchors"][1].update(key="sottovoce-anchor-02"), "a format that this version does not know"),
        (lambda ring: ring["anchors"][1].update(key="sottovoce-anchor"), "a key twice"),
        (lambda ring: ring["anchors"][1].update(pq=ring["anchors"][0]["pq"]), "another id than its keys have"),
        (lambda ring: ring["leaving"].append(ring["anchors"][0]), "a key twice"),
    ],
)
def test_what_is_no_ring_is_refused_with_its_name(tmp_path: Path, edit: Edit, said: str) -> None:
    ring = msgspec.json.decode(RING.to_file())
    edit(ring)
    path = tmp_path / "anchors.json"
    path.write_bytes(msgspec.json.encode(ring))
    with pytest.raises(AnchorsUnusable, match=f"anchors.json .*{said}.*: restore it from its backup") as caught:
        load_ring(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"null"])
def test_bytes_that_are_no_json(data: bytes) -> None:
    with pytest.raises(AnchorsUnusable):
        parse_ring(data)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "anchors.json").mkdir()
    with pytest.raises(AnchorsUnusable, match="cannot be read"):
        load_ring(tmp_path / "anchors.json")


@pytest.mark.parametrize("anchor", [anchor_of(classical_anchor_keys())])
def test_an_anchor_without_an_mldsa87_key_is_none_of_a_token(anchor: Anchor) -> None:
    with pytest.raises(AnchorsUnusable, match="has an ML-DSA-87 key"):
        RingAnchor.of(anchor, "sottovoce-anchor")
