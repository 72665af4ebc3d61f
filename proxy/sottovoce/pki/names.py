"""The names a TLS leaf may carry: host names as A-labels, `*.` before one at most, and IP addresses.  Pure.

The issuer checks them itself, so that no text gets into a certificate which a verifier could read in two ways.
"""

import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509

from sottovoce.pki.errors import LeafRefused

MAX_NAMES = 64
_MAX_HOST_LENGTH = 253
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    """Give `names` as a certificate holds them, in their order.  Raises LeafRefused."""
    given = tuple(names)
    if not given or len(given) > MAX_NAMES or len(set(given)) != len(given):
        text = f"a TLS certificate takes 1 to {MAX_NAMES} names, each once; it was asked for with {len(given)}"
        raise LeafRefused(text)
    return [_general_name(name) for name in given]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    host = name.lower()
    # A last label of digits alone would be an IPv4 address to some (WHATWG URL §3.5).
    if len(host) > _MAX_HOST_LENGTH or not _HOST.fullmatch(host) or host.rpartition(".")[2].isdigit():
        text = f"{name!r} is no host name or IP address: write names as A-labels, addresses without brackets or port"
        raise LeafRefused(text)
    return x509.DNSName(host)
