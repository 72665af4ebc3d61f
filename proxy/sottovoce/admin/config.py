"""What the admin listener may be told: `[admin]`."""

import ipaddress

import msgspec

from sottovoce.edge import parse_address


class AdminConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[admin]`: where an operator asks how the proxy does."""

    address: str = "127.0.0.1:9443"
    """IP address and port of /metrics, /healthz, /readyz and /status; port 0 takes a free one, which the ready event
    names.  Plain HTTP, read-only, without credentials: meant for this machine."""
    allow_network: bool = False
    """Answer on an address that is not loopback.  Whoever reaches it learns how many calls run, on which routes, and
    how the HSM does, but no key and no identity.  Production refuses such an address without this."""

    def __post_init__(self) -> None:
        """Check the address."""
        try:
            parse_address(self.address)
        except ValueError as error:
            raise ValueError(f"address: {error}") from None

    @property
    def is_loopback(self) -> bool:
        """Whether nobody outside this machine can reach it."""
        return ipaddress.ip_address(parse_address(self.address).host).is_loopback
