"""Credentials that take long to judge: in a thread, a few at a time, while the call's records wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding

from sottovoce.session import Credential, Identity, ShownCredential
from sottovoce.transport import CurrentContext, PqPolicy, client_context, server_context
from sottovoce.wire import Code
from tests.edge.proxy import Peer, Proxy
from tests.session.dialogue import Credentials
from tests.transport.certificates import HOST as NAME
from tests.transport.certificates import Authority, authority, leaf

HAND = "/v1/voice/hand"
FRAME = bytes(range(160))


class SlowJudge(Credentials):
    """Puts every credential off, and judges only when the test says so."""

    def __init__(self, verdict: Identity | Code) -> None:
        super().__init__(verdict)
        self.may_judge = threading.Event()
        self.threads: list[int] = []

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        return None

    def judge(self, shown: ShownCredential) -> Identity | Code:
        self.threads.append(threading.get_ident())
        assert self.may_judge.wait(10)
        return self.verdict or Code.INTERNAL


@contextmanager
def slow(verdict: Identity | Code) -> Iterator[tuple[Proxy, SlowJudge]]:
    judge = SlowJudge(verdict)
    try:
        yield Proxy(credentials=judge), judge
    finally:
        judge.may_judge.set()


async def _shown(proxy: Proxy, nursery: trio.Nursery, judge: SlowJudge, judged: int = 1) -> Peer:
    """Give a client whose credential is with the judge."""
    peer = Peer(proxy.connect(nursery), HAND)
    await peer.open()
    while len(judge.threads) < judged:  # noqa: ASYNC110  a thread tells, not a task
        await trio.sleep(0.001)
    return peer


async def test_what_comes_while_a_credential_is_judged_waits_and_is_heard() -> None:
    with slow(Identity("alice")) as (proxy, judge):
        async with trio.open_nursery() as nursery:
            peer = await _shown(proxy, nursery, judge)
            for _ in range(3):
                await peer.say(FRAME)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not proxy.hand.starts
            judge.may_judge.set()
            await peer.close()
        assert judge.threads != [threading.get_ident()]
    assert proxy.hand.starts[0].identity == "alice"
    assert [told[0] for told in proxy.hand.legs[0].told] == ["audio"] * 3


@pytest.mark.parametrize("code", [Code.AUTH_FAILED, Code.POLICY])
async def test_a_refusal_ends_the_handshake_with_its_code(code: Code) -> None:
    with slow(code) as (proxy, judge):
        async with trio.open_nursery() as nursery:
            peer = await _shown(proxy, nursery, judge)
            await peer.say(FRAME)
            judge.may_judge.set()
            closed = await peer.hear_end()
    assert closed is not None
    assert closed.code == code
    assert not proxy.hand.starts


async def test_a_judge_who_takes_too_long_is_not_waited_for(mock_clock: trio.testing.MockClock) -> None:
    with slow(Identity("alice")) as (proxy, judge):
        async with trio.open_nursery() as nursery:
            peer = await _shown_in_still_time(proxy, nursery)
            mock_clock.jump(5.1)
            closed = await peer.hear_end()
            assert closed is not None
            assert closed.code == Code.EXPIRED
            judge.may_judge.set()
    assert not proxy.hand.starts


async def test_so_many_are_judged_at_once_and_the_others_wait(mock_clock: trio.testing.MockClock) -> None:
    with slow(Identity("alice")) as (proxy, judge):
        proxy.services.judging.total_tokens = 1
        async with trio.open_nursery() as nursery:
            peers = [await _shown_in_still_time(proxy, nursery) for _ in range(3)]
            mock_clock.jump(5.1)
            for peer in peers:
                closed = await peer.hear_end()
                assert closed is not None
                assert closed.code == Code.EXPIRED
            judge.may_judge.set()
    assert len(judge.threads) == 1, "the time of the others was over before it was their turn"


async def _shown_in_still_time(proxy: Proxy, nursery: trio.Nursery) -> Peer:
    peer = Peer(proxy.connect(nursery), HAND)
    await peer.open()
    await trio.testing.wait_all_tasks_blocked(0)
    return peer


async def test_cancelled_while_a_credential_is_judged_nothing_is_left() -> None:
    with slow(Identity("alice")) as (proxy, judge):
        async with trio.open_nursery() as nursery:
            await _shown(proxy, nursery, judge)
            nursery.cancel_scope.cancel()
            judge.may_judge.set()
    assert proxy.calls[0]._session.has_ended
    assert proxy.services.judging.borrowed_tokens == 0


async def test_a_client_that_leaves_before_the_verdict() -> None:
    with slow(Identity("alice")) as (proxy, judge):
        async with trio.open_nursery() as nursery:
            peer = await _shown(proxy, nursery, judge)
            await trio.aclose_forcefully(peer.tls.transport)
            judge.may_judge.set()
    assert all(leg.end is not None for leg in proxy.hand.legs)


@pytest.mark.protocol("P4.19")
@pytest.mark.parametrize("shows", [True, False])
async def test_the_judge_is_shown_the_certificate_of_the_outer_tls(
    autojump_clock: trio.testing.MockClock, *, shows: bool
) -> None:
    mine = Authority("Somebody").issue(subject="some client")
    context = client_context(NAME, pq=PqPolicy.PREFER, ca_pem=authority().pem, identity=mine if shows else None)
    proxy = Proxy()
    proxy.services = msgspec.structs.replace(
        proxy.services,
        tls=CurrentContext(server_context(leaf(), pq=PqPolicy.PREFER, request_client_certificate=True)),
        credential_kinds=(3,),
    )
    async with trio.open_nursery() as nursery:
        peer = Peer(proxy.connect(nursery), HAND, context=context)
        await peer.open(credential=Credential(kind=3, certificate_sha256=mine.certificate_sha256))
        if shows:
            await peer.close()
        else:
            closed = await peer.hear_end()
            assert closed is not None
            assert closed.code == Code.AUTH_FAILED
    der = mine.certificate.public_bytes(Encoding.DER)
    assert [shown.certificate for shown in proxy.credentials.shown] == ([der] if shows else [])
