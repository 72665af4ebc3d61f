"""The batcher on a virtual clock, over nodes that answer as told."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.hsm import HsmBusy, HsmTimeout, HsmUnavailable, TokenLost
from sottovoce.identity import Batcher, BatchEvent, BatchFailed, BatchSigned, RootSignatures, SignRoot, batcher
from sottovoce.identity.certificates import CertificateSets
from sottovoce.session import LeafKind, ServedCertificate, SignatureWanted, Signed, handshake_leaf, merkle_root
from tests.identity.certificates.test_sets import FIRST, SECOND, THIRD, id_of, issued
from tests.pki.fake_token import MOST_OUT, Answering, FakePool, after

VERIFY, REKEY = LeafKind.SERVER_VERIFY, LeafKind.REKEY_VERIFY
EARLIER, CURRENT = issued(FIRST, 0, 3600), issued(SECOND, 0, 3600)


class Shelf:
    """Certificates of `SECOND`, which is current, and of `FIRST`; those of these nodes only."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = set(nodes)
        self._sets = CertificateSets()
        self._sets.take(EARLIER, 0.0)
        self._sets.take(CURRENT, 0.0)

    def under(self, node: str, anchor_id: bytes | None) -> ServedCertificate | None:
        return self._sets.under(node, anchor_id, 0.0) if node in self.nodes else None


def leaf(number: int, certificate: ServedCertificate) -> bytes:
    return handshake_leaf(number.to_bytes(48) + certificate.sha384)


def wanted(number: int, kind: LeafKind = VERIFY, anchor_id: bytes | None = None) -> SignatureWanted:
    return SignatureWanted(kind, anchor_id, partial(leaf, number))


def signatures(question: msgspec.Struct) -> RootSignatures:
    root = cast("SignRoot", question)
    return RootSignatures(b"classical %d " % root.kind + root.root, b"pq " + root.root)


class Bench:
    """A batcher that runs, its nodes, and what it reported."""

    def __init__(self, clock: MockClock, answering: Mapping[str, Answering]) -> None:
        self.pool = FakePool(answering)
        self.shelf = Shelf(*answering)
        self.events: list[BatchEvent] = []
        self.batcher = Batcher(self.pool, self.shelf, self.events.append)
        self._clock = clock
        self._started_at = clock.current_time()
        self.outcomes: dict[int, Signed | Exception] = {}

    async def want(
        self,
        number: int,
        *,
        kind: LeafKind = VERIFY,
        anchor_id: bytes | None = None,
        source: str | None = None,
        seconds: float = 5.0,
    ) -> None:
        """Have leaf `number` signed and keep what comes of it."""
        address = source or f"10.0.0.{number}"
        try:
            self.outcomes[number] = await self.batcher.sign(
                wanted(number, kind, anchor_id), address, self._clock.current_time() + seconds
            )
        except Exception as error:  # noqa: BLE001  the tests look at it
            self.outcomes[number] = error

    @property
    def asked(self) -> list[tuple[float, int]]:
        """When, since the start, and of which kind, roots were asked for."""
        return [(round(at - self._started_at, 6), cast("SignRoot", question).kind) for at, question in self.pool.asked]

    def signed(self, number: int) -> Signed:
        outcome = self.outcomes[number]
        assert isinstance(outcome, Signed), outcome
        return outcome

    def check_proofs(self, *numbers: int, certificate: ServedCertificate = CURRENT["a"]) -> None:
        """See that these have proofs, under this very certificate."""
        for number in numbers:
            signed = self.signed(number)
            proof = signed.proof
            assert signed.certificate is certificate
            assert merkle_root(leaf(number, certificate), proof.path, proof.directions) == proof.root
            assert proof.classical.endswith(proof.root)
            assert proof.pq == b"pq " + proof.root


@asynccontextmanager
async def running(
    clock: MockClock, answering: Answering | Mapping[str, Answering]
) -> AsyncGenerator[tuple[Bench, trio.Nursery]]:
    bench = Bench(clock, answering if isinstance(answering, Mapping) else {"a": answering})
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
    proof = bench.signed(1).proof
    assert (proof.path, proof.directions, proof.root) == ((), (), leaf(1, CURRENT["a"]))


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
        proof = bench.signed(number).proof
        assert proof.classical.startswith(b"classical 2" if number % 2 else b"classical 1")


async def test_as_many_batches_are_under_way_as_the_token_has_threads_and_the_next_goes_on_gathering(
    autojump_clock: MockClock,
) -> None:
    async with running(autojump_clock, after(0.1, signatures)) as (bench, nursery):
        for number in range(15):
            nursery.start_soon(bench.want, number)
            await trio.sleep(0.01)
    bench.check_proofs(*range(15))
    assert bench.pool.most_in_flight == MOST_OUT
    assert len(bench.pool.asked) < 7
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
        for number in range(MOST_OUT):
            nursery.start_soon(bench.want, number)
            await trio.sleep(0.02)
        await bench.want(10, seconds=0.5)
        assert isinstance(bench.outcomes[10], HsmTimeout)
        assert bench.batcher.waiting == 0
    assert len(bench.pool.asked) == MOST_OUT
    assert bench.batcher.batches_served == MOST_OUT


