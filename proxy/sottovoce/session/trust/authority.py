"""Names of servers: what a client asked for, and what a certificate or an anchor stands for (protocol §6).

Names are case-insensitive A-labels or IP literals without brackets, without port.  `*.` matches exactly one label and
never an IP.
"""

import ipaddress


def host_of(authority: str) -> str:
    """The host of a `Host` value, lower case: no port, no brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.rpartition(":")[0].lower() if authority.count(":") == 1 else authority.lower()


def is_ip_literal(host: str) -> bool:
    """Whether `host` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def matches(host: str, pattern: str) -> bool:
    """Whether `pattern` of a certificate or an anchor file stands for `host`."""
    host, pattern = host.lower(), pattern.lower()
    if is_ip_literal(host):
        return is_ip_literal(pattern) and ipaddress.ip_address(host) == ipaddress.ip_address(pattern)
    if pattern.startswith("*."):
        label, _, rest = host.partition(".")
        return bool(label) and bool(rest) and rest == pattern[2:]
    return host == pattern


def matches_any(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of `patterns` stands for `host`."""
    return any(matches(host, pattern) for pattern in patterns)


def overlaps(first: str, second: str) -> bool:
    """Whether some host is meant by both patterns."""
    return matches(first, second) or matches(second, first) or first.lower() == second.lower()
