"""A maker of keys and two boxes, as a supervisor and its workers have them: one record, and what is told in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.hsm import HsmUnavailable
from sottovoce.identity import (
    LivingTicketKey,
    SharedRecords,
    TicketKeyErased,
    TicketKeyEvent,
    TicketKeyFailed,
    TicketKeys,
    Tickets,
    prove_ticket_key,
)
from sottovoce.identity.tickets.keys import HAND_OUT_SECONDS, REPLACE_SECONDS
from sottovoce.identity.tickets.shared import PLACES
from sottovoce.transport import SystemEntropy
from tests.identity.tickets.boxes import AUTHORITY, HOUR, PATH, SoftwareToken, state_of
from tests.identity.tickets.test_rotation import TrioClock
from tests.pki.fake_token import FakePool, FakeToken

WIRE = tuple[LivingTicketKey, ...]


class Worker:
    """A box with a pool of its own; hears of keys as bytes."""

    def __init__(self, clock: TrioClock, software: SoftwareToken, descriptor: int) -> None:
        self.clock = clock
        self.events: list[TicketKeyEvent] = []
        self.pool = FakeToken(software.answer)
        self.box = Tickets(
            self.pool,
            records=SharedRecords(descriptor),
            report=self.events.append,
            clock=clock,
            entropy=SystemEntropy(),
        )

    def hear(self, message: bytes) -> None:
        self.box.told(msgspec.msgpack.decode(message, type=WIRE))

    def sealed(self) -> bytes:
        sealed = self.box.seal(state_of(self.clock), self.clock.wall())
        assert sealed is not None
        return sealed.ticket

    def takes(self, ticket: bytes) -> bool:
        return self.box.open(ticket, AUTHORITY, PATH, self.clock.wall()) is not None and self.box.spend(ticket)

    @property
    def key_ids(self) -> set[bytes]:
        return set(self.box._keys)


class Unhurried:
    """An Entropy under which keys are replaced as late as they ever are."""

    def random(self, length_bytes: int) -> bytes:
        return bytes(length_bytes)


class Node:
    """A supervisor and its workers."""

    def __init__(
        self, records: SharedRecords, clock: TrioClock | None = None, software: SoftwareToken | None = None
    ) -> None:
        self.clock = clock or TrioClock()
        self.software = software or SoftwareToken()
        self.records = records
        self.events: list[TicketKeyEvent] = []
        self.workers: list[Worker] = []
        pool = FakeToken(self.software.answer)
        self.maker = TicketKeys(
            pool,
            records=records,
            admit=partial(prove_ticket_key, pool),
            told=self.tell,
            report=self.events.append,
            clock=self.clock,
            entropy=Unhurried(),
        )

    def tell(self, living: WIRE) -> None:
        for each in self.workers:
            each.hear(msgspec.msgpack.encode(living))

    async def begin(self) -> Worker:
        """Start a worker as a supervisor does: it has all living keys opened before it takes calls."""
        worker = Worker(self.clock, self.software, self.records.descriptor)
        self.workers.append(worker)
        worker.hear(msgspec.msgpack.encode(self.maker.living))
        await worker.box.first()
        return worker

    async def run_for(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.maker.run)
                for each in self.workers:
                    nursery.start_soon(each.box.run)


@contextmanager
def new_node() -> Iterator[Node]:
    records = SharedRecords.create()
    try:
        yield Node(records)
    finally:
        records.close()


@pytest.mark.protocol("P6.48", "P11.27")
async def test_a_ticket_of_one_worker_is_taken_by_one_of_all_once(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        one, two = await node.begin(), await node.begin()
        tickets = [worker.sealed() for worker in (one, two) for _ in range(200)]
        assert [two.takes(ticket) for ticket in tickets] == [True] * 400
        assert [one.takes(ticket) for ticket in tickets] == [False] * 400


async def test_a_key_that_is_under_way_at_a_handover_leaves_no_place_taken(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        prove, go_on = node.maker._admit, trio.Event()

        async def slowly(living: LivingTicketKey) -> None:
            await go_on.wait()
            await prove(living)

        node.maker._admit = slowly
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.maker.first)
            await wait_all_tasks_blocked()
            kept = node.maker.hand_over()
            go_on.set()
        assert len(kept) == 1
        taken = {node.records.begin(bytes([number]) * 8) for number in range(PLACES - 1)}
        assert taken == set(range(PLACES)) - {kept[0].place}


async def test_a_worker_that_begins_again_knows_every_living_key_and_what_was_used(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        dead = await node.begin()
        old = [dead.sealed() for _ in range(2)]
        await node.run_for(3_100)
        used, unused = (dead.sealed() for _ in range(2))
        assert dead.takes(used)
        assert dead.takes(old[0])
        assert old[0][1:9] != used[1:9]
        node.workers.remove(dead)
        new = await node.begin()
        assert [new.takes(ticket) for ticket in (*old, used, unused)] == [False, True, False, True]
        assert new.takes(new.sealed())


async def test_a_supervisor_that_takes_over_goes_on_with_the_keys_and_replaces_them_in_time(
    autojump_clock: MockClock,
) -> None:
    with new_node() as old:
        await old.maker.first()
        worker = await old.begin()
        ticket = worker.sealed()
        await old.run_for(2_000)
        new = Node(old.records, old.clock, old.software)
        new.workers.append(worker)
        new.maker.take_over(old.maker.living)
        (first,) = new.maker.living
        assert worker.takes(ticket)
        last = worker.sealed()
        await new.run_for(1_010)
        _, second = new.maker.living
        assert worker.sealed()[1:9] == second.id
        assert not worker.takes(ticket)
        assert worker.takes(last)
        await new.run_for(HOUR)
        assert first.id not in worker.key_ids
        assert TicketKeyErased(first.id.hex(), sealed=2, spent=2) in new.events


async def test_a_new_key_seals_when_every_worker_has_had_the_time_to_open_it(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        one, two = await node.begin(), await node.begin()
        (first,) = node.maker.living
        assert one.sealed()[1:9] == first.id
        await node.run_for(REPLACE_SECONDS + 1)
        _, second = node.maker.living
        assert one.key_ids == two.key_ids == {first.id, second.id}
        assert one.sealed()[1:9] == first.id
        await node.run_for(HAND_OUT_SECONDS)
        ticket = one.sealed()
        assert ticket[1:9] == second.id
        assert two.takes(ticket)


@pytest.mark.protocol("P6.45")
async def test_keys_are_erased_everywhere_when_they_are_over(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        one, two = await node.begin(), await node.begin()
        (first,) = node.maker.living
        ticket = one.sealed()
        assert two.takes(ticket)
        key = one.box._keys[first.id]
        await node.run_for(REPLACE_SECONDS + HAND_OUT_SECONDS + HOUR + 1)
        assert key.is_erased
        assert first.id not in one.key_ids | two.key_ids
        assert TicketKeyErased(first.id.hex(), sealed=1, spent=1) in node.events
        assert [one.events, two.events] == [[], []]
        node.maker.close()
        assert one.key_ids == two.key_ids == set()


async def test_forgotten_they_are_gone_at_once_also_one_that_is_being_opened(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        worker = Worker(node.clock, node.software, node.records.descriptor)
        node.workers.append(worker)
        node.tell(node.maker.living)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.box.first)
            await trio.sleep(0.01)
            node.maker.forget()
        assert worker.key_ids == set()
        assert all(secret.is_wiped for secret in node.software.opened)
        await node.run_for(1)
        assert worker.takes(worker.sealed())


async def test_a_worker_whose_token_is_away_opens_its_key_later_and_says_so_once(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        worker = await node.begin()
        late = Worker(node.clock, node.software, node.records.descriptor)
        late.pool.answering = FakePool({"main": failing}).answering
        node.workers.append(late)
        node.tell(node.maker.living)
        await late.box.first()
        await node.run_for(30)
        assert late.events == [TicketKeyFailed("away", 1.0, seals=False)]
        assert late.box.seal(state_of(node.clock), node.clock.wall()) is None
        assert not late.takes(worker.sealed())
        late.pool.answering = FakeToken(node.software.answer).answering
        await node.run_for(30)
        assert late.takes(worker.sealed())


async def failing(_: object) -> msgspec.Struct:
    raise HsmUnavailable("away")


async def test_a_worker_that_hears_nothing_more_erases_its_keys_in_time(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        worker = await node.begin()
        with trio.move_on_after(2 * HOUR - 70):
            await worker.box.run()
        assert len(worker.key_ids) == 1
        with trio.move_on_after(140):
            await worker.box.run()
        assert worker.key_ids == set()


async def test_a_worker_that_has_not_heard_of_the_end_of_a_key_spends_nothing(autojump_clock: MockClock) -> None:
    with new_node() as node:
        await node.maker.first()
        deaf = await node.begin()
        used, unused = deaf.sealed(), deaf.sealed()
        assert deaf.takes(used)
        node.workers.clear()
        node.maker.forget()
        await node.maker.first()
        assert len(node.maker.living) == 1
        assert not deaf.takes(used)
        assert not deaf.takes(unused)
        assert deaf.box.seal(state_of(node.clock), node.clock.wall()) is None
