"""How a listener empties itself, and how calls whose credential was withdrawn leave it: in memory."""

import pytest
import trio

from sottovoce.edge import CurrentServices
from sottovoce.session import Identity, events
from sottovoce.transport import CLOSE_SECONDS
from sottovoce.wire import Code
from tests.edge.house import House, house
from tests.edge.proxy import AUTHORITY, Peer, Proxy
from tests.session.dialogue import Credentials

TOLD = events.Ended(Code.DRAINING, "ended by the other side", local=False)


async def _drained(house: House, **times: float) -> float:
    """Drain; give how long it took."""
    began = trio.current_time()
    house.listener.drain(**times)
    await house.is_over.wait()
    return trio.current_time() - began


@pytest.mark.protocol("P10.15", "P7.46")
async def test_every_call_is_told_at_a_moment_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    proxy = Proxy()
    async with house(proxy) as served:
        peers = [await served.peer() for _ in range(10)]
        began = trio.current_time()
        took = await _drained(served, spread_seconds=20.0, stop_seconds=5.0)
    assert all(peer.heard[-1] == TOLD for peer in peers)
    after = sorted(moment - began for moment in served.ended_at.values())
    assert all(2 * place <= moment <= 2 * place + 2.1 for place, moment in enumerate(after))
    assert 18 < took < 20.2, "it does not wait for what has left"
    assert all(not line["truncated"] for line in proxy.log.named("session.ended"))


async def test_a_call_that_does_not_answer_is_cut_off_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async with house(Proxy()) as served:
        peer = Peer(await served.dial())
        await peer.open()
        assert await _drained(served, stop_seconds=3.0) == pytest.approx(3.0, abs=0.1)
        assert CLOSE_SECONDS > 3.0


async def test_a_connection_in_its_handshake_has_until_the_end(autojump_clock: trio.testing.MockClock) -> None:
    async with house(Proxy(), handshake_seconds=60.0) as served:
        await served.dial()
        late = Peer(await served.dial())
        assert await late.upgrade()
        late.begin()
        served.listener.drain(stop_seconds=10.0)
        await trio.sleep(3)
        await late.flush()
        await late.until(lambda: late.voice.has_ended)
        assert late.heard[-1] == TOLD
        await trio.sleep(6.5)
        assert not served.is_over.is_set()
        await trio.sleep(1)
        assert served.is_over.is_set()


async def test_retired_it_takes_nobody_and_calls_stay_for_as_long_as_they_may(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with house(Proxy()) as served:
        one, other = Peer(await served.dial()), await served.peer()
        await one.open()
        began = trio.current_time()
        served.listener.retire(15.0, 0.0, 5.0)
        await trio.sleep(10)
        assert not served.ended_at, "nobody was sent away"
        await one.close()
        await served.is_over.wait()
    assert other.heard[-1] == TOLD
    assert 15 <= served.ended_at[other] - began < 16


async def test_retired_it_ends_with_its_last_call_or_when_it_is_drained(autojump_clock: trio.testing.MockClock) -> None:
    async with house(Proxy()) as served:
        peer = Peer(await served.dial())
        await peer.open()
        served.listener.retire(600.0, 0.0, 5.0)
        await peer.close()
        with trio.fail_after(10):
            await served.is_over.wait()
    async with house(Proxy()) as served:
        peer = await served.peer()
        served.listener.retire(600.0, 0.0, 5.0)
        await trio.sleep(1)
        assert await _drained(served, stop_seconds=3.0) < 3.1
        assert peer.heard[-1] == TOLD


async def test_new_services_are_for_new_calls(autojump_clock: trio.testing.MockClock) -> None:
    before, after = Proxy(), Proxy()
    current = CurrentServices(before.services)
    async with house(before, current) as served:
        old = await served.peer("/v1/voice/hand")
        current.replace(after.services)
        new = await served.peer("/v1/voice/hand")
        await old.say(b"x" * 160)
        await new.say(b"x" * 160)
        await trio.testing.wait_all_tasks_blocked()
        assert [len(proxy.hand.legs[0].told) for proxy in (before, after)] == [1, 1]


class Withdrawing(Credentials):
    """Lets everybody in, and withdraws the names that a test says."""

    def __init__(self, withdrawn: set[str]) -> None:
        super().__init__()
        self.withdrawn = withdrawn
        self.looked_at: list[tuple[bytes, bytes]] = []

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        self.looked_at.append((authority, path))
        return identity.name not in self.withdrawn


@pytest.mark.protocol("P4.22")
async def test_a_withdrawn_credential_ends_its_calls_and_nobody_elses(autojump_clock: trio.testing.MockClock) -> None:
    proxy, credentials = Proxy(), Withdrawing({"alice"})
    async with house(proxy) as served:
        peers: dict[str, Peer] = {}
        for name in ("alice", "bob"):
            proxy.credentials.verdict = Identity(name)
            peers[name] = await served.peer()
        assert served.listener.recheck(credentials) == 1
        await trio.sleep(1)
        assert served.listener.recheck(credentials) == 0
        assert peers["alice"].heard[-1] == events.Ended(Code.EXPIRED, "ended by the other side", local=False)
        assert peers["bob"].voice.is_open
    assert (AUTHORITY.encode(), b"/v1/voice/echo") in credentials.looked_at


@pytest.mark.protocol("P4.22")
async def test_a_credential_that_is_withdrawn_while_the_call_is_being_agreed_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy = Proxy()
    proxy.credentials.still_holds = lambda *_: False  # type: ignore[method-assign]
    async with house(proxy) as served:
        peer = await served.peer("/v1/voice/hand")
        await trio.sleep(1)
        assert peer.heard[-1] == events.Ended(Code.EXPIRED, "ended by the other side", local=False)
        assert not proxy.hand.legs


@pytest.mark.protocol("P4.22")
async def test_a_credential_that_is_withdrawn_while_the_backend_is_dialled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    proxy, credentials = Proxy(), Withdrawing({"alice"})
    proxy.credentials.verdict = Identity("alice")
    proxy.hand.seconds = 2.0
    async with house(proxy) as served:
        peer = await served.peer("/v1/voice/hand")
        await peer.say(b"x" * 160)
        assert served.listener.recheck(credentials) == 1
        await trio.sleep(0.5)
        assert peer.heard[-1] == events.Ended(Code.EXPIRED, "ended by the other side", local=False)
        await trio.sleep(10)
        assert served.listener.calls == 0
    assert all(not leg.told for leg in proxy.hand.legs), "what was held for the backend is not said"
