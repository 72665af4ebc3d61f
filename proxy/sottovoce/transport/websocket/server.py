"""The server's side of the upgrade: which requests are sound, and the answers to those that are not.

An offer of permessage-deflate is ignored, as the core is given no extension to accept.  The core reads Host, the target
and the HTTP version leniently, and answers some faults by silence: these are decided here (RFC 9112 §3.2, §6.3).
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.errors import WebSocketClosed
from sottovoce.transport.limits import MAX_IDLE_FRAMES, UPGRADE_BYTES
from sottovoce.transport.websocket.core import server_core
from sottovoce.transport.websocket.events import UpgradeRequest, WsEvent
from sottovoce.transport.websocket.head import HeadBuffer, HeadTooLargeError, is_authority, is_target
from sottovoce.transport.websocket.messages import Phase, WebSocket

_VERSION: Final = "13"
_UPGRADE_HEADERS: Final = {"Upgrade": "websocket", "Sec-WebSocket-Version": _VERSION}
"""RFC 9110 §15.5.22, RFC 6455 §4.4."""


class ServerWebSocket(WebSocket):
    """The server's end: `receive` gives an `UpgradeRequest`; answer it before the next `receive`."""

    __slots__ = (
        "_acceptance",
        "_head",
        "_offered",
        "_opening",
    )

    def __init__(self, *, max_message_bytes: int, max_idle_frames: int = MAX_IDLE_FRAMES) -> None:
        self._opening = server_core(max_message_bytes)
        super().__init__(self._opening, max_message_bytes, max_idle_frames)
        self._head = HeadBuffer()
        self._offered: tuple[str, ...] = ()
        self._acceptance: Response | None = None

    def receive(self, data: bytes) -> list[WsEvent]:
        """Take bytes from the network and give what they complete.  Never raises."""
        match self._phase:
            case Phase.RUNNING:
                return self._receive_frames(data)
            case Phase.UPGRADING:
                return self._receive_head(data)
            case Phase.ASKED if data:
                return self._too_early()
            case _:
                return []

    def accept(self, subprotocol: str | None) -> None:
        """Open the WebSocket, with one of the subprotocols that the client offered or with none."""
        response = self._answered()
        if subprotocol is not None:
            if subprotocol not in self._offered:
                raise ApiMisuse("WebSocket: only a subprotocol that the client offered can be accepted")
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
            self._opening.subprotocol = Subprotocol(subprotocol)
        self._acceptance = None
        self._opening.send_response(response)
        self._opened()
        del self._opening, self._head

    def refuse(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        """Refuse the request with an HTTP status and a line of text for people; the WebSocket is then over."""
        self._answered()
        self._answer(HTTPStatus(status), text, headers)

    def _receive_head(self, data: bytes) -> list[WsEvent]:
        try:
            divided = self._head.add(data)
        except HeadTooLargeError:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            return self._reject(status, f"the request's head has more than {UPGRADE_BYTES} bytes")
        if divided is None:
            return []
        head, rest = divided
        self._opening.receive_data(head)
        match self._opening.events_received():
            case [Request() as request] if self._opening.handshake_exc is None:
                events = self._examine(request)
            case _:
                return self._reject(*self._unparsed())
        return self._too_early() if rest and self._phase is Phase.ASKED else events

    def _examine(self, request: Request) -> list[WsEvent]:
        """Check what the core does not, then let it check the rest."""
        hosts = request.headers.get_all("Host")
        target = request.path.encode("ascii")
        authority = hosts[0].encode("latin-1") if len(hosts) == 1 else b""
        if request.protocol != "HTTP/1.1":
            return self._reject(HTTPStatus.BAD_REQUEST, "the request is not HTTP/1.1")
        if request.method != "GET":
            return self._reject(HTTPStatus.METHOD_NOT_ALLOWED, "the request's method is not GET", {"Allow": "GET"})
        if not is_authority(authority):
            return self._reject(HTTPStatus.BAD_REQUEST, "the request does not have exactly one Host that names a host")
        if not is_target(target):
            return self._reject(HTTPStatus.BAD_REQUEST, "the request's target is not a path")
        versions = request.headers.get_all("Sec-WebSocket-Version")
        if len(versions) == 1 and versions[0] != _VERSION:
            text = f"the WebSocket version is not {_VERSION}"
            return self._reject(HTTPStatus.UPGRADE_REQUIRED, text, _UPGRADE_HEADERS)
        response = self._opening.accept(request)
        match response.status_code:
            case HTTPStatus.SWITCHING_PROTOCOLS:
                return self._ask(request, response, target, authority)
            case HTTPStatus.UPGRADE_REQUIRED:
                text = "the request does not ask for a WebSocket"
                return self._reject(HTTPStatus.UPGRADE_REQUIRED, text, _UPGRADE_HEADERS)
            case _:
                return self._reject(HTTPStatus.BAD_REQUEST, "the request's WebSocket headers are not sound")

    def _ask(self, request: Request, response: Response, target: bytes, authority: bytes) -> list[WsEvent]:
        headers = request.headers
        self._offered = tuple(
            each for value in headers.get_all("Sec-WebSocket-Protocol") for each in parse_subprotocol(value)
        )
        self._acceptance = response
        self._phase = Phase.ASKED
        return [
            UpgradeRequest(
                target=target,
                authority=authority,
                origin=self._opening.origin,
                subprotocols=self._offered,
                headers=tuple((name.lower(), value) for name, value in headers.raw_items()),
            )
        ]

    def _unparsed(self) -> tuple[HTTPStatus, str]:
        """Say why the core found no request, from the answer it would give; it gives none to what is no HTTP."""
        answer = b"".join(self._opening.data_to_send())
        if answer.startswith((b"HTTP/1.1 414", b"HTTP/1.1 431")):
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request has a line too long or too many headers"
        return HTTPStatus.BAD_REQUEST, "the request is not sound HTTP/1.1, or has a body"

    def _too_early(self) -> list[WsEvent]:
        """Refuse what comes before our answer: a body, or messages that must wait for it (RFC 6455 §4.1)."""
        return self._reject(HTTPStatus.BAD_REQUEST, "the client sent more than its request before it was answered")

    def _reject(self, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> list[WsEvent]:
        self._answer(status, text, headers)
        return self._fail(text, status.value)

    def _answer(self, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> None:
        response = self._opening.reject(status, f"{text}\n")
        for name, value in (headers or {}).items():
            response.headers[name] = value
        self._acceptance = None
        self._enter(Phase.OVER)
        self.outgoing = [response.serialize()]  # and nothing that the core would say

    def _answered(self) -> Response:
        """Give the response that opens the WebSocket, if there is a request to answer."""
        if self._acceptance is None:
            if self._phase is Phase.OVER:
                raise WebSocketClosed("the WebSocket is over: its request cannot be answered any more")
            raise ApiMisuse("WebSocket: there is no request to answer")
        return self._acceptance
