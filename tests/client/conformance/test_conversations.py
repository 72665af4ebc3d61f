"""`calls` of every shell: what is come back to, and what is not."""

# ruff: noqa: PT012  a conversation under `pytest.raises` is several statements by its nature

from pathlib import Path

import pytest

from sottovoce.client import Audio, AuthFailed, CallTruncated, ConnectFailed, Draining
from sottovoce.primitives import ApiMisuse
from sottovoce.session import Identity, ServerConfig
from sottovoce.wire import Code
from tests.client.conformance.hosts import Echo, Host
from tests.client.conformance.scenarios import read_all, scenario, take
from tests.client.conformance.words import AnyCall, Driver
from tests.client.servers import FRAME, Box, PureServer
from tests.session.dialogue import Credentials


async def _say_one(call: AnyCall) -> None:
    await call.send(FRAME)
    assert await take(call, 1) == [Audio(FRAME)]


async def _drain(driver: Driver, host: Host) -> None:
    await driver.blocking(lambda: host.do(lambda server: server.pure.end(Code.DRAINING)))


@scenario
async def test_a_drain_and_a_cut_are_come_back_from_by_ticket(driver: Driver, host: Host) -> None:
    box = Box()
    host.ways = [lambda: Echo(tickets=box)]
    conversation = driver.calls(host.url, give_up_after=20)
    reasons, resumed = [], []
    async for leg in conversation:
        async with leg as call:
            reasons.append(type(leg.reason))
            resumed.append(call.statistics.is_resumed)
            await _say_one(call)
            if len(reasons) == 1:
                await _drain(driver, host)
                await read_all(call)
            elif len(reasons) == 2:
                await driver.blocking(host.break_off)
                await read_all(call)
    assert reasons == [type(None), Draining, CallTruncated]
    assert resumed == [False, True, True]
    assert (conversation.legs, conversation.reconnects, conversation.resumptions) == (3, 2, 2)
    assert len(conversation._conversation._settings.tickets) == 0


@scenario
async def test_attempts_that_fail_on_the_way_back_are_made_again(driver: Driver, host: Host) -> None:
    host.ways = [Echo, None, lambda: PureServer(answer=lambda websocket: websocket.refuse(503, "draining")), Echo]
    async for leg in driver.calls(host.url, give_up_after=20):
        async with leg as call:
            await _say_one(call)
            if leg.reason is None:
                await _drain(driver, host)
                await call.send(FRAME)
                await read_all(call)
    assert host.connections == 4


@scenario
async def test_the_first_call_is_tried_once_and_a_refusal_is_raised(driver: Driver, host: Host) -> None:
    host.ways = [lambda: PureServer(answer=lambda websocket: websocket.refuse(503, "draining"))]
    with pytest.raises(ConnectFailed):
        async for leg in driver.calls(host.url):
            async with leg:
                pass
    assert host.connections == 1
    wanting, alice = ServerConfig(credential_kinds=(1,)), Credentials(Identity("alice"))
    host.ways = [
        lambda: Echo(config=wanting, credentials=alice),
        lambda: PureServer(config=wanting, credentials=Credentials(Code.AUTH_FAILED)),
    ]
    with pytest.raises(AuthFailed):
        async for leg in driver.calls(host.url, token="hunter2"):
            async with leg as call:
                if leg.reason is None:
                    await _drain(driver, host)
                await read_all(call)


@scenario
async def test_without_time_to_come_back_the_end_is_raised(driver: Driver, host: Host) -> None:
    with pytest.raises(Draining):
        async for leg in driver.calls(host.url, give_up_after=0):
            async with leg as call:
                await _drain(driver, host)
                await read_all(call)
    assert host.connections == 1


@scenario
async def test_a_token_in_a_file_is_read_for_each_call_and_wiped(driver: Driver, host: Host, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    credentials = Credentials(Identity("alice"))
    host.ways = [lambda: Echo(config=ServerConfig(credential_kinds=(1,)), credentials=credentials)]
    async for leg in driver.calls(host.url, token=path):
        async with leg as call:
            await _say_one(call)
            if leg.reason is None:
                path.write_text("second")
                await _drain(driver, host)
                await read_all(call)
    assert [value for _, value, _, _ in credentials.asked] == [b"first", b"second"]


@scenario
async def test_a_leg_is_one_call_and_each_is_to_be_entered(driver: Driver, host: Host) -> None:
    conversation = driver.calls(host.url)
    leg = await anext(conversation)
    with pytest.raises(ApiMisuse, match="with"):
        await anext(conversation)
    async with leg as call:
        await _say_one(call)
    with pytest.raises(ApiMisuse, match="cannot be entered again"):
        await leg.__aenter__()


@scenario
async def test_broken_off_while_it_waits_to_come_back(driver: Driver, host: Host) -> None:
    legs = []

    async def converse() -> None:
        async for leg in driver.calls(host.url):
            async with leg as call:
                legs.append(leg)
                await driver.blocking(host.break_off)
                await read_all(call)

    for seconds in (1, 5, 20):  # on a busy machine it may not have had its call yet when it is broken off
        host.ways = [Echo, None]
        assert await driver.cancelled(seconds, converse)
        if legs:
            break
    assert len(legs) == 1
    assert legs[0].reason is None
