"""Who is let in, cheapest check first: by address before a byte is read, by the request after TLS."""

from sottovoce.edge.gate.admission import PATH_PREFIX, SUBPROTOCOL, Admitted, Refused, ServedRoute, admit
from sottovoce.edge.gate.floods import Gate, GateLimits, HalfOpen
from sottovoce.edge.gate.networks import place_of
from sottovoce.edge.gate.proxied import Network, is_within, read_header
from sottovoce.edge.gate.turnstile import Queueing, Turnstile

__all__ = [
    "PATH_PREFIX",
    "SUBPROTOCOL",
    "Admitted",
    "Gate",
    "GateLimits",
    "HalfOpen",
    "Network",
    "Queueing",
    "Refused",
    "ServedRoute",
    "Turnstile",
    "admit",
    "is_within",
    "place_of",
    "read_header",
]
