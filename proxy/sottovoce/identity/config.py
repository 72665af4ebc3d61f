"""The `[identity]` section of the configuration: who the proxy is."""

from typing import Annotated

import msgspec


class IdentityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names to be vouched for, and how long what vouches for them lasts."""

    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """DNS names and IP addresses that clients reach this proxy under: in TLS leaves and in voice certificates."""
    certificate_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 168
    """How long a voice certificate lasts; it is renewed at two thirds of that."""
    leaf_hours: Annotated[int, msgspec.Meta(ge=1, le=24)] = 24
    """How long a TLS certificate lasts; likewise."""

    def __post_init__(self) -> None:
        """Check what one field means for another."""
        if not self.names:
            raise ValueError('names: there is none; write names = ["voice.example.com"]')
