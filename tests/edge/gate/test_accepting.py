"""When descriptors run out new calls are told so, and those that run notice nothing."""

import errno
import resource

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from sottovoce.edge import CurrentServices, Listener, ListenerConfig
from sottovoce.edge.gate.accepting import MAX_RESERVE, accept_all, descriptor_limit, is_full
from sottovoce.edge.journal import Journal
from sottovoce.observe import events
from sottovoce.observe.counting import Uncounted
from tests.edge.house import house
from tests.edge.proxy import CLIENT, Peer, Proxy
from tests.edge.sockets import MemoryListener


@given(st.integers(0, 1 << 20), st.integers(0, 10_000), st.integers(64, 1 << 20))
def test_the_last_descriptors_are_kept_for_backends_of_calls_that_were_let_in(
    descriptor: int, half_open: int, limit: int
) -> None:
    kept = limit - limit // 8 if limit // 8 < MAX_RESERVE else limit - MAX_RESERVE
    assert is_full(descriptor, half_open, limit) == (descriptor + half_open >= kept)
    assert not is_full(descriptor, half_open, resource.RLIM_INFINITY)


def test_the_limit_is_the_processes() -> None:
    assert descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Counted(Uncounted):
    """Keeps why connections were refused."""

    def __init__(self) -> None:
        self.refused = list[str]()

    def connection_refused(self, reason: str) -> None:
        self.refused.append(reason)


async def test_a_call_that_comes_then_hears_503_once_logged_and_the_others_go_on() -> None:
    proxy, counted = Proxy(), Counted()
    services = msgspec.structs.replace(proxy.services, journal=Journal(proxy.log, proxy.log, metrics=counted))
    async with house(proxy, CurrentServices(services)) as served:
        first = Peer(await served.dial())
        await first.open()
        served.listener._descriptors = 1
        for _ in range(2):
            late = Peer(await served.dial())
            assert not await late.upgrade()
            await late.tls.aclose()
        await first.say(b"x" * 160)
        await first.until(lambda: len(first.audio) == 1)
        served.listener._descriptors = 1024
        again = Peer(await served.dial())
        await again.open()
    refused = proxy.log.named(events.UPGRADE_REFUSED)
    assert [(each["status"], each["reason"]) for each in refused] == [(503, "no descriptor is left for a call")] * 2
    (line,) = proxy.log.named(events.CONNECTION_REFUSED)
    assert line["reason"] == "open_files: 1 may be open, none is left for another call"
    assert line["client"] == CLIENT
    assert counted.refused == [line["reason"]] * 2


async def test_who_waits_to_be_accepted_is_nobody_in_the_log_and_no_refusal_in_the_counts(
    autojump_clock: MockClock,
) -> None:
    proxy, sockets, counted = Proxy(), Full(), Counted()
    services = msgspec.structs.replace(proxy.services, journal=Journal(proxy.log, proxy.log, metrics=counted))
    listener = Listener("listener", ListenerConfig(), sockets.bound)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, CurrentServices(services))
        await Peer(await sockets.dial()).open()
        nursery.cancel_scope.cancel()
    (line,) = proxy.log.named(events.CONNECTION_REFUSED)
    assert str(line["reason"]).startswith("open_files: ")
    assert "client" not in line
    assert counted.refused == []


class Full(MemoryListener):
    """Cannot accept the first three: without a descriptor, unless it is for another reason."""

    def __init__(self, reason: int = errno.EMFILE) -> None:
        super().__init__()
        self.left = 3
        self._reason = reason

    async def accept(self) -> object:  # type: ignore[override]
        if self.left:
            self.left -= 1
            await trio.lowlevel.checkpoint()
            raise OSError(self._reason, "it cannot be accepted")
        return await super().accept()


@pytest.mark.parametrize(("reason", "count"), [(errno.EMFILE, 3), (errno.ECONNABORTED, 0), (errno.EPROTO, 0)])
async def test_what_cannot_be_accepted_keeps_no_other_out(reason: int, count: int, autojump_clock: MockClock) -> None:
    listener, told, came = Full(reason), list[int](), trio.Event()

    async def handle(_: object) -> None:
        await trio.lowlevel.checkpoint()
        came.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_all, listener.bound, handle, nursery, lambda: told.append(1))
        await listener.dial()
        await came.wait()
        nursery.cancel_scope.cancel()
    assert len(told) == count
