"""How a call comes to its end, and who ended it: what both logs say, and the metrics.

A carriage that is gone leaves a call truncated (docs/protocol.md §7, P7.50): so its backend hears, whatever the cause.
The operator wants to tell a flood from a network: where we closed the connection for a fault of the client's, the
reason is that fault, and the side is the proxy.
"""

import msgspec

from sottovoce.edge.journal import Side
from sottovoce.plane import CallFlow, Loss, loss_of_websocket
from sottovoce.session import ServerSession, events
from sottovoce.transport import PeerClosed, TextMessage, WsEvent, WsFailed
from sottovoce.wire import Code


class Ending:
    """One call's."""

    __slots__ = ("_flow", "_loss", "_session", "is_by_backend")

    def __init__(self, session: ServerSession, flow: CallFlow) -> None:
        """Look at these."""
        self._session = session
        self._flow = flow
        self._loss: Loss | None = None
        self.is_by_backend = False
        """Set by whoever ends the session for its backend."""

    def take(self, event: WsEvent, now: float) -> list[events.Event]:
        """Take what came from the client and is no record; gives what the session says."""
        if isinstance(event, TextMessage):
            self._session.close(Code.BAD_RECORD, now, "a text message")
        elif isinstance(event, PeerClosed):
            return self._session.carriage_ended(event.code)
        elif isinstance(event, WsFailed):
            self._loss = loss_of_websocket(event)
            return self.carriage_ended()
        return self._session.events()

    def carriage_ended(self) -> list[events.Event]:
        """The connection is gone, or given up; gives what the session says."""
        self._loss = self._loss or self._flow.loss
        return self._session.carriage_ended()

    def explain(self, ended: events.Ended) -> events.Ended:
        """Give the end with its true reason, where the session has none."""
        loss = self._loss
        return msgspec.structs.replace(ended, reason=loss.reason) if ended.truncated and loss is not None else ended

    def side_of(self, ended: events.Ended) -> Side:
        """Say who ended the call."""
        if self.is_by_backend:
            return "backend"
        is_clients_fault = ended.truncated and self._loss is not None and self._loss.is_clients_fault
        return "proxy" if ended.local or is_clients_fault else "client"
