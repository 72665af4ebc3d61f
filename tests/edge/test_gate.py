"""What a listener does with handshakes that stop half-way, with floods, and with balancers: in memory."""

import contextlib

import pytest
import trio

from sottovoce.edge import ListenerConfig
from sottovoce.observe import events as log_events
from sottovoce.wire import Code
from tests.edge.house import House, house
from tests.edge.proxy import Peer, Proxy

FLOOD, HONEST = "192.0.2.1", "198.51.100.1"
TCP4 = bytes.fromhex("0D0A0D0A000D0A515549540A 21 11 000C") + bytes(
    [203, 0, 113, 9, 10, 0, 0, 1, 0xC3, 0xC0, 0x20, 0xFB]
)
UNKNOWN = bytes.fromhex("0D0A0D0A000D0A515549540A 21 00 0000")
LOCAL = bytes.fromhex("0D0A0D0A000D0A515549540A 20 00 0000")


def _refusals(proxy: Proxy) -> list[object]:
    return [line["reason"] for line in proxy.log.named(log_events.CONNECTION_REFUSED)]


async def _is_closed(stream: trio.abc.Stream) -> bool:
    """Whether the other end is closed, without a byte."""
    with trio.move_on_after(0.5):
        return await stream.receive_some() == b""
    return False


async def _call(served: House, host: str) -> Peer:
    peer = Peer(await served.dial(host))
    await peer.open()
    return peer


async def _bad_hello(served: House, host: str) -> Code | None:
    """Send a hello that is none; give the code, or None for a connection that was closed unread."""
    peer = Peer(await served.dial(host))
    try:
        if not await peer.upgrade():
            return None
    except trio.BrokenResourceError:
        return None
    await peer.send(b"\x00\x01\x00\x00\x03\x01\x00\x09")
    closed = await peer.hear_end()
    await peer.tls.aclose()
    assert closed is not None
    return Code(closed.code)


@pytest.mark.protocol("P11.36")
async def test_a_voice_handshake_that_does_not_go_on_keeps_its_place(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, max_handshakes_per_address=2) as served:
        stuck = [Peer(await served.dial(FLOOD)) for _ in range(2)]
        for peer in stuck:
            assert await peer.upgrade()
        assert await _is_closed(await served.dial(FLOOD))
        await trio.sleep(5)
        await _call(served, FLOOD)
    assert _refusals(proxy) == ["max_handshakes_per_address is reached"]


async def test_a_call_that_is_agreed_on_keeps_none(autojump_clock: trio.testing.MockClock) -> None:
    async with house(Proxy(), max_handshakes_per_address=1, max_handshakes=1) as served:
        for _ in range(4):
            await _call(served, FLOOD)
            await trio.testing.wait_all_tasks_blocked()
        assert served.listener.calls == 4


@pytest.mark.protocol("P11.36")
async def test_a_flood_of_half_open_handshakes_gives_its_places_to_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with house(proxy, max_handshakes=20) as served:
        flood = [await served.dial(FLOOD) for _ in range(40)]
        await trio.testing.wait_all_tasks_blocked()
        assert [await _is_closed(stream) for stream in flood[20:]] == [True] * 20
        held = [await _call(served, f"198.51.{number}.1") for number in range(5)]
        assert await _is_closed(flood[0])
        assert not await _is_closed(flood[19])
        assert all(peer.voice.is_open for peer in held)
    assert "max_handshakes is reached, most of it by this prefix" in _refusals(proxy)


async def test_an_evicted_handshake_is_closed_and_told(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, max_handshakes=2) as served:
        first, second = Peer(await served.dial(FLOOD)), Peer(await served.dial(FLOOD))
        assert await first.upgrade()
        assert await second.upgrade()
        await _call(served, HONEST)
        await first.hear_end()
        second.begin()
        await second.flush()
        await second.until(lambda: second.voice.is_open)
    assert _refusals(proxy) == ["max_handshakes is reached, and its place went to another prefix"]
    assert not proxy.log.named(log_events.TASK_CRASHED)


async def test_an_eviction_is_not_lost_as_the_audit_log_has_room_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, has_room = Proxy(), trio.Event()
    monkeypatch.setattr(proxy.log, "settle", has_room.wait)
    async with house(proxy, max_handshakes=2) as served:
        stuck = [Peer(await served.dial(FLOOD)) for _ in range(2)]
        for peer in stuck:
            served.nursery.start_soon(_open_or_not, peer)
        await trio.testing.wait_all_tasks_blocked()
        has_room.set()  # both are on their way, and have not got there
        newcomer = served.listener._gate.begin(HONEST, trio.current_time(), lambda: None)
        assert not isinstance(newcomer, str)
        await trio.testing.wait_all_tasks_blocked()
        assert (served.listener.calls, served.listener._connections) == (1, 1)


