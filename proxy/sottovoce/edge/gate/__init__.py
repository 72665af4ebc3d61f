"""Who is let in, cheapest check first: by address before a byte is read, by the request after TLS."""

from sottovoce.edge.gate.admission import PATH_PREFIX, SUBPROTOCOL, Admitted, Refused, ServedRoute, admit
from sottovoce.edge.gate.floods import HandshakeLimits
from sottovoce.edge.gate.identities import narrowed

__all__ = [
    "PATH_PREFIX",
    "SUBPROTOCOL",
    "Admitted",
    "HandshakeLimits",
    "Refused",
    "ServedRoute",
    "admit",
    "narrowed",
]
