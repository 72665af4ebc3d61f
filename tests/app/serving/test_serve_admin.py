"""What the admin listener says of itself, and that its end is nobody else's."""

from types import SimpleNamespace
from typing import Any

import trio

from sottovoce.admin import AdminConfig
from sottovoce.app.serving.admin import serve_admin
from sottovoce.app.serving.health import Health, Tokens
from sottovoce.observe import events
from sottovoce.transport import SystemClock
from tests.admin.listening import Standing
from tests.edge.proxy import Log


def parts(listener: trio.SocketListener, log: Log, *, address: str = "127.0.0.1:9443") -> Any:
    """As much of the parts as is needed."""
    return SimpleNamespace(
        configuration=SimpleNamespace(admin=AdminConfig(address=address)),
        logger=log,
        admin=listener,
        admin_address=address,
        exposition=Standing(),
        health=Health(SystemClock(), Tokens(SystemClock(), {"main": "hsm"}, 1)),
    )


async def test_an_address_that_others_reach_is_warned_of() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    log = Log()
    with trio.move_on_after(0.05):
        await serve_admin(parts(listener, log, address="192.0.2.1:9443"))
    assert log.lines == [(events.ADMIN_EXPOSED, {"address": "192.0.2.1:9443"})]


async def test_on_loopback_nothing_is_said() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    log = Log()
    with trio.move_on_after(0.05):
        await serve_admin(parts(listener, log))
    assert log.lines == []


async def test_when_it_breaks_it_is_logged_and_ends_nothing_else() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await listener.aclose()
    log = Log()
    await serve_admin(parts(listener, log))
    (crash,) = log.named(events.TASK_CRASHED)
    assert crash["task"] == "admin"
    assert isinstance(crash["exc_info"], BaseException)
