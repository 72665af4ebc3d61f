"""What calls leave behind reaches the log, the audit log, and whoever is asked how the proxy does."""

from collections.abc import Callable

import pytest

from sottovoce.edge import Journal, Unobserved
from tests.edge.proxy import Log

SESSION = bytes(range(16))


class Heard:
    """A CallObserver that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def call_started(self, route: str, tls_group: str) -> None:
        self.told.append(("started", route, tls_group))

    def call_ended(self, route: str) -> None:
        self.told.append(("ended", route))

    def backend_answered(self, route: str) -> None:
        self.told.append(("answered", route))

    def backend_silent(self, route: str, seconds: float) -> None:
        self.told.append(("silent", route, seconds))

    def backend_lost(self, route: str, reason: str) -> None:
        self.told.append(("lost", route, reason))


def test_a_silent_backend_is_on_the_log_and_told() -> None:
    log, heard = Log(), Heard()
    Journal(log, log, heard).backend_silent(SESSION, "bot", 5.00049)
    (event,) = log.named("backend.silent")
    assert event == {"session": SESSION.hex(), "route": "bot", "seconds": 5.0}
    assert heard.told == [("silent", "bot", 5.00049)]


def test_a_backend_that_answers_is_told_and_not_logged() -> None:
    log, heard = Log(), Heard()
    Journal(log, log, heard).backend_answered("bot")
    assert heard.told == [("answered", "bot")]
    assert log.lines == []


@pytest.mark.parametrize(
    "tell",
    [
        lambda nobody: nobody.call_started("echo", "X25519"),
        lambda nobody: nobody.call_ended("echo"),
        lambda nobody: nobody.backend_answered("echo"),
        lambda nobody: nobody.backend_silent("echo", 5.0),
        lambda nobody: nobody.backend_lost("echo", "gone"),
    ],
)
def test_where_nobody_asks_nobody_is_told(tell: Callable[[Unobserved], None]) -> None:
    tell(Unobserved())
