"""The `[hsm]` section of the configuration."""

from pathlib import Path, PurePath
from typing import Annotated, TypeVar

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


FilePath = Annotated[str, msgspec.Meta(min_length=1)]
NodeName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
ONLY_NODE = "main"
"""The name of a token that is the only one."""
MAX_NODES = 16
_OF_ITS_OWN = ("softhsm_config", "keys", "issuing")
"""What two tokens cannot share: each is written by, or belongs to, one of them."""


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One token.  Relative paths count from the configuration file's directory."""

    module: str = ""
    """The PKCS#11 library; empty: SoftHSM, where the system keeps it."""
    module_arguments: str = ""
    """What the library is told when it is initialised, for one that wants it (NSS); empty: nothing."""
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

    def __post_init__(self) -> None:
        """See that every token has what has to be its own, and that the quorum can be had."""
        if len(self.nodes) > MAX_NODES:
            raise ValueError(f"nodes: there are {len(self.nodes)} tokens; write {MAX_NODES} at most")
        count = len(self.all_nodes)
        if self.quorum > count:
            raise ValueError(f"quorum: is {self.quorum} of {count}; write {count} at most, or 0 for more than half")
        owners: dict[tuple[str, object], str] = {}
        for name, node in self.nodes.items():
            for field, value in _owned(node):
                other = owners.setdefault((field, value), name)
                if other != name:
                    raise ValueError(f"nodes.{name}.{field}: token {other} has the same; write one for each token")

    @property
    def needed(self) -> int:
        """On how many tokens a new key has to be proved."""
        return self.quorum or len(self.all_nodes) // 2 + 1

    @property
    def all_nodes(self) -> dict[str, NodeConfig]:
        """Every token by its name, in the order of the configuration."""
        if self.nodes:
            return dict(self.nodes)
        fields = {name: getattr(self, name) for name in NodeConfig.__struct_fields__}
        return {ONLY_NODE: NodeConfig(**fields)}

    def alone(self, name: str, told: NodeConfig | None = None) -> "HsmConfig":
        """Give the same for the token of that name by itself, under its name; `told` replaces what is said of it."""
        node = told or self.all_nodes[name]
        fields = {field: getattr(node, field) for field in NodeConfig.__struct_fields__}
        return msgspec.structs.replace(self, **fields, nodes={name: node} if self.nodes else {}, quorum=0)

    def resolved(self, base: Path) -> "HsmConfig":
        """Give the same with absolute paths, counted from `base`."""
        nodes = {name: _resolved(node, base) for name, node in self.nodes.items()}
        return msgspec.structs.replace(_resolved(self, base), nodes=nodes)


def _owned(node: NodeConfig) -> list[tuple[str, object]]:
    """Give what no other token may have."""
    owned: list[tuple[str, object]] = [
        (field, PurePath(getattr(node, field))) for field in _OF_ITS_OWN if getattr(node, field)
    ]
    if not node.softhsm_config:
        owned.append(("token", (node.module, node.token)))
    return owned


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
