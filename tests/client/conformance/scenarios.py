"""What makes a test of a scenario, and the small things that several of them do."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from sottovoce.client import Item
from sottovoce.session import ServerSession
from tests.client.conformance.hosts import Host
from tests.client.conformance.words import AnyCall, Driver
from tests.client.trio.servers import TrioServer


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Have an async test run by its driver.  It takes `driver` and `host`, and other fixtures by name."""

    @wraps(test)
    def run(*, driver: Driver, host: Host, **fixtures: Any) -> None:
        async def whole() -> None:
            await test(driver=driver, host=host, **fixtures)

        driver.run(whole)

    return run


async def take(call: AnyCall, count: int) -> list[Item]:
    return [await anext(call) for _ in range(count)]


async def read_all(call: AnyCall, items: list[Item] | None = None) -> None:
    """Read to the end; what came before an error is looked at."""
    async for item in call:
        if items is not None:
            items.append(item)


def session_of(server: TrioServer) -> ServerSession:
    assert server.pure.session is not None
    return server.pure.session


def says(what: Callable[[ServerSession], object]) -> Callable[[TrioServer], None]:
    """Have the server say something beside audio."""

    def do(server: TrioServer) -> None:
        what(session_of(server))
        server.pure.settle()

    return do


def check_erased(call: AnyCall) -> None:
    """The call is over and has forgotten its keys."""
    session = call._link.machine._session
    assert call.ended is not None
    assert session.has_ended
    assert session._sender is None
    assert session._receiver is None
