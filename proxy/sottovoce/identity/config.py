"""The `[identity]` section of the configuration: who the proxy is, and which clients it takes."""

from pathlib import Path
from typing import Annotated

import msgspec


class IdentityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names to be vouched for, and credentials.  Relative paths count from the configuration file's directory."""

    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """DNS names and IP addresses that clients reach this proxy under: in TLS leaves and in voice certificates."""
    certificate_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 168
    """How long a voice certificate lasts; it is renewed at two thirds of that."""
    leaf_hours: Annotated[int, msgspec.Meta(ge=1, le=24)] = 24
    """How long a TLS certificate lasts; likewise."""
    tokens_file: str = ""
    """A TOML file of bearer tokens' digests (docs/credentials.md); empty: no client has a credential."""
    require_credential: bool = False
    """Refuse clients without a credential."""

    def __post_init__(self) -> None:
        """Check what one field means for another."""
        if not self.names:
            raise ValueError('names: there is none; write names = ["voice.example.com"]')
        if self.require_credential and not self.tokens_file:
            raise ValueError(
                "require_credential: no client could pass; write tokens_file, or require_credential = false"
            )

    def resolved(self, base: Path) -> "IdentityConfig":
        """Give the same with an absolute path, counted from `base`."""
        return msgspec.structs.replace(self, tokens_file=str(base / self.tokens_file) if self.tokens_file else "")
