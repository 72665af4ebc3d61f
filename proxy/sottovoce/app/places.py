"""Where things lie in a directory of `init`: what all tokens share, and what each has for itself.  Pure.

    one token           several: a, b, …            what
    secrets/pin         secrets/a.pin               its PIN
    hsm/                hsm/a/                       SoftHSM's configuration and the token's files
    keys/               keys/a/                      the seeds sealed by it, and the list of its anchors
    certs/issuing.pem   certs/issuing-a.pem          the certificate of its issuing CA

The second form is what `init` writes into the configuration, which alone decides; `token_places` follows that.
"""

from pathlib import Path
from string import ascii_lowercase
from typing import Final, NamedTuple

from sottovoce.hsm import ONLY_NODE, HsmConfig, NodeConfig
from sottovoce.identity import ANCHOR_RING, SERVING_KEYS, SERVING_SEED
from sottovoce.pki import ISSUING_CERTIFICATE

CONFIGURATION: Final = "sottovoce.toml"
CLIENTS: Final = "clients.toml"
AUDIT_LOG: Final = "audit/audit.log"
CA_CERTIFICATE: Final = "certs/ca.pem"
"""The root CA's certificate of every token, one after the other."""
ANCHORS: Final = "certs/anchor.json"
"""The anchors of every token."""
SERVING_LIST: Final = "keys/serving.json"
"""The serving keys of every token; there where several serve."""
INVENTORY: Final = "keys/inventory.json"
"""Which keys the tokens hold beside their own; there once there was one."""
ISSUING: Final = "certs/issuing.pem"
_SERVING_SEED, _ANCHOR_SEED, _ANCHOR_LIST = "serving.mldsa65.json", "anchor.mldsa87.json", "anchors.json"
SERVING_KEY: Final = f"keys/{_SERVING_SEED}"
ANCHOR_KEY: Final = f"keys/{_ANCHOR_SEED}"
ANCHOR_LIST: Final = f"keys/{_ANCHOR_LIST}"


class TokenPlaces(NamedTuple):
    """Where the files of one token lie; as absolute as its (resolved) configuration."""

    name: str
    config: NodeConfig
    section: str
    """The configuration's, as in `hsm` or `hsm.nodes.a`."""

    @property
    def serving_seed(self) -> Path:
        """The sealed seed of its serving key."""
        return Path(self.config.keys, _SERVING_SEED)

    @property
    def anchor_seed(self) -> Path:
        """The sealed seed of its first anchor."""
        return Path(self.config.keys, _ANCHOR_SEED)

    @property
    def anchor_list(self) -> Path:
        """The list of its anchors, which says which one issues; it may be there once there are two."""
        return Path(self.config.keys, _ANCHOR_LIST)

    @property
    def issuing(self) -> Path:
        """The certificate of its issuing CA."""
        return Path(self.config.issuing)

    def files(self, base: Path) -> dict[str, str]:
        """Give what its process reads at its start, for `open_pool` and `open_token`."""
        return {
            SERVING_SEED: str(self.serving_seed),
            SERVING_KEYS: str(base / SERVING_LIST),
            ANCHOR_RING: str(self.anchor_list),
            ISSUING_CERTIFICATE: str(self.issuing),
        }


def token_places(config: HsmConfig) -> tuple[TokenPlaces, ...]:
    """Give the places of every token, in the order of the (resolved) configuration."""
    return tuple(
        TokenPlaces(name, node, f"hsm.nodes.{name}" if config.nodes else "hsm")
        for name, node in config.all_nodes.items()
    )


def token_files(config: HsmConfig, base: Path, name: str = "") -> dict[str, str]:
    """Give what the process of a token reads at its start: of the one with that name, or else of the first."""
    return next(each for each in token_places(config) if each.name == (name or each.name)).files(base)


def new_nodes(count: int) -> dict[str, NodeConfig]:
    """Give the configuration of so many new tokens of SoftHSM; one alone has the places of old."""
    if count == 1:
        return {ONLY_NODE: NodeConfig()}
    return {name: new_node(name) for name in ascii_lowercase[:count]}


def new_node(name: str) -> NodeConfig:
    """Give the configuration of a new token of SoftHSM among several."""
    return NodeConfig(
        token=f"sottovoce-{name}",
        pin_file=f"secrets/{name}.pin",
        softhsm_config=f"hsm/{name}/softhsm2.conf",
        keys=f"keys/{name}",
        issuing=f"certs/issuing-{name}.pem",
    )


def shown(path: Path, base: Path) -> str:
    """Give a path as it is written in a configuration in `base`."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
