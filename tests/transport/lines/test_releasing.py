"""A stream given back: at any moment, and then its owner's again."""

import pytest
import trio
from trio.testing import MockClock

from tests.transport.lines.ends import MUCH, Ends, ends, read_all, settle


async def test_nothing_is_told_after_release(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"before")
        await settle()
        await both.line.release()
        both.say(bytes(10_000))
        both.peer_does(both.peer.aclose)
        await settle()
        both.line.resume()
        await settle()
        both.line.hold()
        assert both.user.told == [b"before"]


async def test_its_owner_says_goodbye(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.write(b"the end")
        assert await read_all(both.peer, 7) == b"the end"
        await settle()
        await both.line.release()
        await both.line.release()
        both.line.write(b"too late")
        assert not both.line.is_clogged
        async with trio.open_nursery() as nursery:
            nursery.start_soon(both.stream.aclose)
            assert await read_all(both.peer, 100) == b""  # for TLS a close_notify: else it would raise


async def test_its_owner_goes_on(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"to the line")
        both.line.write(b"from the line")
        assert await read_all(both.peer, 13) == b"from the line"
        await settle()
        await both.line.release()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(both.stream.send_all, b"from the owner")
            assert await read_all(both.peer, 14) == b"from the owner"
            both.say(b"to the owner")
            assert await both.stream.receive_some() == b"to the owner"


async def test_released_while_much_waits(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.line.write(bytes(MUCH))
        await settle()
        await both.line.release()
        assert not both.line.is_clogged
        both.line.write(bytes(MUCH))
        assert not both.line.is_clogged
        if both.is_tls:  # a record has left in part: nothing can follow it
            with pytest.raises(trio.BrokenResourceError):
                await both.stream.send_all(b"more")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(both.stream.aclose)
                with pytest.raises(trio.BrokenResourceError):
                    await read_all(both.peer, 2 * MUCH)


async def test_released_before_it_was_begun(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind, begun=False) as both:
        await both.line.release()
        both.say(b"hello")
        assert await both.stream.receive_some() == b"hello"


@pytest.mark.parametrize("moment", ["received", "drained", "lost"])
async def test_released_because_of_what_was_told(autojump_clock: MockClock, kind: str, moment: str) -> None:
    async with ends(kind) as both, trio.open_nursery() as nursery:

        def release(*_said: object) -> None:
            nursery.start_soon(both.line.release)

        setattr(both.user, f"on_{moment}", release)
        if moment == "drained":
            both.line.write(bytes(MUCH))
            assert len(await read_all(both.peer, MUCH)) == MUCH
        both.say(bytes(16_384))
        if moment == "lost":
            both.peer_does(both.peer.aclose)
        await settle()
        told = list(both.user.told)
        both.say(bytes(16_384))
        await settle()
        assert both.user.told == told


async def test_a_release_that_is_cancelled_is_a_release(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        with trio.CancelScope() as scope:
            scope.cancel()
            await both.line.release()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(both.stream.aclose)
            assert await read_all(both.peer, 100) == b""


@pytest.mark.parametrize("kind", ["socket", "tls on socket"])
async def test_another_connection_with_the_same_descriptor(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as first:
        await first.line.release()
        await trio.aclose_forcefully(first.stream)
        await trio.aclose_forcefully(first.peer)
        async with ends(kind) as second:
            first.line.write(b"for nobody")
            first.line.resume()
            first.line.hold()
            second.say(b"for the second")
            second.line.write(b"from the second")
            assert await read_all(second.peer, 15) == b"from the second"
            await settle()
            assert second.user.told == [b"for the second"]
            assert first.user.told == []


async def test_a_line_that_nobody_keeps_closes_nothing(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind, begun=False) as both:
        del both.line
        both.say(b"hello")
        assert await both.stream.receive_some() == b"hello"
        from_now_on = Ends(both.stream, both.peer)  # for the end of the block
        both.line = from_now_on.line
