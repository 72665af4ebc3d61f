"""The routes of the admin address, and who may ask.

    GET /metrics    for Prometheus                           GET /readyz   200 or 503: whether new calls should come
    GET /healthz    200 while the event loop turns           GET /status   everything, as JSON

Everything is read-only.  A page in somebody's browser could have the browser ask here under a name that its own DNS
server points at this address; so the Host header has to be an IP address or localhost, which no such page can send.
"""

import ipaddress
from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sottovoce.admin.status import Answers, Exposition
from sottovoce.admin.web.scrapes import Scrapes

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_JSON = "application/json"
_PATHS = "this is sottovoce's admin address: /metrics, /healthz, /readyz, /status\n"

Crashed = Callable[[BaseException], None]
"""Is told of a bug of ours that ended one answer."""


def build_application(answers: Answers, exposition: Exposition, crashed: Crashed) -> ASGIApp:
    """Make the application out of what knows the answers."""
    scrapes = Scrapes(exposition)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n", headers=_HEADERS)

    async def metrics(request: Request) -> Response:
        body, content_type = await scrapes.scrape(request.headers.get("accept", ""))
        return Response(body, headers={**_HEADERS, "Content-Type": content_type})

    async def readyz(_: Request) -> Response:
        readiness = answers.readiness()
        body = msgspec.json.encode({"schema": "sottovoce.ready.1", **msgspec.structs.asdict(readiness)})
        return Response(body, 200 if readiness.ready else 503, _HEADERS, _JSON)

    async def status(_: Request) -> Response:
        return Response(msgspec.json.encode(answers.status()), 200, _HEADERS, _JSON)

    async def not_found(_: Request, __: Exception) -> Response:
        return PlainTextResponse(_PATHS, 404, _HEADERS)

    endpoints = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz, "/status": status}
    routes = [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]  # HEAD comes with GET
    return _Door(Starlette(routes=routes, exception_handlers={404: not_found}), crashed)


class _Door:
    """Lets in HTTP/1 requests that name this address as one; what breaks behind it is told, and ends one answer."""

    def __init__(self, inside: ASGIApp, crashed: Crashed) -> None:
        self._inside = inside
        self._crashed = crashed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope) if scope["type"] == "http" else None
        answer: Callable[[Scope, Receive, Send], Awaitable[None]] = self._inside if refusal is None else refusal
        try:
            await answer(scope, receive, send)
        except Exception as error:  # noqa: BLE001  a bug of ours, or what the metrics met: the next one asks again
            self._crashed(error)


def _refusal(scope: Scope) -> Response | None:
    if not str(scope["http_version"]).startswith("1"):
        return PlainTextResponse("HTTP/1.1 only\n", 505, _HEADERS)
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return PlainTextResponse("one Host header is needed\n", 400, _HEADERS)
    if not _is_address(hosts[0]):
        return PlainTextResponse("ask for an IP address or localhost, not for a name\n", 421, _HEADERS)
    return None


def _is_address(host: bytes) -> bool:
    """Whether a Host header names `localhost` or an IP address, with a port or without."""
    text = host.decode("latin-1")
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        name, port = text, ""
    elif not (port.isascii() and port.isdigit()):
        return False
    if name.lower() == "localhost":
        return True
    is_bracketed = name.startswith("[") and name.endswith("]")
    try:
        address = ipaddress.ip_address(name[1:-1] if is_bracketed else name)
    except ValueError:
        return False
    return is_bracketed == (address.version == 6)  # noqa: PLR2004  as in IPv6
