"""The `[hsm]` section of the configuration."""

from pathlib import Path, PurePath
from typing import Annotated, Literal, TypeVar

import msgspec

from sottovoce.hsm.vendors import (
    DEFAULT_AT_ONCE,
    PROFILES,
    TEMPLATES,
    Finding,
    PinPlace,
    PinSource,
    PinSourceInvalid,
    Pkcs11Uri,
    SecurityLevel,
    TemplateName,
    UriInvalid,
    Vendor,
    VendorProfile,
    check_nodes,
    find_library,
    parse_pin_source,
    parse_token_uri,
    uri_text,
    vendor_of_library,
)

Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


FilePath = Annotated[str, msgspec.Meta(min_length=1)]
NodeName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$(?!\n)")]
"""`$` alone lets a newline behind it pass."""
ONLY_NODE = "main"
"""The name of a token that is the only one."""
MAX_NODES = 16
_OF_ITS_OWN = ("keys", "issuing")
"""What two tokens cannot share: each is written by, or belongs to, one of them."""
_ALONE: dict[str, object] = {"quorum": 0, "template": "none"}
"""What is asked of several tokens is not asked of one of them by itself."""


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One token.  Relative paths count from the configuration file's directory."""

    vendor: Vendor | None = None
    """Whose token it is; without it the library's name tells.  Known: softhsm, nss, thales, safenet, utimaco,
    aws_cloudhsm, azure_dedicated_hsm, azure_cloud_hsm, yubihsm (docs/hsm-vendors.md)."""
    uri: str = ""
    """The token as a PKCS#11 URI (RFC 7512); what it says is taken in place of module, token and pin_source."""
    module: str = ""
    """The PKCS#11 library; empty: the vendor's, or else SoftHSM, where the system keeps it."""
    module_arguments: str = ""
    """What the library is told when it is initialised, for one that wants it (NSS); empty: nothing."""
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] = "sottovoce"  # noqa: S105  a name
    """The token's label."""
    pin_file: FilePath = "secrets/pin"
    """A file with the user PIN, readable by its owner only."""
    pin_source: str = ""
    """Where else the PIN is: file:PATH, env:NAME or fd:NUMBER; empty: in pin_file."""
    softhsm_config: str = "hsm/softhsm2.conf"
    """SoftHSM's own configuration; ignored by other modules, empty for none."""
    sessions: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """How many calls it works at at a time, each in a session of its own; 0: one for software, which works on the
    proxy's own processors, else four.  What takes long, as making a key does, has one more."""
    keys: FilePath = "keys"
    """The folder of the seeds that are sealed by this token."""
    issuing: FilePath = "certs/issuing.pem"
    """The certificate of this token's issuing CA."""
    security_level: SecurityLevel | None = None
    """The level that you assert for it, fips_140_3_level_1 to _4 or common_criteria_eal4 (fips_140_2_level_1
    to _4 are historical); shown as asserted, for nobody can check it."""
    security_certificate: str = ""
    """The number of the certificate that says so."""

    def __post_init__(self) -> None:
        """See that the URI and the PIN's place can be read."""
        try:
            uri = self._uri
        except UriInvalid as error:
            raise ValueError(f"uri: {error}") from None
        for key, text in (("pin_source: ", self.pin_source), ("uri: its pin-source ", uri.pin_source)):
            try:
                _ = parse_pin_source(text) if text else None
            except PinSourceInvalid as error:
                raise ValueError(f"{key}{error}") from None

    @property
    def pin(self) -> PinSource:
        """Where the user PIN is."""
        source = self._uri.pin_source or self.pin_source
        return parse_pin_source(source) if source else PinSource(PinPlace.FILE, self.pin_file)

    @property
    def pin_path(self) -> Path | None:
        """The file of the user PIN; None: it comes from elsewhere."""
        return Path(self.pin.name) if self.pin.place is PinPlace.FILE else None

    @property
    def profile(self) -> VendorProfile | None:
        """What is known of its vendor; None: nothing."""
        library = self._uri.module_path or self.module
        vendor = self.vendor or (vendor_of_library(library) if library else Vendor.SOFTHSM)
        return PROFILES[vendor] if vendor else None

    @property
    def at_once(self) -> int:
        """How many calls it works at at a time."""
        return self.sessions or (self.profile.at_once if self.profile is not None else DEFAULT_AT_ONCE)

    @property
    def most_out(self) -> int:
        """How many calls it has: one beyond those that it works at, so that it need not wait for the next."""
        return self.at_once + 1

    @property
    def softhsm_file(self) -> Path | None:
        """SoftHSM's configuration; None: the token is of another vendor, or SoftHSM shall use its own."""
        is_other = self.profile is not None and self.profile.vendor is not Vendor.SOFTHSM
        return None if is_other or not self.softhsm_config else Path(self.softhsm_config)

    @property
    def library(self) -> str:
        """The path of the PKCS#11 library.  Raises ModuleUnusable where none is found."""
        return self._uri.module_path or self.module or find_library(self.vendor or Vendor.SOFTHSM)

    @property
    def _uri(self) -> Pkcs11Uri:
        return parse_token_uri(self.uri) if self.uri else Pkcs11Uri()


