"""What a listener, its calls and its journal count, in memory; and that none of it tells of anybody."""

from typing import cast

import msgspec
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from sottovoce.edge import CurrentServices, Journal, Listener, ListenerConfig, VoiceCall
from sottovoce.observe import CallCounts
from sottovoce.observe.metrics import Metrics
from sottovoce.session import Identity
from tests.edge.house import house
from tests.edge.proxy import Peer, Proxy
from tests.edge.sockets import MemoryListener
from tests.observe.metrics.exercised import VERSIONS, samples, value
from tests.session.dialogue import Credentials


class Counted:
    """A proxy in memory with metrics."""

    def __init__(self, **proxy: object) -> None:
        self.proxy = Proxy(**proxy)  # type: ignore[arg-type]  # a test's choice
        self.metrics = Metrics(VERSIONS)
        self.metrics.calls.know_routes(["echo", "hand"])
        journal = Journal(self.proxy.log, self.proxy.log, metrics=self.metrics.calls)
        self.current = CurrentServices(msgspec.structs.replace(self.proxy.services, journal=journal))

    def value(self, name: str, **labels: str) -> float:
        return value(self.metrics, f"sottovoce_{name}", **labels)


async def test_a_call_from_its_first_byte_to_its_last(autojump_clock: MockClock) -> None:
    counted = Counted()
    async with house(counted.proxy, counted.current) as served:
        peer = Peer(await served.dial())
        await trio.sleep(0.3)
        assert served.listener.half_open == 1
        await peer.open()
        await trio.testing.wait_all_tasks_blocked()
        assert served.listener.half_open == 0
        assert counted.value("live_sessions") == 1
        assert counted.value("handshake_seconds_count") == 1
        assert counted.value("handshake_seconds_bucket", le="0.25") == 0
        assert counted.value("handshake_seconds_bucket", le="0.5") == 1
        for _ in range(3):
            await peer.say(b"12345678")
        await peer.until(lambda: len(peer.audio) == 3)
        running = served.listener.carried
        await peer.close()
        await peer.tls.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.listener.calls == 0
        assert served.listener.carried == running
    assert running == CallCounts(from_client=3, to_backend=3, to_client=3, generations=1)
    group, suite = "X25519MLKEM768", "X25519MLKEM768_AES256GCM"
    assert counted.value("handshakes_total", tls_group=group, suite=suite, result="full") == 1
    assert counted.value("calls_total", route="echo") == 1
    assert counted.value("ended_sessions_total", code="normal", side="client") == 1
    assert counted.value("live_sessions") == 0
    assert counted.value("peak_sessions") == 1


async def test_what_does_not_become_a_call(autojump_clock: MockClock) -> None:
    counted = Counted()
    async with house(counted.proxy, counted.current, max_handshakes_per_address=1) as served:
        refused = Peer(await served.dial("198.51.100.1"), "/v1/voice/nothing-of-the-kind")
        assert not await refused.upgrade()
        no_tls = await served.dial("198.51.100.2")
        await no_tls.send_all(b"GET / HTTP/1.1\r\n\r\n")
        await no_tls.receive_some()
        stuck = Peer(await served.dial("198.51.100.3"))
        assert await stuck.upgrade()
        second = await served.dial("198.51.100.3")
        assert await second.receive_some() == b""
        await stuck.send(b"\x00\x01\x00\x00\x03\x01\x00\x09")
        await stuck.hear_end()
    assert counted.value("upgrade_refusals_total", status="404") == 1
    assert counted.value("tls_refusals_total", reason="not_tls") == 1
    assert counted.value("connection_refusals_total", reason="max_handshakes_per_address") == 1
    assert counted.value("handshakes_total", tls_group="none", suite="none", result="bad_record") == 1
    assert counted.value("handshake_seconds_count") == 0


async def test_a_flood_is_counted_whole_though_the_log_has_few_lines_of_it(autojump_clock: MockClock) -> None:
    counted = Counted()
    async with house(counted.proxy, counted.current, max_connections=1) as served:
        await served.dial()
        for _ in range(50):
            stream = await served.dial()
            assert await stream.receive_some() == b""
    assert counted.value("connection_refusals_total", reason="max_connections") == 50
    assert len(counted.proxy.log.named("connection.refused")) < 50


async def test_nothing_of_a_caller_is_in_a_scrape(autojump_clock: MockClock) -> None:
    counted = Counted(credentials=Credentials(Identity("odd-identity", None, 0, "odd-credential")))
    async with house(counted.proxy, counted.current) as served:
        stray = Peer(await served.dial("203.0.113.98"), "/v1/voice/odd-route")
        assert not await stray.upgrade()
        peer = Peer(await served.dial("203.0.113.99"), "/v1/voice/echo?odd-query")
        await peer.open(metadata=b'{"odd": "metadata"}')
        await trio.testing.wait_all_tasks_blocked()
        [established] = counted.proxy.log.named("session.established")
        await peer.close()
    assert established["identity"] == "odd-identity"
    assert counted.value("calls_total", route="echo") == 1
    text, _ = counted.metrics.exposition("")
    for word in (b"odd", b"203.0.113", b"50112", str(established["session"]).encode()):
        assert word not in text, word


class FakeCall:
    """As much of a call as a listener adds up."""

    def __init__(self) -> None:
        self.counts = CallCounts()


STEPS = st.lists(st.tuples(st.sampled_from(["come", "carry", "leave"]), st.integers(0, 4), st.integers(0, 50)))


@given(STEPS)
def test_the_sum_of_live_and_ended_calls_never_goes_backwards(steps: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        listener = Listener("listener", ListenerConfig(), MemoryListener().bound)
        calls: list[FakeCall] = []
        total = CallCounts()
        for step, which, frames in steps:
            if step == "come":
                calls.append(FakeCall())
                listener.came(cast("VoiceCall", calls[-1]))
            elif calls and step == "carry":
                carried = CallCounts(from_client=frames, to_client=which, generations=1)
                calls[which % len(calls)].counts += carried
                total += carried
            elif calls:
                gone = calls.pop(which % len(calls))
                listener.left(cast("VoiceCall", gone))
                listener.left(cast("VoiceCall", gone))  # twice is once
                gone.counts += CallCounts(from_client=1)  # and nobody listens to it any more
            assert listener.carried == total

    trio.run(run)


def test_series_are_as_many_before_the_calls_as_a_configuration_makes_them() -> None:
    assert len(list(samples(Counted().metrics))) < 200
