"""A backend's WebSocket URL, taken apart and checked.  Pure.

Refuses what could mean two things or smuggle something into the request: user names, fragments, spaces, non-ASCII.
"""

import ipaddress
import re
from urllib.parse import urlsplit

import msgspec

_URL = re.compile(r"[!-~]+")
"""Printable ASCII without spaces, so that no header can be injected."""
_HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|[0-9a-f:.]+:[0-9a-f:.]+")
"""A DNS name, whose labels have 1 to 63 characters (RFC 1035 §2.3.4), or an IPv6 address, which `urlsplit` checked."""
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


class BackendAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backend listens."""

    secure: bool
    """Whether the URL is `wss`."""
    host: str
    """A name or an IP address without brackets."""
    port: int
    target: str
    """The request target: path and query, as they were written."""

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110 §7.2): without a default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS["wss" if self.secure else "ws"] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host can only be this machine: a loopback address, or `localhost` (checked again on connect)."""
        return self.host == "localhost" or is_loopback_ip(self.host)


def is_loopback_ip(host: str) -> bool:
    """Whether `host` is an IP address of this machine's loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def parse_url(url: str) -> BackendAddress:
    """Take a `ws://` or `wss://` URL apart.  Raises ValueError whose text says what to write instead."""
    if not _URL.fullmatch(url):
        raise ValueError("holds a space or a character outside ASCII; percent-encode it, or write a name in punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL ({error}); write ws://HOST:PORT/PATH or wss://HOST/PATH") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("is no WebSocket URL; write ws://HOST:PORT/PATH or wss://HOST/PATH")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("names no host; write a DNS name or an IP address, [in brackets] if it has colons")
    if "@" in parts.netloc:
        raise ValueError("holds a user name; no secret belongs into a URL, use a client certificate")
    if "#" in url:
        raise ValueError("has a fragment, which is never sent; remove the # and what follows")
    if port == 0:
        raise ValueError("has port 0; write the port that the backend listens on")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return BackendAddress(
        secure=parts.scheme == "wss",
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme],
        target=target,
    )
