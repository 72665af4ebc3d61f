"""One TCP connection: TLS handshake, upgrade, then the call.  What goes wrong here ends no other connection."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from sottovoce.audit import AuditFailed
from sottovoce.edge.gate import SUBPROTOCOL, Admitted, Queueing, Refused, admit
from sottovoce.edge.services import EdgeServices
from sottovoce.edge.voice import VoiceCall
from sottovoce.session import BINDING_TLS_EXPORTER, Carriage
from sottovoce.transport import ServerWebSocket, TlsError, TlsStream, UpgradeRequest, WsFailed
from sottovoce.wire import MAX_TRANSPORT_MESSAGE_BYTES

_UNAVAILABLE = 503
_NO_CALLS = "no calls are taken at the moment"
"""Whatever the reason is: a caller is not told."""
_REFUSAL_SECONDS = 2.0
"""For a refusal's text to leave, and for a farewell."""


class Watch(Protocol):
    """Follows a connection from outside."""

    def came(self, cut_off: Callable[[], None]) -> None:
        """TLS begins; `cut_off` ends the connection, up to `started`.  Told once, before all else."""
        ...

    def started(self, call: VoiceCall) -> None:
        """The request was answered, and the voice handshake begins; told once at most.  Now the call can be cut off."""
        ...

    def agreed(self, code: int | None) -> None:
        """The voice handshake is over; with the code, where we refused it.  Told once, after `started`."""
        ...

    def ended(self) -> None:
        """The connection is closed.  Told last, whatever happened."""
        ...


async def serve_connection(
    stream: trio.abc.Stream, services: EdgeServices, client: str, handshake_seconds: float, watch: Watch
) -> None:
    """Serve one connection to its end and close it.  `client` is the peer's address and port."""
    tls: TlsStream | None = None
    try:
        tls = TlsStream(Queueing(stream, services.turnstile), services.tls.context)
        if running := await _begin(tls, stream, services, client, handshake_seconds, watch):
            await running
    except TlsError as error:
        services.journal.tls_refused(client, error.reason)
    except trio.BrokenResourceError:
        pass  # the peer has gone; what there is to say about it is said
    finally:
        try:
            if tls is not None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _REFUSAL_SECONDS):
                    await tls.aclose()
        finally:
            watch.ended()


async def _begin(  # noqa: PLR0913, PLR0917  one step of `serve_connection`, whose frame lasts as long as the call
    tls: TlsStream,
    stream: trio.abc.Stream,
    services: EdgeServices,
    client: str,
    handshake_seconds: float,
    watch: Watch,
) -> Awaitable[None] | None:
    """Shake hands; give the call, running, or None: refused."""
    with trio.move_on_after(handshake_seconds) as limit:
        watch.came(limit.cancel)
        await tls.do_handshake()
        tls.transport = stream  # from here on nobody queues: frames pass
        call = await _open(tls, services, client, watch)
        if call is None:
            return None
        watch.started(call)
        return call.run()
    if trio.current_time() >= limit.deadline:  # else it was cut off
        services.journal.upgrade_refused(client, None, "no request came in time")
    return None


async def _open(tls: TlsStream, services: EdgeServices, client: str, watch: Watch) -> VoiceCall | None:
    """Take the request; give the call.  None: refused."""
    websocket = ServerWebSocket(max_message_bytes=MAX_TRANSPORT_MESSAGE_BYTES)
    while True:
        data = await tls.receive_some()
        if not data:
            return None
        match websocket.receive(data):
            case [UpgradeRequest() as request]:  # nothing may come behind it before it is answered
                return await _answer(tls, websocket, request, services, client, watch)
            case [WsFailed(reason=reason, status=status), *_]:
                services.journal.upgrade_refused(client, status, reason)
                await tls.send_all(websocket.to_send())
                return None
            case _:
                pass


async def _answer(  # noqa: PLR0913, PLR0917  one step of `_open`
    tls: TlsStream,
    websocket: ServerWebSocket,
    request: UpgradeRequest,
    services: EdgeServices,
    client: str,
    watch: Watch,
) -> VoiceCall | None:
    verdict, reason = admit(request, services.routes), None
    if isinstance(verdict, Admitted) and services.shut_seconds is not None:
        verdict, reason = Refused(_UNAVAILABLE, _NO_CALLS, services.shut_seconds), "no descriptor is left for a call"
    elif isinstance(verdict, Admitted):
        try:
            await services.journal.settle()
        except AuditFailed as error:
            verdict, reason = Refused(_UNAVAILABLE, _NO_CALLS), str(error)
        else:
            if (seconds := services.seal.effects.retry_after_seconds) is not None:
                verdict, reason = Refused(_UNAVAILABLE, _NO_CALLS, seconds), "the HSM is sealed"
    match verdict:
        case Refused(status, text):
            services.journal.upgrade_refused(client, status, reason or text)
            websocket.refuse(status, text, verdict.headers)
            await tls.send_all(websocket.to_send())
            return None
        case Admitted(served):
            await trio.lowlevel.checkpoint_if_cancelled()  # it may have been cut off just as it went on
            websocket.accept(SUBPROTOCOL)
            carriage = Carriage(
                BINDING_TLS_EXPORTER,
                tls.core.exporter(),
                request.authority,
                request.target,
                peer_certificate=tls.core.peer_certificate_der(),
            )
            return VoiceCall(tls, websocket, served, carriage, services, client, watch.agreed)