async def test_a_batch_that_all_owners_left_is_given_up_and_makes_room(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(10.0, signatures)) as (bench, _):
        async with trio.open_nursery() as owners:
            for number in range(4):
                owners.start_soon(bench.want, number)
            await trio.sleep(0.5)
            assert bench.pool.in_flight == 1
            owners.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert (bench.pool.in_flight, bench.pool.cancelled, bench.events) == (0, 1, [])


async def test_leaves_that_want_different_anchors_are_signed_apart(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        for number in range(4):
            anchor_id = id_of(SECOND if number % 2 else FIRST)
            nursery.start_soon(lambda number=number, of=anchor_id: bench.want(number, kind=REKEY, anchor_id=of))
    bench.check_proofs(0, 2, certificate=EARLIER["a"])
    bench.check_proofs(1, 3)
    assert [event.leaves for event in bench.events] == [2, 2]


async def test_a_failover_signs_the_leaves_of_the_next_nodes_certificate(autojump_clock: MockClock) -> None:
    dies = after(0.1, TokenLost("gone"))
    async with running(autojump_clock, {"a": dies, "b": after(0.1, signatures)}) as (bench, nursery):
        for number in range(3):
            nursery.start_soon(bench.want, number)
    bench.check_proofs(0, 1, 2, certificate=CURRENT["b"])
    first, second = (cast("SignRoot", question) for _, question in bench.pool.asked)
    assert bench.pool.asked_nodes == ["a", "b"]
    assert first.root != second.root
    (event,) = bench.events
    assert isinstance(event, BatchSigned)
    assert (event.node, event.root, event.leaves) == ("b", second.root, 3)


async def test_a_node_that_is_asked_twice_is_asked_the_same(autojump_clock: MockClock) -> None:
    """Its certificate may have been renewed meanwhile: nobody could tell which question an answer is to."""
    async with running(autojump_clock, {"a": after(0.1, TokenLost("gone")), "b": after(9.0, signatures)}) as (
        bench,
        nursery,
    ):
        nursery.start_soon(bench.want, 1)
        await trio.sleep(0.05)
        assert bench.pool.asked_nodes == ["a"]
        batch = next(iter(bench.pool.asks))
        assert batch("a") == bench.pool.asked[0][1]
        bench.shelf.nodes.remove("a")
        assert batch("a") == bench.pool.asked[0][1]
        nursery.cancel_scope.cancel()


async def test_a_node_without_a_certificate_is_not_asked(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, {"a": after(0.0, signatures), "b": after(0.0, signatures)}) as (bench, nursery):
        bench.shelf.nodes.remove("a")
        nursery.start_soon(bench.want, 1)
    bench.check_proofs(1, certificate=CURRENT["b"])
    assert bench.pool.asked_nodes == ["b"]


@pytest.mark.parametrize(
    ("anchor_id", "reason"),
    [
        (None, "there is no voice certificate that is valid"),
        (id_of(THIRD), "there is no voice certificate that is valid of the anchor under which the session began"),
    ],
)
async def test_where_nobody_has_a_certificate_it_is_told_at_once(
    anchor_id: bytes | None, reason: str, autojump_clock: MockClock
) -> None:
    async with running(autojump_clock, after(0.0, signatures)) as (bench, nursery):
        if anchor_id is None:
            bench.shelf.nodes.clear()
        nursery.start_soon(lambda: bench.want(1, anchor_id=anchor_id))
    assert isinstance(bench.outcomes[1], HsmUnavailable)
    assert str(bench.outcomes[1]) == reason
    assert bench.events == [BatchFailed(VERIFY, 1, reason)]
    assert bench.pool.asked == []
    assert autojump_clock.current_time() < 1


async def test_each_node_adds_its_threads(autojump_clock: MockClock) -> None:
    two = {"a": after(0.1, signatures), "b": after(0.1, signatures)}
    async with running(autojump_clock, two) as (bench, nursery):
        for number in range(15):
            nursery.start_soon(bench.want, number)
            await trio.sleep(0.01)
    assert bench.pool.most_in_flight == 2 * MOST_OUT


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
    bench = Bench(autojump_clock, {"a": after(100.0, signatures)})
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
    assert (bench.batcher.waiting, bench.pool.in_flight) == (0, 0)
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
        assert (bench.batcher.waiting, bench.pool.in_flight) == (0, 0)
        assert len(bench.pool.asked) == (ticks >= 2)
        await bench.want(2)
    bench.check_proofs(2)
