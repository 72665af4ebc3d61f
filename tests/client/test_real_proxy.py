"""Against `sottovoce serve` itself: tickets, pings, slots, and conversations that survive its restart."""

import asyncio
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import trio
import uvloop

import sottovoce.client.asyncio
import sottovoce.client.sync
from sottovoce.client import Audio, Call, Draining, TicketStore, Trust, calls, connect, trust_from_directory
from tests.client.servers import FRAME
from tests.running import RunningProxy, copy_directory, make_directory, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
_FRAMES = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module", params=[1, 2], ids=["buckets", "constant"])
def proxy(
    made: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Generator[RunningProxy]:
    directory = copy_directory(made, tmp_path_factory.mktemp("proxy"))
    with running_proxy(directory, f"voice.padding={request.param}") as proxy:
        yield proxy


def _trust(proxy: RunningProxy) -> Trust:
    return trust_from_directory(proxy.directory)


async def _echoed(call: Call) -> None:
    for number in range(_FRAMES):
        await call.send(FRAME[:-1] + bytes([number]))
    heard = [await call.__anext__() for _ in range(_FRAMES)]
    assert heard == [Audio(FRAME[:-1] + bytes([number])) for number in range(_FRAMES)]


async def test_the_second_call_comes_by_ticket(proxy: RunningProxy) -> None:
    trust = _trust(proxy)
    resumed = []
    with TicketStore() as tickets:
        for _ in range(3):
            async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, tickets=tickets) as call:
                await _echoed(call)
                resumed.append(call.statistics.is_resumed)
                assert len(tickets) == 1
    assert resumed == [False, True, True]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_on_asyncio_with_a_loop_that_stands_still_for_a_while(proxy: RunningProxy, run: Callable[..., None]) -> None:
    trust = _trust(proxy)
    resumed = []

    async def whole() -> None:
        with TicketStore() as tickets:
            for _ in range(2):
                async with sottovoce.client.asyncio.connect(
                    f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, tickets=tickets, keepalive=1
                ) as call:
                    await _echoed(call)
                    time.sleep(2.5)  # noqa: ASYNC251  as somebody's careless program
                    await _echoed(call)
                    resumed.append(call.statistics.is_resumed)

    run(whole(), debug=True)
    assert resumed == [False, True]


def test_without_an_event_loop(proxy: RunningProxy) -> None:
    trust = _trust(proxy)
    with sottovoce.client.sync.connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca) as call:
        for number in range(_FRAMES):
            call.send(FRAME[:-1] + bytes([number]))
            assert call.receive(timeout=20) == Audio(FRAME[:-1] + bytes([number]))


async def test_a_client_that_says_nothing_keeps_its_call(proxy: RunningProxy) -> None:
    trust = _trust(proxy)
    async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, keepalive=1) as call:
        with trio.move_on_after(4):
            await call.__anext__()
        assert call.ended is None
        await _echoed(call)


async def test_a_conversation_survives_the_proxys_restart(made: Path, tmp_path: Path) -> None:
    directory = copy_directory(made, tmp_path)
    reasons = []
    with running_proxy(directory, "process.drain_seconds=0") as first:
        trust, address = _trust(first), first.addresses[0]
        conversation = calls(f"{first.url}/echo", anchor=trust.anchors, ca=trust.ca)
        restarted = running_proxy(directory, f"listener.address={address}")
        async for leg in conversation:
            async with leg as call:
                reasons.append(leg.reason)
                await _echoed(call)
                if leg.reason is None:
                    await trio.to_thread.run_sync(first.stop)
                    await trio.to_thread.run_sync(restarted.__enter__)
                    await _echoed(call)
        restarted.__exit__(None, None, None)
    assert [type(reason) for reason in reasons] == [type(None), Draining]
    assert conversation.reconnects == 1


async def test_a_proxy_that_is_killed_is_come_back_to(made: Path, tmp_path: Path) -> None:
    directory = copy_directory(made, tmp_path)
    with running_proxy(directory) as first:
        trust, address = _trust(first), first.addresses[0]
        restarted = running_proxy(directory, f"listener.address={address}")
        began = time.monotonic()
        async for leg in calls(f"{first.url}/echo", anchor=trust.anchors, ca=trust.ca, give_up_after=90):
            async with leg as call:
                await _echoed(call)
                if leg.reason is None:
                    first.process.kill()
                    await trio.to_thread.run_sync(restarted.__enter__)
                    await _echoed(call)
        restarted.__exit__(None, None, None)
        assert time.monotonic() - began < 90
