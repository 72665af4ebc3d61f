from pathlib import Path

import msgspec
import pytest

from sottovoce.hsm import HsmConfig, NodeConfig, NodeName
from sottovoce.hsm.config import ONLY_NODE


def several(count: int, quorum: int = 0) -> HsmConfig:
    nodes = {
        name: NodeConfig(softhsm_config=f"hsm/{name}/softhsm2.conf", keys=f"keys/{name}", issuing=f"certs/{name}.pem")
        for name in "abcdefgh"[:count]
    }
    return HsmConfig(nodes=nodes, quorum=quorum)


def test_without_nodes_there_is_one_which_the_section_itself_tells() -> None:
    config = HsmConfig(token="mine", keys="seeds")
    assert config.all_nodes == {ONLY_NODE: NodeConfig(token="mine", keys="seeds")}


def test_with_nodes_the_fields_beside_them_are_ignored() -> None:
    assert list(several(2).all_nodes) == ["a", "b"]
    assert several(2).all_nodes["b"].keys == "keys/b"


@pytest.mark.parametrize(
    ("count", "quorum", "needed"), [(0, 0, 1), (1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 0, 3), (5, 5, 5), (3, 1, 1)]
)
def test_a_new_key_is_proved_on_more_than_half_unless_the_quorum_says_otherwise(
    count: int, quorum: int, needed: int
) -> None:
    assert several(count, quorum).needed == needed


def test_every_path_is_resolved_and_what_is_empty_stays_so() -> None:
    config = several(2).resolved(Path("/srv/voice"))
    node = config.all_nodes["a"]
    assert node.softhsm_config == "/srv/voice/hsm/a/softhsm2.conf"
    assert (node.keys, node.issuing) == ("/srv/voice/keys/a", "/srv/voice/certs/a.pem")
    assert (node.module, node.pin_file) == ("", "/srv/voice/secrets/pin")
    assert config.resolved(Path("/elsewhere")) == config


def test_tokens_of_a_vendor_may_share_its_module_and_a_pin() -> None:
    nodes = {
        name: NodeConfig(module="/opt/v.so", token=name, softhsm_config="", keys=f"keys/{name}", issuing=f"{name}.pem")
        for name in "ab"
    }
    assert set(HsmConfig(nodes=nodes).all_nodes) == {"a", "b"}


@pytest.mark.parametrize("name", ["", "A", "1", "a/b", "..", "a.b", "a\n", "a" * 33])
def test_a_tokens_name_is_one_that_a_folder_may_have(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({name: {}}, dict[NodeName, NodeConfig])
