"""The batcher on a virtual clock, over a token that answers as told."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.hsm import WORKERS, HsmBusy, HsmTimeout, HsmUnavailable
from sottovoce.identity import Batcher, BatchEvent, BatchFailed, BatchSigned, RootSignatures, SignRoot, batcher
from sottovoce.session import LeafKind, Proof, handshake_leaf, merkle_root
from tests.pki.fake_token import Answering, FakeToken, after

VERIFY, REKEY = LeafKind.SERVER_VERIFY, LeafKind.REKEY_VERIFY


def leaf(number: int) -> bytes:
    return handshake_leaf(number.to_bytes(48))


def signatures(question: msgspec.Struct) -> RootSignatures:
    root = cast("SignRoot", question)
    return RootSignatures(b"classical %d " % root.kind + root.root, b"pq " + root.root)


class Bench:
    """A batcher that runs, its token, and what it reported."""

    def __init__(self, clock: MockClock, answering: Answering) -> None:
        self.token = FakeToken(answering)
        self.events: list[BatchEvent] = []
        self.batcher = Batcher(self.token, self.events.append)
        self._clock = clock
        self._started_at = clock.current_time()
        self.outcomes: dict[int, Proof | Exception] = {}

    async def want(
        self, number: int, *, kind: LeafKind = VERIFY, source: str | None = None, seconds: float = 5.0
    ) -> None:
        """Have leaf `number` signed and keep what comes of it."""
        address = source or f"10.0.0.{number}"
        try:
            self.outcomes[number] = await self.batcher.sign(
                kind, leaf(number), address, self._clock.current_time() + seconds
            )
        except Exception as error:  # noqa: BLE001  the tests look at it
            self.outcomes[number] = error

    @property
    def asked(self) -> list[tuple[float, int]]:
        """When, since the start, and of which kind, roots were asked for."""
        return [(round(at - self._started_at, 6), cast("SignRoot", question).kind) for at, question in self.token.asked]

    def check_proofs(self, *numbers: int) -> None:
        for number in numbers:
            proof = self.outcomes[number]
            assert isinstance(proof, Proof)
            assert merkle_root(leaf(number), proof.path, proof.directions) == proof.root
            assert proof.classical.endswith(proof.root)
            assert proof.pq == b"pq " + proof.root


@asynccontextmanager
async def running(clock: MockClock, answering: Answering) -> AsyncGenerator[tuple[Bench, trio.Nursery]]:
    bench = Bench(clock, answering)
    async with trio.open_nursery() as background:
        await background.start(bench.batcher.run)
        async with trio.open_nursery() as nursery:
            yield bench, nursery
        background.cancel_scope.cancel()


@pytest.mark.protocol("P6.42")
async def test_leaves_of_ten_milliseconds_share_one_signature(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.05, signatures)) as (bench, nursery):
        for number in range(20):
            nursery.start_soon(bench.want, number)
            await trio.sleep(0.0004)
    bench.check_proofs(*range(20))
    assert bench.asked == [(0.01, VERIFY)]
    assert [type(event) for event in bench.events] == [BatchSigned]
    assert (bench.batcher.batches_served, bench.batcher.leaves_served, bench.batcher.waiting) == (1, 20, 0)


async def test_a_single_leaf_is_its_own_root(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        nursery.start_soon(bench.want, 1)
    proof = bench.outcomes[1]
    assert isinstance(proof, Proof)
    assert (proof.path, proof.directions, proof.root) == ((), (), leaf(1))


async def test_a_full_batch_does_not_wait(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        for number in range(300):
            nursery.start_soon(bench.want, number)
    bench.check_proofs(*range(300))
    assert bench.asked == [(0.0, VERIFY), (0.01, VERIFY)]
    assert [event.leaves for event in bench.events] == [256, 44]


@pytest.mark.protocol("P6.41")
async def test_one_address_gets_eight_places_in_a_batch(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        for number in range(20):
            nursery.start_soon(lambda number=number: bench.want(number, source="flood"))
        nursery.start_soon(bench.want, 100)
    bench.check_proofs(*range(20), 100)
    assert [event.leaves for event in bench.events] == [9, 8, 4]
    assert bench.asked == [(0.01, VERIFY), (0.02, VERIFY), (0.03, VERIFY)]


@pytest.mark.protocol("P6.40")
async def test_kinds_are_signed_apart(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        for number in range(4):
            nursery.start_soon(lambda number=number: bench.want(number, kind=REKEY if number % 2 else VERIFY))
    bench.check_proofs(0, 1, 2, 3)
    assert sorted(kind for _, kind in bench.asked) == [VERIFY, REKEY]
    for number in range(4):
        proof = bench.outcomes[number]
        assert isinstance(proof, Proof)
        assert proof.classical.startswith(b"classical 2" if number % 2 else b"classical 1")


async def test_as_many_batches_are_under_way_as_the_token_has_threads_and_the_next_goes_on_gathering(
    autojump_clock: MockClock,
) -> None:
    async with running(autojump_clock, after(0.1, signatures)) as (bench, nursery):
        for number in range(15):
            nursery.start_soon(bench.want, number)
            await trio.sleep(0.01)
    bench.check_proofs(*range(15))
    assert bench.token.most_in_flight == WORKERS
    assert len(bench.token.asked) < 7
    assert max(event.leaves for event in bench.events) > 5


async def test_a_leaf_past_its_deadline_is_dropped_and_the_others_are_served(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(1.0, signatures)) as (bench, nursery):
        nursery.start_soon(lambda: bench.want(1, seconds=0.5))
        nursery.start_soon(lambda: bench.want(2, seconds=5.0))
        await trio.sleep(0.6)
        assert isinstance(bench.outcomes[1], HsmTimeout)
        assert "before the handshake's time was over" in str(bench.outcomes[1])
    bench.check_proofs(2)
    (event,) = bench.events
    assert isinstance(event, BatchSigned)
    assert (event.leaves, event.served, bench.batcher.leaves_served) == (2, 1, 1)


@pytest.mark.protocol("P6.43")
async def test_a_batch_that_waited_too_long_for_the_hsm_is_not_signed(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(1.0, signatures)) as (bench, nursery):
        for number in range(WORKERS):
            nursery.start_soon(bench.want, number)
            await trio.sleep(0.02)
        await bench.want(10, seconds=0.5)
        assert isinstance(bench.outcomes[10], HsmTimeout)
        assert bench.batcher.waiting == 0
    assert len(bench.token.asked) == WORKERS
    assert bench.batcher.batches_served == WORKERS


async def test_a_batch_that_all_owners_left_is_given_up_and_makes_room(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(10.0, signatures)) as (bench, _):
        async with trio.open_nursery() as owners:
            for number in range(4):
                owners.start_soon(bench.want, number)
            await trio.sleep(0.5)
            assert bench.token.in_flight == 1
            owners.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert (bench.token.in_flight, bench.token.cancelled, bench.events) == (0, 1, [])


@pytest.mark.parametrize("error", [HsmUnavailable("down"), HsmBusy("busy")])
async def test_an_error_reaches_each_owner_as_an_object_of_its_own(
    error: HsmUnavailable | HsmBusy, autojump_clock: MockClock
) -> None:
    async with running(autojump_clock, after(0.1, error)) as (bench, nursery):
        for number in range(3):
            nursery.start_soon(bench.want, number)
    raised = list(bench.outcomes.values())
    assert [(type(each), str(each)) for each in raised] == [(type(error), str(error))] * 3
    assert len({id(each) for each in raised}) == 3
    assert bench.events == [BatchFailed(VERIFY, 3, str(error))]
    assert bench.batcher.batches_served == 0


async def test_too_many_that_wait_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(batcher, "MAX_WAITING", 2)
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        for number in range(2):
            nursery.start_soon(bench.want, number)
        await wait_all_tasks_blocked()
        await bench.want(9)
        assert isinstance(bench.outcomes[9], HsmBusy)
    bench.check_proofs(0, 1)


async def test_whoever_waits_when_the_batcher_ends_is_told(autojump_clock: MockClock) -> None:
    bench = Bench(autojump_clock, after(100.0, signatures))
    async with trio.open_nursery() as nursery, trio.open_nursery() as background:
        await background.start(bench.batcher.run)
        nursery.start_soon(bench.want, 1)
        await trio.sleep(0.02)
        nursery.start_soon(bench.want, 2)
        await wait_all_tasks_blocked()
        background.cancel_scope.cancel()
    assert {number: str(error) for number, error in bench.outcomes.items()} == {
        1: "the proxy ends",
        2: "the proxy ends",
    }


@pytest.mark.parametrize("ticks", range(14))
async def test_cancelled_at_any_moment_nothing_is_left_and_the_others_are_served(
    ticks: int, autojump_clock: MockClock
) -> None:
    """One of two owners is cancelled after so many steps: while it gathers, is in flight, or is being served."""
    async with running(autojump_clock, after(0.03, signatures)) as (bench, nursery):
        with trio.CancelScope() as scope:

            async def cancel() -> None:
                await trio.sleep(ticks * 0.0051)
                scope.cancel()

            nursery.start_soon(cancel)
            nursery.start_soon(bench.want, 2)
            await bench.want(1)
    bench.check_proofs(2)
    assert (bench.batcher.waiting, bench.token.in_flight) == (0, 0)
    assert scope.cancelled_caught is (ticks * 0.0051 < 0.04)
    (event,) = bench.events
    assert isinstance(event, BatchSigned)
    assert event.served == (2 if ticks >= 8 else 1)


@pytest.mark.parametrize("ticks", range(10))
async def test_cancelled_alone_at_any_moment_its_batch_is_given_up(ticks: int, autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.03, signatures)) as (bench, _):
        with trio.move_on_after(ticks * 0.0051):
            await bench.want(1)
        await trio.sleep(1)
        assert (bench.batcher.waiting, bench.token.in_flight) == (0, 0)
        assert len(bench.token.asked) == (ticks >= 2)
        await bench.want(2)
    bench.check_proofs(2)
