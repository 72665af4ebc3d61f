"""Who ended a call, and why: a connection that we close for a client's fault is told from one that just ended."""

from collections.abc import Callable

import msgspec
import pytest
import trio
from trio.testing import MockClock

from sottovoce.audit import CallEnded
from sottovoce.edge import Journal
from sottovoce.observe import events as log_events
from sottovoce.observe.metrics import Metrics
from sottovoce.plane import MAX_REPLY_BYTES
from sottovoce.transport import RecordLayer
from sottovoce.transport.limits import MAX_IDLE_FRAMES
from sottovoce.transport.records import RecordCore
from sottovoce.transport.records.limits import HASTY_KEYS
from tests.edge.proxy import Log, Peer, Proxy
from tests.observe.metrics.exercised import VERSIONS, value
from tests.transport.ends import server
from tests.transport.lines.ends import settle

HAND = "/v1/voice/hand"
FRAME = bytes(160)
GARBAGE = b"\x17\x03\x03\x00\x40" + bytes(64)
NOBODY_SAID = "the connection ended and nobody said why"

Says = Callable[[Peer], bytes]


def within_tls(peer: Peer, data: bytes) -> bytes:
    """Give bytes as the client's TLS would send them."""
    peer.tls.core.send(data)
    return peer.tls.core.to_send()


def changes_of_keys(peer: Peer) -> bytes:
    core = peer.tls.core.records
    assert isinstance(core, RecordCore)
    return b"".join(core._update(requests=True) for _ in range(HASTY_KEYS + 1))


def alert(peer: Peer) -> bytes:
    core = peer.tls.core.records
    assert isinstance(core, RecordCore)
    return core._sealed(bytes((2, 20)), b"\x15")


def pings(peer: Peer) -> bytes:
    for _ in range(MAX_IDLE_FRAMES):
        peer.websocket.send_ping(b"")
    return within_tls(peer, peer.websocket.to_send())


FAULTS: dict[str, tuple[Says, str]] = {
    "a flood of changes of keys": (changes_of_keys, "TLS failed: too many changes of keys"),
    "a record that does not open": (lambda _: GARBAGE, "TLS failed: decryption failed or bad record mac"),
    "a flood of pings": (pings, "the peer sent too many frames without completing a message"),
    "a frame without a mask": (
        lambda peer: within_tls(peer, b"\x82\x01x"),
        "the peer broke the WebSocket protocol: incorrect masking",
    ),
    "text that is none": (
        lambda peer: within_tls(peer, b"\x81\x81\0\0\0\0\xff"),
        "the peer sent text that is not UTF-8",
    ),
    "a message too large": (
        lambda peer: within_tls(peer, b"\x82\xff" + (1 << 20).to_bytes(8) + bytes(4)),
        "the peer sent a message of more than",
    ),
}
CASES = [(name, RecordLayer.OWN) for name in FAULTS]
CASES += [(name, RecordLayer.OPENSSL) for name in FAULTS if name != "a flood of changes of keys"]
"""OpenSSL minds no such flood."""


class Counted:
    """A proxy that counts."""

    def __init__(self) -> None:
        self.metrics = Metrics(VERSIONS)
        self.proxy = Proxy()
        journal = Journal(self.log, self.log, metrics=self.metrics.calls)
        self.proxy.services = msgspec.structs.replace(self.proxy.services, journal=journal)

    @property
    def log(self) -> Log:
        return self.proxy.log

    def ended(self, side: str) -> float:
        return value(self.metrics, "sottovoce_ended_sessions_total", code="other", side=side)

    def line(self) -> dict[str, object]:
        (line,) = self.log.named(log_events.SESSION_ENDED)
        return line


