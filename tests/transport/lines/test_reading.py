"""What a line pushes: everything, once, in order, and only while it is wanted."""

import trio
from trio.testing import MockClock

from sottovoce.transport.lines import TURN_BYTES
from tests.transport.lines.ends import ends, settle


async def test_what_the_peer_says_is_pushed_in_order(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"first", b"second", bytes(30_000), b"last")
        await settle()
        assert both.user.data == b"firstsecond" + bytes(30_000) + b"last"
        assert both.user.words == []


async def test_nobody_is_pushed_more_than_a_turn(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(bytes(100_000))
        await settle()
        assert len(both.user.data) == 100_000
        assert max(len(each) for each in both.user.told) <= TURN_BYTES


async def test_nothing_is_pushed_before_resume(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind, begun=False) as both:
        both.line.begin(both.user)
        both.say(b"early")
        await settle()
        assert both.user.told == []
        both.line.resume()
        await settle()
        assert both.user.data == b"early"


async def test_nothing_is_pushed_while_held_and_nothing_is_lost(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"before")
        await settle()
        both.line.hold()
        both.line.hold()
        both.say(b"while held", bytes(20_000))
        await settle()
        assert both.user.data == b"before"
        both.line.resume()
        both.line.resume()
        await settle()
        assert both.user.data == b"beforewhile held" + bytes(20_000)


async def test_who_holds_while_being_told_is_told_nothing_more(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = lambda _data: both.line.hold()
        both.say(bytes(16_384), bytes(16_384))
        both.peer_does(both.peer.aclose)
        turns = 0
        while not both.user.of("lost"):
            await settle()
            turns += 1
            assert len(both.user.told) == turns
            both.line.resume()
        assert len(both.user.data) == 32_768
        assert turns >= 32_768 // TURN_BYTES


async def test_hold_and_resume_in_one_breath(autojump_clock: MockClock, kind: str) -> None:
    def flicker(_data: bytes) -> None:
        both.line.hold()
        both.line.resume()

    async with ends(kind) as both:
        both.user.on_received = flicker
        both.say(bytes(50_000))
        await settle()
        assert len(both.user.data) == 50_000


async def test_others_have_their_turns_between_the_pieces(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as first, ends(kind) as second:
        order: list[int] = []
        first.user.on_received = lambda _data: order.append(1)
        second.user.on_received = lambda _data: order.append(2)
        for both in (first, second):
            both.line.hold()
            both.say(bytes(16_000), bytes(16_000))
        await settle()
        first.line.resume()
        second.line.resume()
        await settle()
        assert order.count(1) >= 8
        assert order.count(2) >= 8
        assert 2 in order[:3]  # nobody finishes before the other has begun
        assert 1 in order[:3]


async def test_answering_while_being_told(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = both.line.write
        both.say(b"one ", b"two ", b"three")
        heard = bytearray()
        with trio.move_on_after(1):
            while True:
                heard += await both.peer.receive_some()
        assert bytes(heard) == b"one two three"
