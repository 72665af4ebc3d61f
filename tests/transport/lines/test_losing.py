"""How a connection ends, as a line tells it: once, behind all that came."""

import pytest
import trio
from trio.testing import MockClock

from tests.transport.lines.ends import MUCH, Ends, ends, read_all, settle


def is_lost_once(both: Ends) -> bool:
    """Whether the end was told once, and nothing but a `drained` behind it."""
    told = both.user.told
    (place,) = (at for at, each in enumerate(told) if isinstance(each, tuple) and each[0] == "lost")
    return all(each == ("drained", None) for each in told[place + 1 :])


async def test_a_peer_that_closes(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"farewell")
        both.peer_does(both.peer.aclose)
        await settle()
        assert both.user.told == [b"farewell", ("lost", "")]
        both.line.hold()
        both.line.resume()
        await settle()
        assert both.user.told == [b"farewell", ("lost", "")]


async def test_a_peer_that_goes_without_a_word(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"something")
        await settle()
        both.peer_does(both.go)
        await settle()
        assert both.user.data == b"something"
        assert is_lost_once(both)
        if both.is_tls:
            assert both.user.of("lost")[0]  # no close_notify: perhaps there was more


async def test_a_peer_that_closes_while_nobody_listens(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.hold()
        both.say(b"one", b"two")
        both.peer_does(both.peer.aclose)
        await trio.sleep(10)
        assert both.user.told == []
        both.line.resume()
        await settle()
        assert both.user.data == b"onetwo"
        assert is_lost_once(both)


async def test_a_write_that_fails_lets_the_last_words_be_read_first(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.hold()
        both.say(b"last words", bytes(20_000))
        both.peer_does(both.peer.aclose)
        await settle()
        if "memory" in kind:
            both.line.resume()  # in memory, what was not taken before the end is lost with it
            await settle()
            both.line.hold()
        for _ in range(3):
            both.line.write(b"are you there?")
            await trio.sleep(10)
        assert both.user.of("lost") == ([""] if "memory" in kind else [])
        both.line.resume()
        await settle()
        assert both.user.data == b"last words" + bytes(20_000)
        assert is_lost_once(both)


@pytest.mark.parametrize("is_held", [False, True])
async def test_a_peer_that_goes_while_much_waits(autojump_clock: MockClock, kind: str, *, is_held: bool) -> None:
    async with ends(kind) as both:
        both.line.write(bytes(MUCH))
        if is_held:
            both.line.hold()
        await settle()
        assert both.line.is_clogged
        await both.go()
        await settle()
        assert not both.line.is_clogged
        assert "drained" in both.user.words  # whoever waits for it goes on
        if is_held:
            assert both.user.told == [("drained", None)]
            both.line.resume()
        await trio.sleep(2)
        assert is_lost_once(both)
        assert not both.line.is_clogged


async def test_writing_to_nobody(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        await both.go()
        await settle()
        for _ in range(3):
            both.line.write(bytes(100_000))
            await trio.sleep(2)
        assert not both.line.is_clogged
        assert is_lost_once(both)


async def test_a_peer_that_has_said_all_is_still_talked_to(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"that is all")
        both.peer_does(both.say_all)
        await settle()
        assert both.user.told == [b"that is all", ("lost", "")]
        both.line.write(bytes(MUCH))
        both.line.write(b"and more")
        assert await read_all(both.peer, MUCH + 8) == bytes(MUCH) + b"and more"
        await settle()
        assert not both.line.is_clogged
        assert is_lost_once(both)


async def test_a_peer_that_has_said_all_and_goes_while_much_waits(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.peer_does(both.say_all)
        await settle()
        both.line.write(bytes(MUCH))
        await settle()
        await both.go()
        await trio.sleep(2)
        assert not both.line.is_clogged
        assert is_lost_once(both)


async def test_the_end_is_told_behind_what_waits_for_its_turn(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = lambda _data: both.line.hold()
        both.say(bytes(16_384))
        both.peer_does(both.peer.aclose)
        await settle()
        while not both.user.words:
            both.line.resume()
            await settle()
        assert len(both.user.data) == 16_384
        assert both.user.told[-1] == ("lost", "")
