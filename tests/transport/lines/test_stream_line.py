"""What is special where a line needs tasks: streams that break or are closed while a task waits for them."""

import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from sottovoce.transport.lines.streams import StreamLine
from tests.transport.lines.ends import User, nothing, settle
from tests.transport.streams import shaken

GARBAGE = b"\x17\x03\x03\x00\x40" + bytes(64)


async def test_over_tls_what_breaks_it_is_told_behind_what_came(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    peer, stream = await shaken((theirs, ours))
    line, user = StreamLine(stream), User()
    line.begin(user)
    line.resume()
    await peer.send_all(b"good so far")
    user.on_received = lambda _data: line.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send_all, b"held")
        await settle()
        nursery.start_soon(peer.transport.send_all, GARBAGE)
        await settle()
        assert user.words == []
        user.on_received = nothing
        line.resume()
        line.resume()
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert user.data == b"good so farheld"
    (reason,) = user.of("lost")
    assert "bad record mac" in str(reason)
    await line.release()
    await trio.aclose_forcefully(stream)
    await trio.aclose_forcefully(peer)


async def test_broken_while_it_reads_and_told_only_when_resumed(autojump_clock: MockClock) -> None:
    ours, theirs = lockstep_stream_pair()
    peer, stream = await shaken((theirs, ours))
    line, user = StreamLine(stream), User()
    line.begin(user)
    line.resume()
    await settle()
    line.hold()  # while the task is inside a read already
    await theirs.aclose()
    await trio.sleep(5)
    assert user.told == []
    line.resume()
    await settle()
    assert user.words == ["lost"]
    await line.release()
    await trio.aclose_forcefully(stream)
    await trio.aclose_forcefully(peer)


async def test_closed_by_its_owner_while_tasks_wait(autojump_clock: MockClock) -> None:
    ours, theirs = lockstep_stream_pair()
    line, user = StreamLine(ours), User()
    line.begin(user)
    line.resume()
    line.write(b"nobody reads it")
    await settle()
    await ours.aclose()
    await settle()
    assert user.told == []  # its owner knows
    await line.release()
    assert not line.is_clogged
    await theirs.aclose()


class HalfBroken(trio.abc.Stream):
    """Breaks when it is written to, and goes on to be read."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_last_words_have_a_second_of_somebodys_reading(autojump_clock: MockClock) -> None:
    ours, theirs = lockstep_stream_pair()
    line, user = StreamLine(HalfBroken(ours)), User()
    line.begin(user)
    line.resume()
    line.write(b"fails")
    await trio.sleep(0.5)
    assert user.words == ["drained"]
    line.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"last words")
        await trio.sleep(100)
        assert user.words == ["drained"]
        line.resume()
        await settle()
        assert user.data == b"last words"
        await trio.sleep(0.5)
        assert user.words == ["drained"]
        await trio.sleep(1)
        assert user.of("lost") == ["the connection broke"]
        nursery.start_soon(theirs.send_all, b"too late")
        await trio.sleep(1)
        assert user.data == b"last words"
        nursery.cancel_scope.cancel()
    await line.release()
    await trio.aclose_forcefully(ours)
    await theirs.aclose()
