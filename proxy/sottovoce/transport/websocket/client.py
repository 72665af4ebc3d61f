"""The client's side of the upgrade.

No extension is offered.  A refusal is reported as soon as the head of the response is there; its body is not read.
"""

import re
from collections.abc import Iterable
from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, NegotiationError
from websockets.http11 import Request
from websockets.typing import Subprotocol

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.limits import UPGRADE_BYTES
from sottovoce.transport.websocket.core import client_core
from sottovoce.transport.websocket.events import UpgradeAccepted, WsEvent
from sottovoce.transport.websocket.head import HeadBuffer, HeadTooLargeError, is_authority, is_target
from sottovoce.transport.websocket.messages import Phase, WebSocket

_SWITCHING: Final = 101
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_header_value = re.compile(r"[!-~](?:[ !-~]*[!-~])?").fullmatch
_status_line = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])[ \r]").match


class ClientWebSocket(WebSocket):
    """The client's end: send what `request` queues, then feed `receive` until it gives `UpgradeAccepted`."""

    __slots__ = (
        "_authority",
        "_head",
        "_opening",
        "_subprotocol",
        "_target",
    )

    def __init__(self, authority: str, target: str, *, max_message_bytes: int, subprotocol: str | None = None) -> None:
        """`authority` and `target` are sent as they are: the Host header, and the path with its query."""
        if not (authority.isascii() and is_authority(authority.encode())):
            raise ApiMisuse("WebSocket: the authority is a host name or address, perhaps with a port")
        if not (target.isascii() and is_target(target.encode())):
            raise ApiMisuse("WebSocket: the target is a path in printable ASCII, which begins with a slash")
        wanted = None if subprotocol is None else Subprotocol(subprotocol)
        self._opening = client_core(max_message_bytes, subprotocol=wanted)
        super().__init__(self._opening, max_message_bytes)
        self._authority = authority
        self._target = target
        self._subprotocol = subprotocol
        self._head = HeadBuffer()

    def request(self, more: Iterable[tuple[str, str]] = ()) -> None:
        """Queue the request for the upgrade; `more` are headers beside those of WebSocket, in visible ASCII."""
        if self._phase is not Phase.UPGRADING:
            raise ApiMisuse("WebSocket: the upgrade has been requested before")
        headers = Headers([("Host", self._authority)])
        for name, value in self._opening.connect().headers.raw_items():
            if name != "Host":
                headers[name] = value
        for name, value in more:
            if not (_is_token(name) and _is_header_value(value)):
                raise ApiMisuse("WebSocket: a header has a name of RFC 9110 §5.1 and a value in visible ASCII")
            headers[name] = value
        self._opening.send_request(Request(self._target, headers))
        self._gather()
        self._phase = Phase.ASKED

    def receive(self, data: bytes) -> list[WsEvent]:
        """Take bytes from the network and give what they complete.  Nothing that a peer sends makes it raise."""
        match self._phase:
            case Phase.RUNNING:
                return self._receive_frames(data)
            case Phase.ASKED:
                return self._receive_head(data)
            case Phase.OVER:
                return []
            case _:
                raise ApiMisuse("WebSocket: nothing can be received before the upgrade is requested")

    def _receive_head(self, data: bytes) -> list[WsEvent]:
        try:
            divided = self._head.add(data)
        except HeadTooLargeError:
            return self._fail(f"the head of the server's response has more than {UPGRADE_BYTES} bytes")
        if divided is None:
            return []
        head, rest = divided
        status_line = _status_line(head)
        if status_line is None:
            return self._fail("the server's response is not HTTP/1.1")
        status = int(status_line[1])
        if status != _SWITCHING:
            return self._fail(f"the server refused the WebSocket with HTTP status {status}", status)
        self._opening.receive_data(head)
        self._opening.events_received()
        if self._opening.handshake_exc is not None:
            return self._fail(self._describe_refusal(self._opening.handshake_exc))
        if self._opening.subprotocol != self._subprotocol:
            return self._fail("the server did not select the WebSocket subprotocol that was asked for")
        self._opened()
        del self._opening, self._head
        accepted = UpgradeAccepted(self._subprotocol)
        return [accepted, *self._receive_frames(rest)] if rest else [accepted]

    def _describe_refusal(self, fault: Exception) -> str:
        match fault:
            case InvalidMessage():
                return "the server's response is not sound HTTP/1.1"
            case NegotiationError():
                return "the server selected a WebSocket subprotocol or extension that was not asked for"
            case _:
                return "the server's response does not open the WebSocket that was asked for"
