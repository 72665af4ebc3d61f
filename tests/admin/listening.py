"""An admin listener over loopback, in this process, with answers made up; and a client by hand."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import trio

from sottovoce.admin import (
    AuditStatus,
    CallCounts,
    CertificateStatus,
    Concern,
    HandshakeStatus,
    HsmStatus,
    ListenerStatus,
    Readiness,
    RouteStatus,
    Status,
    TicketKeyStatus,
)
from sottovoce.admin.web import build_application, serve_application

NO_CALLS = CallCounts(0, 0, 0)
HEALTHY = Status(
    state="healthy",
    version="0.1",
    pid=1,
    uptime_seconds=90.0,
    draining=False,
    readiness=Readiness(ready=True, reasons=()),
    listeners=(ListenerStatus("listener", "127.0.0.1:8443", "prefer", 0),),
    calls=NO_CALLS,
    routes=(RouteStatus("echo", NO_CALLS, "built in", 90.0),),
    hsm=HsmStatus("up", 90.0, 0, 0),
    leaf=CertificateStatus(86_280.0, 86_400.0),
    voice_certificate=CertificateStatus(601_200.0, 604_800.0),
    ticket_key=TicketKeyStatus("01", 90.0),
    audit=AuditStatus(writable=True, records=7, head="ab" * 32),
    handshakes=HandshakeStatus({}, None),
    concerns=(),
)
HSM_DOWN = Concern("degraded", "hsm", "the token process is down for 12 s", "it is started again by itself")


class Standing:
    """Answers and Exposition that say what a test has put there."""

    def __init__(self, status: Status = HEALTHY) -> None:
        self.told = status
        self.metrics = b"sottovoce_calls 0\n"
        self.error: Exception | None = None
        self.accepted: list[str] = []

    def status(self) -> Status:
        if self.error is not None:
            raise self.error
        return self.told

    def readiness(self) -> Readiness:
        return self.told.readiness

    def exposition(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        return self.metrics, "text/plain; version=0.0.4"


class Admin(NamedTuple):
    """A listener that runs."""

    port: int
    standing: Standing
    crashes: list[BaseException]
    scope: trio.CancelScope

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@asynccontextmanager
async def listening(status: Status = HEALTHY) -> AsyncGenerator[Admin]:
    """Run one."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    standing, crashes = Standing(status), list[BaseException]()
    application = build_application(standing, standing, crashes.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_application, listener, application, crashes.append)
        yield Admin(listener.socket.getsockname()[1], standing, crashes, nursery.cancel_scope)
        nursery.cancel_scope.cancel()


async def ask(admin: Admin, path: str, *, method: str = "GET", host: str | None = None, more: str = "") -> Answered:
    """Ask once; `host` is the header's value."""
    name = f"127.0.0.1:{admin.port}" if host is None else host
    return await say(admin, f"{method} {path} HTTP/1.1\r\nHost: {name}\r\n{more}\r\n".encode())


async def say(admin: Admin, data: bytes) -> Answered:
    """Send bytes and take the answer apart."""
    async with await admin.connect() as stream:
        await stream.send_all(data)
        return take_apart(await everything(stream))


async def everything(stream: trio.SocketStream) -> bytes:
    """Read to the end."""
    data = b""
    try:
        async for piece in stream:
            data += piece
    except trio.BrokenResourceError:
        pass
    return data


def take_apart(data: bytes) -> Answered:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answered(int(first.split()[1]) if data else 0, headers, body)
