"""What happens while the application does nothing: keys turn, silence is noticed, voice that nobody takes gives way."""

import pytest

from sottovoce.client import Audio, CallTruncated, SessionExpired
from sottovoce.client import settings as client_settings
from sottovoce.client.inbox import MAX_AUDIO_FRAMES
from sottovoce.session import ServerConfig
from tests.client.conformance.hosts import Echo, Host
from tests.client.conformance.scenarios import scenario, session_of, take
from tests.client.conformance.words import AnyCall, Driver
from tests.client.servers import FRAME


@scenario
async def test_the_keys_turn_while_nobody_reads_or_sends(driver: Driver, host: Host) -> None:
    host.ways = [lambda: Echo(config=ServerConfig(epoch_seconds=2))]
    async with driver.connect(host.url) as call:
        for _ in range(300):
            if call.statistics.reauthentications:
                break
            await driver.sleep(0.1)
        assert call.statistics.epochs == 2
        assert call.statistics.reauthentications == 1
        await call.send(b"still there")
        assert await take(call, 1) == [Audio(b"still there")]


@scenario
async def test_the_keys_turn_with_what_is_said(driver: Driver, host: Host) -> None:
    host.ways = [lambda: Echo(config=ServerConfig(messages_per_key=16))]
    async with driver.connect(host.url) as call:
        for number in range(40):
            await call.send(bytes([number]))
        assert await take(call, 40) == [Audio(bytes([number])) for number in range(40)]
        assert call.statistics.generations >= 3


@scenario
async def test_a_send_waits_while_the_keys_are_too_old_and_order_is_kept(driver: Driver, host: Host) -> None:
    host.ways = [lambda: Echo(config=ServerConfig(epoch_seconds=2))]
    async with driver.connect(host.url) as call:
        await driver.blocking(host.go_deaf)
        await driver.sleep(1.05)  # before that the server would have no new keys
        call._link._clock.ahead += 1.2
        sent: list[int] = []

        async def say(number: int) -> None:
            await call.send(bytes([number]))
            sent.append(number)

        saying = []
        for number in range(3):
            saying.append(await driver.spawn(lambda number=number: say(number)))
            await until_waiting(driver, call, number + 1)
        assert sent == []

        await driver.blocking(host.hear_again)
        for each in saying:
            await each.result()
        assert sorted(sent) == [0, 1, 2]
        assert await take(call, 3) == [Audio(b"\0"), Audio(b"\1"), Audio(b"\2")]


async def until_waiting(driver: Driver, call: AnyCall, count: int) -> None:
    """Wait until so many wait to send; in the blocking shell they are threads, which begin when they can."""
    await driver.sleep(0.05)
    if driver.name == "sync":
        for _ in range(1_000):
            if len(call._link.sayings) == count:
                return
            await driver.sleep(0.02)
        raise AssertionError("it does not wait")


@scenario
async def test_a_computer_that_slept_through_its_keys_life_ends_the_call(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url, keepalive=float("inf")) as call:
        await call.send(FRAME)
        await take(call, 1)
        call._link._clock.ahead += 400
        with pytest.raises(SessionExpired):
            await call.send(FRAME)


@scenario
async def test_silence_is_noticed(driver: Driver, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_settings, "_LEAST_KEEPALIVE_SECONDS", 0.1)
    async with driver.connect(host.url, keepalive=0.1) as call:
        with pytest.raises(TimeoutError):
            await driver.within(0.6, call)  # pinged, and answered
        assert call.ended is None
        await driver.blocking(host.go_deaf)
        with pytest.raises(CallTruncated, match="nothing was heard"):
            await anext(call)


@scenario
async def test_voice_that_nobody_takes_gives_way_the_oldest_first(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:

        def say_much(_: object) -> None:
            for number in range(MAX_AUDIO_FRAMES + 50):
                host.last.pure.say(number.to_bytes(2))
            session_of(host.last).send_mark("behind", 0.0)
            host.last.pure.settle()

        await driver.blocking(lambda: host.do(say_much))
        for _ in range(1_000):
            if call.statistics.frames_received == MAX_AUDIO_FRAMES + 50:
                break
            await driver.sleep(0.02)
        first, second = await take(call, 2)
        assert first == Audio((50).to_bytes(2), lost_before=50)
        assert second == Audio((51).to_bytes(2))
        assert call.statistics.frames_dropped == 50
