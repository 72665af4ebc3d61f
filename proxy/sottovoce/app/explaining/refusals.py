"""Why a connection became no call: the limits of `[listener]`, and what else `connection.refused` names.

The names stand here as they are counted: their home, `observe`, needs the server's libraries.
"""

from collections.abc import Iterator

from sottovoce.app.explaining.entries import Entry, Kind

_Text = tuple[str, tuple[str, ...], tuple[str, ...]]
_BALANCED = "behind a balancer that is not named, where all clients have its address: name it in proxy_protocol_from"
_FLOOD = "one machine, or one network, that floods"
_TEXTS: dict[str, _Text] = {
    "max_connections": (
        "The listener has as many connections as it may, and closes further ones at once; with workers, each has.",
        ("more callers than it is meant for", "clients that connect and do not hang up"),
        ("raise listener.max_connections, and LimitNOFILE with it: two descriptors for each call",),
    ),
    "max_handshakes": (
        "As many handshakes as may be are under way: one was closed, of the prefix that has most of them.",
        ("a flood of connections that stop half-way", "an HSM that is slow, so that handshakes pile up"),
        (
            "see sottovoce_half_open_handshakes and sottovoce_hsm_seconds",
            "raise listener.max_handshakes if these are your callers",
        ),
    ),
    "max_handshakes_per_address": (
        "One address has as many handshakes under way as it may; further ones are closed at once.",
        (_FLOOD, "many callers behind one address, as of a company"),
        (_BALANCED, "raise listener.max_handshakes_per_address if these are your callers"),
    ),
    "max_handshakes_per_prefix": (
        "One prefix, a /24 or a /48, has as many handshakes under way as it may; further ones are closed at once.",
        (_FLOOD, "many callers in one network"),
        (_BALANCED, "raise listener.max_handshakes_per_prefix if these are your callers"),
    ),
    "max_handshakes_per_second": (
        "One address begins more handshakes in a second than it may, or pays off those that it got wrong.",
        (_FLOOD, "a client that tries again and again without a pause", "many callers behind one address"),
        (_BALANCED, "raise listener.max_handshakes_per_second if these are your callers"),
    ),
    "max_prefix_handshakes_per_second": (
        "One prefix begins more handshakes in a second than it may, or pays off those that it got wrong.",
        (_FLOOD, "many callers in one network that come at once"),
        (_BALANCED, "raise listener.max_prefix_handshakes_per_second if these are your callers"),
    ),
    "open_files": (
        "The process has no descriptor left for another call: who comes hears 503, and calls that run go on.",
        ("LimitNOFILE, or ulimit -n, is too low for so many calls; each has two", "a flood of connections"),
        (
            "raise LimitNOFILE in the unit; sottovoce doctor DIR counts, process_open_fds and process_max_fds show it",
            "it holds for each worker: more of them (process.workers) have more in all",
        ),
    ),
    "proxy_header": (
        "A connection of proxy_protocol_from did not begin with a PROXY protocol v2 header that can be read.",
        (
            "the balancer does not send one, or sends version 1",
            "something else has an address of those networks, as a health check",
        ),
        (
            "have the balancer send version 2 (HAProxy: send-proxy-v2)",
            "leave what sends none out of listener.proxy_protocol_from",
        ),
    ),
}


def refusal_entries() -> Iterator[Entry]:
    """Give the rows."""
    for name, (meaning, causes, remedies) in _TEXTS.items():
        yield Entry(Kind.REFUSAL, name, None, meaning, causes, remedies)
