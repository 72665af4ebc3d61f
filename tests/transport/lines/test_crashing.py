"""A user that raises: our own fault, in one call."""

import pytest
import trio
from trio.testing import MockClock

from tests.transport.lines.ends import MUCH, ends, nothing, read_all, settle


class Fault(Exception):
    """Ours."""


def fail(*_said: object) -> None:
    raise Fault


@pytest.mark.parametrize("moment", ["received", "drained", "lost"])
async def test_a_user_that_raises_is_told_so_once_and_nothing_more(
    autojump_clock: MockClock, kind: str, moment: str
) -> None:
    async with ends(kind) as both, ends(kind) as other:
        setattr(both.user, f"on_{moment}", fail)
        if moment == "drained":
            both.line.write(bytes(MUCH))
            await read_all(both.peer, MUCH)
        both.say(bytes(16_384))
        both.peer_does(both.peer.aclose)
        await settle()
        (error,) = both.user.of("crashed")
        assert isinstance(error, Fault)
        told = list(both.user.told)
        assert told[-1] == ("crashed", error)
        both.line.hold()
        both.line.resume()
        both.line.write(b"anything")
        await settle()
        assert both.user.told == told
        other.say(b"served on")
        other.line.write(b"as before")
        assert await read_all(other.peer, 9) == b"as before"
        await settle()
        assert other.user.data == b"served on"


async def test_a_user_that_raises_while_much_waits(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = fail
        both.line.write(bytes(MUCH))
        both.say(b"a word")
        await settle()
        assert both.user.words == ["crashed"]
        both.line.write(b"more")
        with trio.move_on_after(1):
            while await both.peer.receive_some():
                pass
        await settle()
        assert both.user.words == ["crashed"]
        await both.line.release()
        if both.is_tls:  # half a record has left
            with pytest.raises(trio.BrokenResourceError):
                await both.stream.send_all(b"more")


async def test_the_other_end_of_a_batch(autojump_clock: MockClock, kind: str) -> None:
    """Two are ready at once; the first raises, or holds the second."""
    async with ends(kind) as first, ends(kind) as second:
        first.user.on_received = lambda _data: second.line.hold()
        second.user.on_received = lambda _data: first.line.hold()
        for both in (first, second):
            both.say(b"a word")
        await settle()
        assert first.user.data + second.user.data in (b"a word", b"a worda word")  # in memory both may have it at hand
        for both in (first, second):
            both.user.on_received = nothing
            both.line.resume()
        await settle()
        assert first.user.data == second.user.data == b"a word"
