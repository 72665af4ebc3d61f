"""Why a client's connection was lost, where that is known.  Pure.

We end one for a fault of the client's: a flood of what costs and says nothing, a record that does not open.  A client
may end its own, and say why by an alert.  A network that breaks says nothing, and then nothing is told here.
"""

from typing import Final

import msgspec

from sottovoce.transport import TlsError, TlsReason, WsFailed

_FAULTS: Final = frozenset({1002, 1007, 1008, 1009})
"""Close codes for what a peer did (RFC 6455 §7.4.1): broke the protocol, sent what is no text, too often, too much."""


class Loss(msgspec.Struct, frozen=True):
    """A connection that did not just end."""

    reason: str
    """One line in our words."""
    is_clients_fault: bool
    """Whether we ended it, for what the client did."""


def loss_of_tls(failure: TlsError | None) -> Loss | None:
    """Give what TLS ended by; None: it did not, or the bytes just ended."""
    if failure is None or failure.reason is TlsReason.TRUNCATED:
        return None
    return Loss(str(failure), is_clients_fault=failure.reason is not TlsReason.ALERT)


def loss_of_websocket(failed: WsFailed) -> Loss | None:
    """Give what the WebSocket failed by; None: what is below it ended."""
    return Loss(failed.reason, is_clients_fault=True) if failed.close_code in _FAULTS else None
