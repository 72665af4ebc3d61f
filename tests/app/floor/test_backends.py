import pytest

from sottovoce.admin import CallCounts
from sottovoce.app.floor import Backends
from tests.app.serving.test_health import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backends(clock: Clock) -> Backends:
    return Backends(clock)


def test_calls_are_counted_now_at_most_and_since_the_start(backends: Backends, clock: Clock) -> None:
    backends.call_started("bot", "X25519MLKEM768")
    backends.call_started("echo", "X25519MLKEM768")
    backends.call_ended("bot")
    backends.call_started("bot", "X25519")
    backends.call_ended("bot")
    assert backends.load.calls == CallCounts(1, 2, 3)
    assert backends.load.route("bot", clock.now(), is_built_in=False).calls == CallCounts(0, 1, 2)
    assert backends.load.route("echo", clock.now(), is_built_in=True).calls == CallCounts(1, 1, 1)
    assert backends.load.route("other", clock.now(), is_built_in=False).calls == CallCounts(0, 0, 0)


def test_the_share_of_post_quantum_handshakes(backends: Backends) -> None:
    assert backends.load.handshakes.hybrid_share is None
    for group in ("X25519MLKEM768", "SecP384r1MLKEM1024", "X25519MLKEM768", "X25519"):
        backends.call_started("echo", group)
    assert backends.load.handshakes.hybrid_share == 0.75
    assert backends.load.handshakes.groups == {"X25519MLKEM768": 2, "SecP384r1MLKEM1024": 1, "X25519": 1}


def test_a_backend_is_what_the_last_call_told(backends: Backends, clock: Clock) -> None:
    def state() -> tuple[str, float, str]:
        found = backends.load.route("bot", clock.now(), is_built_in=False)
        return found.backend, found.seconds, found.reason

    clock.moved += 1
    assert state() == ("not called yet", 1, "")
    backends.backend_lost("bot", "refused\nby " + "x" * 300)
    clock.moved += 2
    assert state() == ("down", 2, "refused?by " + "x" * 189)
    backends.backend_lost("bot", "refused again")
    clock.moved += 2
    assert state() == ("down", 4, "refused again")
    backends.backend_silent("bot", 5.02)
    clock.moved += 1
    assert state() == ("silent", 1, "it said nothing in 5 s")
    backends.backend_answered("bot")
    clock.moved += 1
    backends.backend_answered("bot")
    assert state() == ("answering", 1, "")


def test_of_another_backend_on_the_same_route_nothing_is_known(backends: Backends, clock: Clock) -> None:
    backends.backend_lost("bot", "refused")
    backends.backend_moved("bot")
    backends.backend_moved("never heard of")
    found = backends.load.route("bot", clock.now(), is_built_in=False)
    assert (found.backend, found.reason) == ("not called yet", "")


def test_a_built_in_route_has_no_backend(backends: Backends, clock: Clock) -> None:
    clock.moved += 9
    found = backends.load.route("echo", clock.now(), is_built_in=True)
    assert (found.backend, found.seconds, found.reason) == ("built in", 9, "")
