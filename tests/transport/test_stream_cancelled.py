"""`sottovoce.transport.stream`, cancelled at each step."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from sottovoce.transport import TlsStream
from sottovoce.transport.limits import SEND_BYTES
from tests.transport.stepping import run_cancelled_at, sweep
from tests.transport.streams import over, shaken


async def exchange(ours: TlsStream, data: bytes) -> None:
    async with ours:
        await ours.do_handshake()
        await ours.send_all(data)
        heard = b""
        while len(heard) < len(data):
            heard += await ours.receive_some()
        assert heard == data


async def echo(theirs: TlsStream) -> None:
    try:
        async with theirs:
            while data := await theirs.receive_some():
                await theirs.send_all(data)
    except trio.BrokenResourceError:
        pass


@pytest.mark.parametrize("make_transports", [memory_stream_pair, lockstep_stream_pair])
@pytest.mark.parametrize("as_server", [False, True])
async def test_cancelled_at_each_step_nothing_stays_behind(
    make_transports: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]],
    as_server: bool,  # noqa: FBT001  # a parameter of pytest
) -> None:
    data = bytes(2 * SEND_BYTES) if make_transports is memory_stream_pair else b"audio"

    async def attempt(step: int) -> bool:
        ends = over(make_transports())
        mine, other = reversed(ends) if as_server else ends
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, other)
            stopped = await run_cancelled_at(step, lambda: exchange(mine, data))
        # The other end has ended by itself: the transport was closed, whatever the step.
        for end in ends:
            with pytest.raises(trio.ClosedResourceError):
                await end.transport.send_all(b"x")
            with pytest.raises(trio.ClosedResourceError):
                await end.send_all(b"x")
        return stopped

    assert await sweep(attempt) >= 5


async def test_a_cancelled_receive_loses_nothing() -> None:
    async def attempt(step: int) -> bool:
        ours, theirs = await shaken(memory_stream_pair())
        sent = [bytes([each]) * 50 for each in range(20)]
        heard = b""

        async def hear() -> None:
            nonlocal heard
            while True:
                got = await theirs.receive_some(30)
                if not got:
                    return
                heard += got

        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                for message in sent:
                    await ours.send_all(message)
                    await trio.lowlevel.checkpoint()
                await ours.aclose()

            nursery.start_soon(speak)
            stopped = await run_cancelled_at(step, hear)
            await hear()
        assert heard == b"".join(sent)
        return stopped

    assert await sweep(attempt) >= 10


async def test_a_write_cancelled_at_any_step_is_whole_or_breaks_the_stream() -> None:
    async def attempt(step: int) -> bool:
        ours, theirs = await shaken(lockstep_stream_pair())
        heard = b""

        async def hear() -> None:
            nonlocal heard
            with suppress(trio.BrokenResourceError):
                while got := await theirs.receive_some():
                    heard += got

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            stopped = await run_cancelled_at(step, lambda: ours.send_all(b"audio"))
            try:
                await ours.send_all(b"!")
            except trio.BrokenResourceError:
                assert stopped
            else:
                await ours.aclose()
        assert heard in ((b"audio!", b"!") if not stopped else (b"", b"audio", b"!", b"audio!"))
        return stopped

    assert await sweep(attempt) >= 1


@pytest.mark.parametrize("blocked", [False, True])
async def test_closing_that_is_cancelled_closes_the_transport(blocked: bool) -> None:  # noqa: FBT001  # from pytest
    ours, _theirs = await shaken(lockstep_stream_pair())  # where nobody takes the closing alert
    with trio.CancelScope() as scope:
        if not blocked:
            scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.aclose)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        await ours.transport.send_all(b"x")
