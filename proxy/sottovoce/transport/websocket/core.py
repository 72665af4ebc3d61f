"""`websockets`' sans-IO core, and what we change of it.

`recv_frame` is no documented name of the library: `tests/transport/websocket/test_messages.py` fails when it means
something else.
"""

import logging
from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

SILENT: Final = logging.Logger("websockets")  # noqa: LOG001  not getLogger: nobody shall find it and enable it
"""The core would log headers and messages, which may hold a secret: it is given a log that goes nowhere."""
SILENT.disabled = True


class _OurProtocol(Protocol):
    """Takes a close between the fragments of a message, as RFC 6455 §5.4 allows; the library calls that an error.

    Tells a peer a code and no words (docs/protocol.md §10); the library would describe the fault.
    """

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        del reason
        super().fail(code)

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # the message that stays unfinished is given up
        super().recv_frame(frame)


class ServerCore(_OurProtocol, ServerProtocol):
    """The core of a server."""


class ClientCore(_OurProtocol, ClientProtocol):
    """The core of a client."""


def server_core(max_message_bytes: int, state: State = State.CONNECTING) -> ServerCore:
    """Make a server's, in the midst of a connection perhaps."""
    return ServerCore(state=state, max_size=max_message_bytes, logger=SILENT)


def client_core(
    max_message_bytes: int, state: State = State.CONNECTING, subprotocol: Subprotocol | None = None
) -> ClientCore:
    """Make a client's, in the midst of a connection perhaps."""
    return ClientCore(
        WebSocketURI(secure=True, host="unused", port=443, path="/", query=""),  # its owner writes its own request
        subprotocols=None if subprotocol is None else [subprotocol],
        state=state,
        max_size=max_message_bytes,
        logger=SILENT,
    )


def refusal(fault: Exception, max_message_bytes: int) -> tuple[str, None, int]:
    """Say what the core refused, for the log: the words, no status, and the code that it has told the peer.

    The words of a ProtocolError are the core's own, of a small fixed set.
    """
    match fault:
        case PayloadTooBig():
            return f"the peer sent a message of more than {max_message_bytes} bytes", None, CloseCode.MESSAGE_TOO_BIG
        case ProtocolError():
            return f"the peer broke the WebSocket protocol: {fault}", None, CloseCode.PROTOCOL_ERROR
        case UnicodeDecodeError():
            return "the peer gave a reason for closing that is not UTF-8", None, CloseCode.INVALID_DATA
        case _:
            return "the WebSocket core failed", None, CloseCode.INTERNAL_ERROR
