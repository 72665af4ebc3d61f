"""What is special where the hub serves a line."""

import socket
from typing import cast

import trio
from trio.testing import MockClock

from sottovoce.transport.lines.hub import READABLE, current_hub
from sottovoce.transport.lines.sockets import SocketLine
from tests.transport.lines.ends import MUCH, User, ends, read_all, settle


async def test_ready_with_nothing_there(autojump_clock: MockClock) -> None:
    async with ends("socket") as both:
        assert isinstance(both.line, SocketLine)
        both.line._ready(READABLE)  # the kernel may say so without cause (select(2), BUGS)
        assert both.user.told == []
        both.say(b"now")
        await settle()
        assert both.user.data == b"now"


async def test_what_was_written_before_it_was_begun_leaves(autojump_clock: MockClock) -> None:
    first, second = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
    line, user = SocketLine(first), User()
    line.write(bytes(MUCH))
    assert line.is_clogged
    assert len(await read_all(second, MUCH)) == MUCH
    await settle()
    assert not line.is_clogged
    line.begin(user)
    line.resume()
    await second.send_all(b"hello")
    await settle()
    assert user.told == [b"hello"]
    await line.release()
    await first.aclose()
    await second.aclose()


async def test_the_hub_knows_only_who_wants_something(autojump_clock: MockClock) -> None:
    async with ends("socket") as both:
        users = current_hub().users
        assert len(users) == 1
        both.line.hold()
        assert not users
        both.line.write(bytes(MUCH))
        assert len(users) == 1
        await both.go()
        await settle()
        assert not users  # held, and nothing can be written: not even the end is looked for
        both.line.resume()
        await settle()
        assert not users
        assert both.user.words == ["drained", "lost"]


async def test_a_stream_closed_under_a_line_whose_descriptor_is_another_ones_now(autojump_clock: MockClock) -> None:
    """Our own fault, and yet: it is not the other one who pays for it."""
    async with ends("socket") as first:
        first_descriptor = cast("trio.SocketStream", first.stream).socket.fileno()
        await trio.aclose_forcefully(first.stream)
        async with ends("socket") as second:
            assert cast("trio.SocketStream", second.stream).socket.fileno() == first_descriptor
            first.line.hold()
            await first.line.release()
            second.say(b"served")
            await settle()
            assert second.user.told == [b"served"]
            assert first.user.told == []
