"""The `[hsm]` section of the configuration."""

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


FilePath = Annotated[str, msgspec.Meta(min_length=1)]
NodeName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
ONLY_NODE = "main"
"""The name of a token that is the only one."""


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One token.  Relative paths count from the configuration file's directory."""

    module: str = ""
    """The PKCS#11 library; empty: SoftHSM, where the system keeps it."""
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] = "sottovoce"  # noqa: S105  a name
    """The token's label."""
    pin_file: FilePath = "secrets/pin"
    """A file with the user PIN, readable by its owner only."""
    softhsm_config: str = "hsm/softhsm2.conf"
    """SoftHSM's own configuration; ignored by other modules, empty for none."""
    keys: FilePath = "keys"
    """The folder of the seeds that are sealed by this token."""
    issuing: FilePath = "certs/issuing.pem"
    """The certificate of this token's issuing CA."""


class HsmConfig(NodeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which tokens, and how long to wait for them.  Without `nodes` there is one, which the fields here tell."""

    nodes: dict[NodeName, NodeConfig] = {}
    """Several tokens, by a name for each; with these the fields of a token that stand beside them are ignored."""
    quorum: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    """On how many of them a new key has to be proved; 0: more than half."""
    deadline_seconds: Seconds = 1.5
    """How long a token process may take for one answer before it is suspected of hanging."""
    hang_grace_seconds: Seconds = 0.5
    """How much longer it may take before it is killed and replaced."""
    start_seconds: Seconds = 15.0
    """How long a token process may take to log in and prove itself."""
    max_waiting: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 256
    """How many calls may wait for their turn; further ones are refused at once."""

    @property
    def all_nodes(self) -> dict[str, NodeConfig]:
        """Every token by its name, in the order of the configuration."""
        if self.nodes:
            return dict(self.nodes)
        fields = {name: getattr(self, name) for name in NodeConfig.__struct_fields__}
        return {ONLY_NODE: NodeConfig(**fields)}

    def resolved(self, base: Path) -> "HsmConfig":
        """Give the same with absolute paths, counted from `base`."""
        nodes = {name: _resolved(node, base) for name, node in self.nodes.items()}
        return msgspec.structs.replace(_resolved(self, base), nodes=nodes)


Node = TypeVar("Node", bound=NodeConfig)


def _resolved(node: Node, base: Path) -> Node:
    return msgspec.structs.replace(
        node,
        module=str(base / node.module) if node.module else "",
        pin_file=str(base / node.pin_file),
        softhsm_config=str(base / node.softhsm_config) if node.softhsm_config else "",
        keys=str(base / node.keys),
        issuing=str(base / node.issuing),
    )
