"""Reads and sends that are broken off (by Ctrl-C, in the blocking shell): nothing is lost, nothing is sent twice."""

import gc

import pytest

from sottovoce.client import Audio, CallError
from sottovoce.session import ServerConfig
from tests.client.conformance.hosts import Echo, Host
from tests.client.conformance.scenarios import check_erased, scenario, take
from tests.client.conformance.words import Driver
from tests.client.servers import PureServer

_STEPS = 30


@scenario
async def test_a_read_with_a_time_limit_loses_nothing(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        got: list[object] = []
        for number in range(_STEPS):
            await call.send(bytes([number]))
            for _ in range(20):
                try:
                    got.append(await driver.within(0.0002 * (number % 7), call))
                except TimeoutError:
                    continue
                break
        while len(got) < _STEPS:
            got += await take(call, 1)
        assert got == [Audio(bytes([number])) for number in range(_STEPS)]


@scenario
async def test_a_read_that_is_broken_off_loses_nothing(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:

        async def read() -> None:
            await anext(call)
            raise AssertionError("there was nothing to read")

        for number in range(5):
            assert await driver.cancelled(0.02, read)
            await call.send(bytes([number]))
            assert await take(call, 1) == [Audio(bytes([number]))]


@scenario
async def test_a_send_that_is_broken_off_before_it_may_seal_has_sent_nothing(driver: Driver, host: Host) -> None:
    host.ways = [lambda: Echo(config=ServerConfig(epoch_seconds=2))]
    async with driver.connect(host.url) as call:
        await driver.blocking(host.go_deaf)
        await driver.sleep(1.05)  # before that the server would have no new keys
        call._link._clock.ahead += 1.2
        assert await driver.cancelled(0.1, lambda: call.send(b"broken off"))

        await driver.blocking(host.hear_again)
        await call.send(b"sent")
        assert await take(call, 1) == [Audio(b"sent")]
        assert host.last.pure.audio == [b"\0sent"]
        assert call.statistics.frames_sent == 1


@scenario
async def test_a_server_that_does_not_read_holds_up_who_sends_and_nobody_else(driver: Driver, host: Host) -> None:
    host.ways = [PureServer]
    frame, sent = bytes(1920), 0
    async with driver.connect(host.url, frame_ms=60) as call:
        await driver.blocking(lambda: host.do(lambda server: setattr(server, "reads", False)))

        async def send_on_and_on() -> None:
            nonlocal sent
            while True:
                await call.send(frame)
                sent += 1

        before = -1
        try:
            while sent > before:  # at last there is no room for a single one
                before = sent
                assert await driver.cancelled(0.4, send_on_and_on)
        except CallError:
            assert driver.name == "trio"  # where a write that is broken off is half done
        assert 0 <= call.statistics.frames_sent - sent <= 1
        with pytest.raises(TimeoutError if driver.name != "trio" else CallError):
            await driver.within(0.1, call)
        await driver.cancelled(0.1, call.close)
    check_erased(call)


@scenario
async def test_a_block_left_by_breaking_off_still_says_so(driver: Driver, host: Host) -> None:
    async def block() -> None:
        async with driver.connect(host.url) as call:
            calls.append(call)
            await anext(call)

    calls = []
    for seconds in (0.4, 2, 20):  # on a busy machine it may not have a call yet when it is broken off
        assert await driver.cancelled(seconds, block)
        if calls:
            break
    await driver.blocking(host.until_done)
    assert host.last.pure.ended is not None
    assert host.last.pure.ended.code == 1001
    check_erased(calls[0])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ctrl-C in a finalizer is passed over
@scenario
async def test_broken_off_at_many_moments_nothing_is_left(driver: Driver, host: Host) -> None:
    async def whole() -> None:
        async with driver.connect(host.url) as call:
            for number in range(5):
                await call.send(bytes([number]))
            await call.json({})
            assert await take(call, 5) == [Audio(bytes([number])) for number in range(5)]

    for step in range(25):
        await driver.cancelled(0.001 * step, whole)
    assert not await driver.cancelled(20, whole)
    gc.collect()  # a call that Ctrl-C kept from being taken is let go when it is collected
    await driver.blocking(host.until_done)
    for server in host.servers:
        heard = [payload[1:] for payload in server.pure.audio]
        assert heard == [bytes([number]) for number in range(len(heard))]
