"""From which sockets a worker accepts, with real ones."""

import errno
import os
import socket
from collections.abc import Generator

import pytest
import trio
from trio.testing import MockClock

from sottovoce.app.workers.places import Sockets, bind_places, close_places
from sottovoce.app.workers.taking import Taking
from sottovoce.settings import build

CONFIGURATION = build({"listener": {"address": "127.0.0.1:0"}, "listeners": {"second": {"address": "127.0.0.1:0"}}})


@pytest.fixture
def sockets() -> Generator[Sockets]:
    bound = bind_places(CONFIGURATION, 3, {})
    yield bound
    close_places(bound)


def taken(taking: Taking) -> set[tuple[str, int]]:
    """What it accepts from; each listener knows of as many sockets."""
    assert sum(len(each._bound) for each in taking._listeners) == len(taking._taken)
    return set(taking._taken)


def both(*places: int) -> set[tuple[str, int]]:
    return {(name, place) for name in ("listener", "listeners.second") for place in places}


async def test_what_is_wanted_last_is_what_is_done(sockets: Sockets, autojump_clock: MockClock) -> None:
    taking = Taking(sockets)
    listeners = taking.listen(CONFIGURATION, (1, 2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taking.run)
        await trio.sleep(1)
        assert taken(taking) == both(1, 2)
        for places in ((1,), (0, 1, 2), (1,), (1, 0)):
            taking.want(places)
        await trio.sleep(1)
        assert taken(taking) == both(0, 1)
        nursery.cancel_scope.cancel()
    for each in listeners:
        await each.aclose()


async def test_a_socket_is_at_no_moment_one_that_others_would_block_on(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others accept from it, too: of a socket that blocks they would get nothing, and stand still."""
    inherited = {
        name: tuple(socket.socket(fileno=os.dup(bound.fileno())) for bound in each) for name, each in sockets.items()
    }
    assert all(bound.gettimeout() is None for each in inherited.values() for bound in each), "as Python has it"
    blocking: list[bool] = []
    settimeout = socket.socket.settimeout

    def told(bound: socket.socket, seconds: float | None) -> None:
        settimeout(bound, seconds)
        blocking.append(os.get_blocking(bound.fileno()))

    monkeypatch.setattr(socket.socket, "settimeout", told)
    taking = Taking(inherited)
    listeners = taking.listen(CONFIGURATION, (1,))
    assert blocking == [False, False]
    for each in listeners:
        await each.aclose()
    taking.let_go()


async def test_without_a_descriptor_it_is_done_later(
    sockets: Sockets, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking = Taking(sockets)
    listeners = taking.listen(CONFIGURATION, (1,))
    dup, left = socket.socket.dup, [4]

    def sometimes(bound: socket.socket) -> socket.socket:
        left[0] -= 1
        if left[0] % 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return dup(bound)

    monkeypatch.setattr(socket.socket, "dup", sometimes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taking.run)
        taking.want((1, 0))
        await trio.sleep(5)
        assert taken(taking) == both(0, 1)
        nursery.cancel_scope.cancel()
    for each in listeners:
        await each.aclose()


async def test_let_go_it_takes_no_others_and_keeps_no_address(sockets: Sockets, autojump_clock: MockClock) -> None:
    taking = Taking(sockets)
    listeners = taking.listen(CONFIGURATION, (0,))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taking.run)
        taking.let_go()
        taking.want((0, 1))
        await trio.sleep(1)
        assert taken(taking) == both(0)
        nursery.cancel_scope.cancel()
    for each in listeners:
        await each.aclose()
    assert all(bound.fileno() == -1 for each in sockets.values() for bound in each)