@pytest.mark.parametrize(("name", "records"), CASES)
async def test_a_fault_of_the_clients_is_the_reason_and_the_proxy_ended_the_call(
    autojump_clock: MockClock, name: str, records: RecordLayer
) -> None:
    says, reason = FAULTS[name]
    counted = Counted()
    counted.proxy.services.tls.replace(server(records=records))
    async with counted.proxy.called(HAND) as peer:
        await peer.say(FRAME)
        await settle()
        await peer.tls.transport.send_all(says(peer))
        await settle()
        line = counted.line()
        assert (line["code"], line["name"], line["truncated"]) == (1006, "1006", True), "as the backend hears it"
        assert line["side"] == "proxy"
        assert str(line["reason"]).startswith(reason)
        end = counted.proxy.hand.legs[0].end
        assert end is not None
        assert (end.code, end.truncated) == (1006, True)
        ended = counted.log.audit[-1]
        assert isinstance(ended, CallEnded)
        assert (ended.code, ended.side, ended.truncated) == (1006, "proxy", True)
        assert (counted.ended("proxy"), counted.ended("client")) == (1, 0)


@pytest.mark.parametrize("is_said", [True, False])
async def test_what_the_client_ended_is_its_own(autojump_clock: MockClock, *, is_said: bool) -> None:
    counted = Counted()
    async with counted.proxy.called(HAND) as peer:
        await peer.say(FRAME)
        await settle()
        if is_said:
            await peer.tls.transport.send_all(alert(peer))
        else:
            await trio.aclose_forcefully(peer.tls.transport)
        await settle()
    line = counted.line()
    assert (line["code"], line["side"], line["truncated"]) == (1006, "client", True)
    assert line["reason"] == ("the peer ended TLS with alert 20 (bad_record_mac)" if is_said else NOBODY_SAID)
    assert (counted.ended("proxy"), counted.ended("client")) == (0, 1)


async def test_a_client_that_closes_and_gives_a_code_of_ours_is_at_no_fault(autojump_clock: MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        peer.websocket.close(1008)
        await peer.tls.send_all(peer.websocket.to_send())
        await peer.hear_end()
    (line,) = proxy.log.named(log_events.SESSION_ENDED)
    assert (line["code"], line["side"], line["reason"]) == (1008, "client", NOBODY_SAID)


async def test_a_fault_behind_a_good_end_changes_nothing(autojump_clock: MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        peer.voice.close(1000, peer.clock.now())
        await peer.flush()
        await peer.tls.transport.send_all(GARBAGE)
        await settle()
    (line,) = proxy.log.named(log_events.SESSION_ENDED)
    assert (line["code"], line["side"], line["reason"]) == (1000, "client", "ended by the other side")


async def test_a_fault_after_our_own_end_changes_nothing(autojump_clock: MockClock) -> None:
    proxy = Proxy()
    async with proxy.called(HAND) as peer:
        await settle()
        proxy.hand.sinks[0].hung_up("goodbye")
        await settle()
        await peer.tls.transport.send_all(GARBAGE)
        await settle()
    (line,) = proxy.log.named(log_events.SESSION_ENDED)
    assert (line["code"], line["side"], line["reason"]) == (1000, "backend", "goodbye")


@pytest.mark.parametrize(("says", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_in_the_handshake_is_the_reason_of_its_refusal(
    autojump_clock: MockClock, says: Says, reason: str
) -> None:
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        peer = Peer(proxy.connect(nursery), HAND)
        assert await peer.upgrade()
        await peer.tls.transport.send_all(says(peer))
        await settle()
        (line,) = proxy.log.named(log_events.SESSION_REFUSED)
        assert line["code"] == 1006
        assert str(line["reason"]).startswith(reason)
        nursery.cancel_scope.cancel()


async def test_a_client_that_asks_and_does_not_read_the_answers(autojump_clock: MockClock) -> None:
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.lockstep_stream_pair()
        nursery.start_soon(proxy.serve, theirs)
        peer = Peer(ours, HAND)
        await peer.open()
        await settle()
        for _ in range(MAX_REPLY_BYTES // 100):  # each with a message, so that they are not too many in a row
            peer.websocket.send_ping(bytes(125))
            record = peer.voice.seal_audio(FRAME, peer.clock.now())
            assert record is not None
            with trio.move_on_after(0.001):
                await peer.send(record)
            if proxy.log.named(log_events.SESSION_ENDED):
                break
        nursery.cancel_scope.cancel()
    (line,) = proxy.log.named(log_events.SESSION_ENDED)
    assert (line["code"], line["side"]) == (1006, "proxy")
    assert line["reason"] == "the client asks and does not read the answers"