@pytest.mark.protocol("P11.36")
async def test_a_flood_of_bad_hellos_from_one_prefix_is_soon_refused_unread_and_another_is_served(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    async with house(
        proxy, max_handshakes_per_second=10, max_prefix_handshakes_per_second=20, bad_hello_weight=10
    ) as served:
        codes = [await _bad_hello(served, f"192.0.2.{number}") for number in range(20)]
        assert codes.count(Code.BAD_RECORD) == 4
        assert codes[4:] == [None] * 16
        for _ in range(10):
            await _call(served, HONEST)
    assert set(_refusals(proxy)) == {"max_prefix_handshakes_per_second is reached"}


async def test_other_limits_hold_for_connections_to_come(autojump_clock: trio.testing.MockClock) -> None:
    async with house(Proxy(), max_handshakes_per_address=1) as served:
        await served.dial(FLOOD)
        served.listener.reconfigure(ListenerConfig(max_handshakes_per_address=2, proxy_protocol_from=(HONEST,)))
        await served.dial(FLOOD)
        assert await _is_closed(await served.dial(FLOOD))
        stream = await served.dial(HONEST)
        await stream.send_all(TCP4)
        await Peer(stream).open()


async def test_a_balancer_names_the_client(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",), max_handshakes_per_address=1) as served:
        stream = await served.dial("10.1.2.3")
        for byte in TCP4:
            await stream.send_all(bytes([byte]))
        await Peer(stream, "/v1/voice/hand").open()
        await trio.testing.wait_all_tasks_blocked()
        assert proxy.hand.starts[0].client_address == "203.0.113.9:50112"
        await served.dial("203.0.113.9")
        second = await served.dial("10.1.2.3")
        await second.send_all(TCP4)
        assert await _is_closed(second), "the limits of an address are those of the client"
    assert proxy.log.named(log_events.CONNECTION_REFUSED)[0]["client"] == "203.0.113.9:50112"


async def test_a_balancer_may_speak_for_itself_without_a_limit(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",), max_handshakes_per_address=1) as served:
        streams = [await served.dial("10.1.2.3") for _ in range(3)]
        for stream in streams:
            await stream.send_all(LOCAL)
        peer = Peer(streams[-1], "/v1/voice/hand")
        await peer.open()
        await trio.testing.wait_all_tasks_blocked()
        assert proxy.hand.starts[0].client_address.startswith("10.1.2.3:")


async def test_whom_a_balancer_cannot_name_is_limited_as_the_balancer(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",), max_handshakes_per_address=1) as served:
        first, second = [await served.dial("10.1.2.3") for _ in range(2)]
        await first.send_all(UNKNOWN)
        await trio.testing.wait_all_tasks_blocked()
        await second.send_all(UNKNOWN)
        assert await _is_closed(second)
    assert _refusals(proxy) == ["max_handshakes_per_address is reached"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 50112 8443\r\n", "PROXY protocol: no header of PROXY protocol version 2"),
        (b"\x16\x03\x01\x02\x00", "PROXY protocol: no header of PROXY protocol version 2"),
        (TCP4[:20], "PROXY protocol: no header came"),
        (b"", "PROXY protocol: no header came"),
    ],
)
async def test_a_balancer_without_its_header_is_closed(
    autojump_clock: trio.testing.MockClock, said: bytes, reason: str
) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",), handshake_seconds=3) as served:
        stream = await served.dial("10.1.2.3")
        await stream.send_all(said)
        await trio.sleep(3.1)
        assert await _is_closed(stream)
    assert _refusals(proxy) == [reason]


async def test_a_balancer_that_hangs_up_is_no_crash(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",)) as served:
        stream = await served.dial("10.1.2.3")
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
    assert not proxy.log.named(log_events.TASK_CRASHED)
    assert len(_refusals(proxy)) == 1


async def test_a_header_of_anybody_else_is_not_believed(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",)) as served:
        stream = await served.dial(FLOOD)
        await stream.send_all(TCP4)
        await trio.testing.wait_all_tasks_blocked()
    assert proxy.log.named(log_events.TLS_REFUSED)[0]["client"].startswith(f"{FLOOD}:")  # type: ignore[attr-defined]


async def test_the_header_and_the_handshake_share_their_time(autojump_clock: trio.testing.MockClock) -> None:
    async with house(Proxy(), proxy_protocol_from=("10.0.0.0/8",), handshake_seconds=10) as served:
        stream = await served.dial("10.1.2.3")
        await trio.sleep(9)
        await stream.send_all(TCP4)
        await trio.sleep(1.1)
        assert await _is_closed(stream)


async def test_a_header_that_is_there_when_its_time_is_over_is_no_crash(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy, proxy_protocol_from=("10.0.0.0/8",), handshake_seconds=10) as served:
        stream = await served.dial("10.1.2.3")
        await stream.send_all(TCP4[:-1])
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(TCP4[-1:])
        autojump_clock.jump(11)  # the reader has been woken
        assert await _is_closed(stream)
    assert not proxy.log.named(log_events.TASK_CRASHED)


async def test_cancelled_at_any_moment_nothing_is_counted_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    for steps in range(0, 80, 4):
        proxy = Proxy()
        async with house(proxy, proxy_protocol_from=("10.0.0.0/8",)) as served:
            streams = [await served.dial(FLOOD), await served.dial("10.1.2.3")]
            await streams[1].send_all(TCP4)
            for stream in streams:
                served.nursery.start_soon(_open_or_not, Peer(stream))
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            served.nursery.cancel_scope.cancel()
        assert (served.listener.calls, served.listener._connections, len(served.listener._gate)) == (0, 0, 0)


async def test_evicted_at_any_moment_it_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    evicted = 0
    for steps in range(0, 80, 4):
        proxy = Proxy()
        async with house(proxy, max_handshakes=1) as served:
            served.nursery.start_soon(_open_or_not, Peer(await served.dial(FLOOD)))
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            is_under_way = bool(len(served.listener._gate))
            newcomer = served.listener._gate.begin(HONEST, trio.current_time(), lambda: None)
            assert not isinstance(newcomer, str)
            await trio.testing.wait_all_tasks_blocked()
            if is_under_way:
                evicted += 1
                assert (served.listener.calls, served.listener._connections, len(served.listener._gate)) == (0, 0, 1)
    assert 0 < evicted < 20, "some were before the first step, or agreed on"


async def _open_or_not(peer: Peer) -> None:
    with contextlib.suppress(trio.BrokenResourceError, AssertionError):
        await peer.open()
