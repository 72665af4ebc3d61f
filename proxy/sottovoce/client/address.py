"""From a call's URL to what TLS, HTTP and the protocol's prologue need of it (protocol §1, §4).

`wss://host[:port]/v1/voice/<route>`, or in short `wss://host[:port]/<route>`.  The host is written in small letters;
the port stands in `Host` exactly if it was in the URL; the query goes along as it is.  Nothing here repeats a URL in an
error: somebody may have written a secret into it.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from sottovoce.client.errors import CallMisconfigured

_FORM: Final = "write it as wss://host:port/route"
_PREFIX: Final = "/v1/voice/"
_DEFAULT_PORT: Final = 443
_printable = re.compile(r"[!-~]+").fullmatch
_name = re.compile(r"[0-9a-z_-]+(?:\.[0-9a-z_-]+)*").fullmatch
_route = re.compile(r"/(?:v1/voice/)?(?P<route>[^/]+)").fullmatch


class Address(msgspec.Struct, frozen=True):
    """Where a call goes to."""

    host: str
    """A DNS name or an IP address, without brackets."""
    port: int
    authority: str
    """The value of the Host header."""
    target: str
    """The request target: path and query."""

    def __str__(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read a URL.  Raises CallMisconfigured."""
    if not _printable(url):
        raise CallMisconfigured(
            "the URL is empty or has a space or a character that is not ASCII",
            "percent-encode the path, and write the host in its xn-- form",
        )
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise CallMisconfigured("the URL has a host or port that is none", _FORM) from None
    _check_parts(parts)
    host = (host or "").removesuffix(".")
    if not host or port == 0:
        raise CallMisconfigured("the URL has no host, or the port 0", _FORM)
    if not _name(host) and not _is_ipv6(host):
        raise CallMisconfigured("the URL's host is neither a DNS name nor an IP address", _FORM)
    literal = f"[{host}]" if ":" in host else host
    return Address(
        host=host,
        port=_DEFAULT_PORT if port is None else port,
        authority=literal if port is None else f"{literal}:{port}",
        target=_target(parts),
    )


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme == "ws":
        raise CallMisconfigured("ws:// has no TLS, and a call is made over TLS only", "use wss://")
    if parts.scheme != "wss":
        raise CallMisconfigured("the URL does not begin with wss://", _FORM)
    if "@" in parts.netloc:
        raise CallMisconfigured(
            "the URL holds a user name or password, which would reach logs", "give a token as token=… or --token FILE"
        )
    if parts.fragment:
        raise CallMisconfigured("the URL has a fragment (#…), which is not sent", "leave it out")


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _target(parts: SplitResult) -> str:
    match = _route(parts.path)
    if match is None:
        raise CallMisconfigured("the URL's path is not /route or /v1/voice/route", _FORM)
    return _PREFIX + match["route"] + (f"?{parts.query}" if parts.query else "")
