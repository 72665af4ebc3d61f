"""What a line writes: all of it, in order, as room comes; and what it says meanwhile."""

import os

import trio
from trio.testing import MockClock

from tests.transport.lines.ends import MUCH, ends, read_all, settle

SAID = os.urandom(MUCH)


async def test_what_is_written_arrives_in_order(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        for number in range(200):
            both.line.write(b"%d " % number)
        both.line.write(b"")
        assert await read_all(both.peer, 690) == b"".join(b"%d " % number for number in range(200))
        await settle()
        assert not both.line.is_clogged
        assert both.line.sent_bytes >= 690
        assert both.user.words in ([], ["drained"])  # in memory, what is written always has to wait


async def test_what_finds_no_room_waits_and_leaves_in_order(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.write(SAID)
        assert both.line.is_clogged
        both.line.write(b"behind")
        await settle()
        sent = both.line.sent_bytes
        assert sent < MUCH
        assert both.user.told == []
        part = await read_all(both.peer, 1_000_000)
        await settle()
        assert both.line.is_clogged
        assert both.line.sent_bytes > sent  # who takes something is seen to
        rest = await read_all(both.peer, MUCH + 6 - len(part))
        await settle()
        assert part + rest == SAID + b"behind"
        assert not both.line.is_clogged
        assert both.user.words == ["drained"]
        assert both.line.sent_bytes >= MUCH + 6


async def test_who_writes_while_being_told_that_all_has_left(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:

        def write_again() -> None:
            if len(both.user.words) < 4:
                both.line.write(SAID)

        both.user.on_drained = write_again
        both.line.write(SAID)
        assert len(await read_all(both.peer, 4 * MUCH)) == 4 * MUCH
        await settle()
        assert both.user.words == ["drained"] * 4
        assert not both.line.is_clogged


async def test_reading_goes_on_while_what_is_written_waits(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.write(SAID)
        both.say(b"heard all the same")
        await settle()
        assert both.user.data == b"heard all the same"
        assert both.line.is_clogged


async def test_what_waits_leaves_while_the_line_is_held(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.hold()
        both.line.write(SAID)
        both.say(b"not now")
        await settle()
        assert await read_all(both.peer, MUCH) == SAID
        await settle()
        assert both.user.told == [("drained", None)]


async def test_both_ends_at_once(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = both.line.write
        heard = bytearray()

        async def hear() -> None:
            while True:
                heard.extend(await both.peer.receive_some())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            await both.peer.send_all(SAID[:1_000_000])
            await settle()
            nursery.cancel_scope.cancel()
        assert bytes(heard) == SAID[:1_000_000]