RunningCalls = Literal["finish-epoch", "at-once"]


class SealConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the seal of the PINs is, and what sealing does.

    Relative paths count from the configuration file's directory.
    """

    file: FilePath = "secrets/seal.json"
    """The sealed PINs.  Keep a backup: without it the shares open nothing."""
    state_file: FilePath = "secrets/seal-state.json"
    """Since when it is sealed, and why; no backup is needed."""
    running_calls: RunningCalls = "finish-epoch"
    """When it is sealed: `finish-epoch` ends a call when its epoch does, `at-once` ends it now."""
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 300
    """What a refused caller is told to wait for."""
    unseal_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 900.0
    """How long the first share waits for the others."""

    def resolved(self, base: Path) -> "SealConfig":
        """Give the same with absolute paths, counted from `base`."""
        return msgspec.structs.replace(self, file=str(base / self.file), state_file=str(base / self.state_file))


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
    template: TemplateName = "none"
    """What the tokens are held against (docs/hsm-vendors.md): `production` wants three of FIPS 140 level 3 and a quorum
    of 2, and refuses less; `development` only tells; `none` asks nothing."""

    seal: SealConfig | None = None
    """Present: the PINs are sealed, and the proxy starts without them until enough people unseal it."""

    def __post_init__(self) -> None:
        """See that every token has what has to be its own, that the quorum can be had, and what the template wants."""
        super().__post_init__()
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
        for finding in self.findings:
            if finding.is_refused:
                raise ValueError(str(finding))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What there is to say of the tokens' vendors and levels, and of the template."""
        nodes = {f"nodes.{name}.": node for name, node in self.nodes.items()} or {"": self}
        return check_nodes(nodes, self.needed, TEMPLATES.get(self.template))

    @property
    def pin_variables(self) -> frozenset[str]:
        """The environment variables that hold PINs."""
        pins = (node.pin for node in self.all_nodes.values())
        return frozenset(pin.name for pin in pins if pin.place is PinPlace.ENVIRONMENT)

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
        return msgspec.structs.replace(self, **fields, nodes={name: node} if self.nodes else {}, **_ALONE)

    def resolved(self, base: Path) -> "HsmConfig":
        """Give the same with absolute paths, counted from `base`."""
        nodes = {name: _resolved(node, base) for name, node in self.nodes.items()}
        seal = self.seal and self.seal.resolved(base)
        return msgspec.structs.replace(_resolved(self, base), nodes=nodes, seal=seal)


def _owned(node: NodeConfig) -> list[tuple[str, object]]:
    """Give what no other token may have."""
    owned: list[tuple[str, object]] = [(field, PurePath(getattr(node, field))) for field in _OF_ITS_OWN]
    if (file := node.softhsm_file) is not None:
        return [("softhsm_config", PurePath(file)), *owned]
    return [*owned, ("uri", node.uri) if node.uri else ("token", (node.vendor, node.module, node.token))]


Node = TypeVar("Node", bound=NodeConfig)


def _resolved(node: Node, base: Path) -> Node:
    """Give the same with absolute paths, and with what the URI says where others look for it."""
    uri = parse_token_uri(node.uri) if node.uri else Pkcs11Uri()
    module = uri.module_path or node.module
    pin = node.pin
    is_file = pin.place is PinPlace.FILE
    return msgspec.structs.replace(
        node,
        uri=uri_text(msgspec.structs.replace(uri, module_path=None, pin_source=None)) if node.uri else "",
        module=str(base / module) if module else "",
        token=uri.token or node.token,
        pin_file=str(base / (pin.name if is_file else node.pin_file)),
        pin_source="" if is_file else str(pin),
        softhsm_config=str(base / node.softhsm_config) if node.softhsm_config else "",
        keys=str(base / node.keys),
        issuing=str(base / node.issuing),
    )
