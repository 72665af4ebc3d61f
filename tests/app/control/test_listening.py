"""The proxy's end of the socket, by itself."""

import resource
import socket
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Never

import msgspec
import trio
import trio.testing

from sottovoce.app.control import Done, Order, Ordered, serve_control
from sottovoce.app.control.orders import to_line
from sottovoce.hsm import Cluster, HsmConfig
from sottovoce.hsm.pool.dispatch import Dispatch
from sottovoce.hsm.reports import Untimed
from sottovoce.hsm.seal import SealStatus
from sottovoce.primitives import Secret


class NoSeal:
    """There is none."""

    status: SealStatus | None = None

    async def seal(self, reason: str) -> Never:
        raise AssertionError(reason)

    async def offer(self, share: Secret) -> Never:
        raise AssertionError(share)


@contextmanager
def no_descriptor_is_left() -> Generator[None]:
    """Have the next descriptor that is asked for be one too many."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as next_one:
        number = next_one.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


async def test_those_who_connect_and_say_nothing_keep_others_waiting_for_two_seconds(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    crashes: list[BaseException] = []
    tokens = Cluster(HsmConfig(), (), Dispatch(1, {}, Untimed()), Untimed())
    async with trio.open_nursery() as nursery:
        path = tmp_path / "control"
        await nursery.start(partial(serve_control, path, Ordered(tokens, NoSeal(), "[::1]:9"), crashes.append))
        idle = [await trio.open_unix_socket(str(path)) for _ in range(8)]
        await trio.testing.wait_all_tasks_blocked()
        begun = trio.current_time()
        async with await trio.open_unix_socket(str(path)) as ours:
            await ours.send_all(to_line(Order("look")))
            answer = await ours.receive_some()
        assert 1.9 < trio.current_time() - begun < 2.1
        assert msgspec.json.decode(answer, type=Done) == Done(admin="[::1]:9")
        for each in idle:
            said = msgspec.json.decode(await each.receive_some(), type=Done)
            assert said.error == "the order has not come within 2 s: write one line"
            await each.aclose()
        nursery.cancel_scope.cancel()
    assert crashes == []


async def test_a_proxy_that_has_no_descriptor_left_goes_on_and_takes_the_order_later(tmp_path: Path) -> None:
    crashes: list[BaseException] = []
    tokens = Cluster(HsmConfig(), (), Dispatch(1, {}, Untimed()), Untimed())
    async with trio.open_nursery() as nursery:
        path = tmp_path / "control"
        await nursery.start(partial(serve_control, path, Ordered(tokens, NoSeal(), "[::1]:9"), crashes.append))
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(str(path))
            ours.sendall(to_line(Order("look")))
            with no_descriptor_is_left():
                await trio.testing.wait_all_tasks_blocked()
            answer = await trio.to_thread.run_sync(ours.recv, 4096)
        assert msgspec.json.decode(answer, type=Done) == Done(admin="[::1]:9")
        nursery.cancel_scope.cancel()
    assert crashes == []
