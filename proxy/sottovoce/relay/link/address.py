"""A backend's URL, taken apart and checked.  Pure.

Refuses what could mean two things or smuggle something into the request: user names, fragments, spaces, non-ASCII.
"""

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

_URL = re.compile(r"[!-~]+")
"""Printable ASCII without spaces, so that no header can be injected."""
_HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|[0-9a-f:.]+:[0-9a-f:.]+")
"""A DNS name, whose labels have 1 to 63 characters (RFC 1035 §2.3.4), or an IPv6 address, which `urlsplit` checked."""
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


class Schemes(NamedTuple):
    """What a URL may begin with."""

    plain: str
    secure: str
    kind: str
    """What such a URL is called."""
    tail: str
    """What follows host and port, for a message: a path, or nothing."""

    @property
    def advice(self) -> str:
        """What to write."""
        port = "" if self.secure in _DEFAULT_PORTS else ":PORT"
        return f"write {self.plain}://HOST:PORT{self.tail} or {self.secure}://HOST{port}{self.tail}"


WEBSOCKET: Final = Schemes("ws", "wss", "WebSocket", "/PATH")
TCP: Final = Schemes("tcp", "tls", "TCP", "")
"""For protocols that have no path: host and port are all there is."""
UNIX: Final = "unix"
"""The scheme of a socket in this machine's file system; its path is the target, and there is no host."""


class BackendAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backend listens."""

    scheme: str
    host: str
    """A name or an IP address without brackets."""
    port: int
    target: str
    """The request target: path and query, as they were written; empty where there is none."""

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.scheme in {WEBSOCKET.secure, TCP.secure}

    @property
    def is_numeric(self) -> bool:
        """Whether the host is an IP address, which nobody has to be asked for."""
        return _ip_of(self.host) is not None

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110 §7.2): without a default port.  Of a socket, its URL."""
        if self.scheme == UNIX:
            return f"{UNIX}:{self.target}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host can only be this machine: a loopback address, or `localhost` (checked again on connect)."""
        return self.scheme == UNIX or self.host == "localhost" or is_loopback_ip(self.host)


def is_loopback_ip(host: str) -> bool:
    """Whether `host` is an IP address of this machine's loopback."""
    address = _ip_of(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address is not None and (mapped or address).is_loopback


def _ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def parse_url(url: str, schemes: Schemes = WEBSOCKET) -> BackendAddress:
    """Take a URL apart.  Raises ValueError whose text says what to write instead."""
    if not _URL.fullmatch(url):
        raise ValueError("holds a space or a character outside ASCII; percent-encode it, or write a name in punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL ({error}); {schemes.advice}") from None
    if parts.scheme not in {schemes.plain, schemes.secure} or not parts.hostname:
        raise ValueError(f"is no {schemes.kind} URL; {schemes.advice}")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("names no host; write a DNS name or an IP address, [in brackets] if it has colons")
    if "@" in parts.netloc:
        raise ValueError("holds a user name; no secret belongs into a URL, use a client certificate")
    if "#" in url:
        raise ValueError("has a fragment, which is never sent; remove the # and what follows")
    if port == 0:
        raise ValueError("has port 0; write the port that the backend listens on")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not schemes.tail:
        target = _no_target(target, port)
    return BackendAddress(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme],
        target=target,
    )


def _no_target(target: str, port: int | None) -> str:
    if target != "/":
        raise ValueError("has a path or a query, for which there is no place; remove what follows the port")
    if port is None:
        raise ValueError("has no port; write the port that the backend listens on")
    return ""
