"""The carriage, both roles, without knowledge of voice: TLS 1.3, the HTTP/1.1 upgrade, WebSocket messages.

`TlsCore`, `ServerWebSocket` and `ClientWebSocket` do no input or output; `TlsStream` and the lines are their shells for
Trio.  These are imported when they are first asked for: who drives the cores from another event loop loads no Trio.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sottovoce.transport.errors import (
    CertificateProblem,
    CertificateRefused,
    ProxyHeaderInvalid,
    SelfTestFailed,
    TlsError,
    TlsReason,
    TlsTruncated,
    TransportError,
    TransportMisconfigured,
    WebSocketClosed,
)
from sottovoce.transport.host import Clock, SystemClock, SystemEntropy
from sottovoce.transport.limits import CLOSE_SECONDS, HANDSHAKE_SECONDS, READ_BYTES
from sottovoce.transport.openssl import (
    CurrentContext,
    KeyLog,
    PqPolicy,
    RecordLayer,
    TlsContext,
    TlsIdentity,
    client_context,
    server_context,
)
from sottovoce.transport.proxy_protocol import Announced, ProxyHeader
from sottovoce.transport.selftest import refuse_tls_environment, self_test
from sottovoce.transport.silence import TcpSocket, limit_silence
from sottovoce.transport.tls import Records, TlsCore
from sottovoce.transport.websocket import (
    ClientWebSocket,
    PeerClosed,
    ServerWebSocket,
    TextMessage,
    UpgradeAccepted,
    UpgradeRequest,
    WsEvent,
    WsFailed,
)

if TYPE_CHECKING:
    from sottovoce.transport.lines import TURN_BYTES, Alarm, Line, LineUser, TlsLine, current_hub, line_over
    from sottovoce.transport.stream import TlsStream
else:

    def __getattr__(name: str) -> object:
        """Give what the shells offer."""
        if name not in _OF_THE_SHELLS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_OF_THE_SHELLS[name]), name)


_OF_THE_SHELLS = {
    "TlsStream": "sottovoce.transport.stream",
    **dict.fromkeys(
        ("TURN_BYTES", "Alarm", "Line", "LineUser", "TlsLine", "current_hub", "line_over"), "sottovoce.transport.lines"
    ),
}

__all__ = [
    "CLOSE_SECONDS",
    "HANDSHAKE_SECONDS",
    "READ_BYTES",
    "TURN_BYTES",
    "Alarm",
    "Announced",
    "CertificateProblem",
    "CertificateRefused",
    "ClientWebSocket",
    "Clock",
    "CurrentContext",
    "KeyLog",
    "Line",
    "LineUser",
    "PeerClosed",
    "PqPolicy",
    "ProxyHeader",
    "ProxyHeaderInvalid",
    "RecordLayer",
    "Records",
    "SelfTestFailed",
    "ServerWebSocket",
    "SystemClock",
    "SystemEntropy",
    "TcpSocket",
    "TextMessage",
    "TlsContext",
    "TlsCore",
    "TlsError",
    "TlsIdentity",
    "TlsLine",
    "TlsReason",
    "TlsStream",
    "TlsTruncated",
    "TransportError",
    "TransportMisconfigured",
    "UpgradeAccepted",
    "UpgradeRequest",
    "WebSocketClosed",
    "WsEvent",
    "WsFailed",
    "client_context",
    "current_hub",
    "limit_silence",
    "line_over",
    "refuse_tls_environment",
    "self_test",
    "server_context",
]
