"""What is said arrives, both ways, whatever the loop."""

import pytest

from sottovoce.client import Audio, Clear, Codec, Data, Dtmf, Ended, Json, Mark
from sottovoce.primitives import ApiMisuse
from sottovoce.session import ServerConfig, events
from sottovoce.wire import SENT_CONTROL_FRAMES_BURST
from tests.client.conformance.hosts import Host
from tests.client.conformance.scenarios import check_erased, read_all, says, scenario, session_of, take
from tests.client.conformance.words import Driver
from tests.client.servers import FRAME, PureServer

_MANY = SENT_CONTROL_FRAMES_BURST + 3
_CLOSED_HERE = Ended(1000, "closed by this side", truncated=False, local=True)


@scenario
async def test_audio_goes_and_comes(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        assert call.ended is None
        for number in range(50):
            await call.send(FRAME[:-1] + bytes([number]))
        assert await take(call, 50) == [Audio(FRAME[:-1] + bytes([number])) for number in range(50)]
    assert call.ended == _CLOSED_HERE
    assert [item async for item in call] == [_CLOSED_HERE]
    assert [item async for item in call] == []
    assert call.statistics.frames_sent == call.statistics.frames_received == 50
    assert call.statistics.tls_group == "X25519MLKEM768"
    await driver.blocking(host.until_done)
    assert host.last.pure.ended is not None
    assert host.last.pure.ended.code == 1000
    check_erased(call)


@scenario
async def test_each_kind_of_item(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        for what in (
            lambda session: session.send_mark("greeting", 0.0),
            lambda session: session.send_clear(0.0),
            lambda session: session.send_dtmf(1, 100, 0.0),
            lambda session: session.send_json(b'{"a":1}', 0.0),
        ):
            await driver.blocking(lambda what=what: host.do(says(what)))
        assert await take(call, 4) == [Mark("greeting"), Clear(), Dtmf(1, 100), Json({"a": 1})]


@scenario
async def test_the_users_words_arrive_in_their_order(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        await call.mark_played(Mark("greeting"))
        await call.mark_played("again")
        await call.dtmf(11)
        await call.json({"hello": "you"})
        await call.mute()
        await call.mute(muted=False)
        await call.send(b"a", talk_spurt=True, end_of_turn=True, timestamp=5)
        await take(call, 1)
    kinds = (events.Mark, events.Dtmf, events.Json, events.Mute)
    assert [event for event in host.last.pure.events if isinstance(event, kinds)] == [
        events.Mark("greeting"),
        events.Mark("again"),
        events.Dtmf(11, 160),
        events.Json(b'{"hello":"you"}'),
        events.Mute(muted=True),
        events.Mute(muted=False),
    ]
    assert host.last.pure.audio == [b"\x70\0\0\0\x05a"]


@scenario
async def test_the_audio_alone(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        await driver.blocking(lambda: host.do(lambda server: server.pure.say(b"one")))
        await driver.blocking(lambda: host.do(says(lambda session: session.send_clear(0.0))))
        await driver.blocking(lambda: host.do(lambda server: server.pure.say(b"two")))
        await driver.blocking(lambda: host.do(lambda server: server.pure.end(1000)))
        assert [audio.payload async for audio in call.audio()] == [b"one", b"two"]


@scenario
async def test_control_frames_beyond_the_rate_wait_and_arrive(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        for _ in range(_MANY):
            await call.dtmf(1)
        await call.send(b"")
        await take(call, 1)
    assert sum(isinstance(event, events.Dtmf) for event in host.last.pure.events) == _MANY


@scenario
async def test_a_mistake_of_the_users_does_not_end_the_call(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        with pytest.raises(ApiMisuse):
            await call.send(bytes(641))
        with pytest.raises(ApiMisuse):
            await call.close(17)
        with pytest.raises(ApiMisuse, match="codec=Codec"):
            await call.send_data(b"a")
        await call.send(FRAME)
        assert await take(call, 1) == [Audio(FRAME)]


@scenario
async def test_a_session_of_data(driver: Driver, host: Host) -> None:
    host.ways = [lambda: PureServer(config=ServerConfig(codecs=(Codec.NONE,)))]
    async with driver.connect(host.url, codec=Codec.NONE) as call:
        await call.send_data(b"up")
        await driver.blocking(lambda: host.do(says(lambda session: session.send_data(b"down", 0.0))))
        assert await take(call, 1) == [Data(b"down")]
        with pytest.raises(ApiMisuse, match="send_data"):
            await call.send(FRAME)
    assert [event.data for event in host.last.pure.events if isinstance(event, events.Data)] == [b"up"]


@scenario
async def test_data_that_nobody_takes_waits_on_the_way_and_nothing_is_lost(driver: Driver, host: Host) -> None:
    many = 2000
    host.ways = [lambda: PureServer(config=ServerConfig(codecs=(Codec.NONE,)))]
    async with driver.connect(host.url, codec=Codec.NONE) as call:

        def say_much(server: object) -> None:
            session = session_of(host.last)
            for number in range(many):
                assert session.send_data(number.to_bytes(2), 0.0)
            host.last.pure.settle()

        await driver.blocking(lambda: host.do(say_much))
        await driver.sleep(0.1)
        assert len(call._link.machine._inbox._items) < many
        await call.send_data(b"still there")
        assert await take(call, many) == [Data(number.to_bytes(2)) for number in range(many)]


@scenario
async def test_under_constant_padding_each_frame_waits_for_its_slot(driver: Driver, host: Host) -> None:
    host.ways = [lambda: PureServer(config=ServerConfig(padding=2))]
    async with driver.connect(host.url) as call:
        for number in range(10):
            await call.send(bytes([number]))
    assert [payload[1:] for payload in host.last.pure.audio] == [bytes([number]) for number in range(10)]


@scenario
async def test_two_calls_at_once_and_out_of_order(driver: Driver, host: Host) -> None:
    first, second = driver.connect(host.url), driver.connect(host.url)
    calls = [await first.__aenter__(), await second.__aenter__()]
    for connecting, call in zip((first, second), calls, strict=True):
        await call.send(FRAME)
        assert await take(call, 1) == [Audio(FRAME)]
        await connecting.__aexit__(None, None, None)
        await read_all(call)
    assert [call.ended for call in calls] == [_CLOSED_HERE] * 2
