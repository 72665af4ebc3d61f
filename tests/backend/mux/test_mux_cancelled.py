"""The Trio shell with two calls on a connection, cancelled at every step: nothing is left, nor half of a frame sent."""

import trio

from sottovoce.backend import Audio, Call
from sottovoce.backend.serving import Serving
from sottovoce.backend.trio.server import _serve_one
from tests.backend.mux.proxies import GREETING, credit, frame, opening, split, stopping
from tests.backend.test_cancellation import _CancelAt, _sweep

SAID = (
    GREETING,
    opening(1) + credit(1, 3),
    opening(2) + credit(2, 1),
    frame("audio", 1, b"\0a"),
    frame("audio", 2, b"\0b") + frame("audio", 2, b"\0c"),
    credit(2, 1),
    stopping(1),
    stopping(2),
)


async def _bot(call: Call) -> None:
    async for item in call:
        match item:
            case Audio():
                await call.send(item)
            case _:
                pass


async def _talk(theirs: trio.SocketStream) -> bytes:
    """Say one thing at a time, then read to the end."""
    heard = b""
    left = list(SAID)
    while True:
        try:
            if left:
                await theirs.send_all(left.pop(0))
            else:
                await theirs.send_eof()
            with trio.move_on_after(0.002):
                while data := await theirs.receive_some():
                    heard += data
                return heard
        except trio.BrokenResourceError:
            return heard


async def test_a_server_cancelled_at_every_step() -> None:
    peer = trio.lowlevel.current_task()

    async def step(number: int) -> bool:
        instrument = _CancelAt(number, lambda task: task is not peer)
        ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
        serving = Serving("127.0.0.1", 0, {"adapter": "mux"})

        async def serve() -> None:
            with instrument.scope:
                try:
                    await _serve_one(_bot, serving, ours)
                finally:
                    await trio.aclose_forcefully(ours)

        trio.lowlevel.add_instrument(instrument)
        try:
            async with trio.open_nursery() as nursery, theirs:
                nursery.start_soon(serve)
                heard = await _talk(theirs)
        finally:
            trio.lowlevel.remove_instrument(instrument)
        assert heard[:8] == GREETING[: len(heard)]
        told, rest = split(heard[8:])
        assert rest == b""
        assert {each for each in told if each[0] == "audio"} <= {
            ("audio", 1, b"\0a"), ("audio", 2, b"\0b"), ("audio", 2, b"\0c"),
        }  # fmt: skip
        assert not serving._links
        if not instrument.scope.cancelled_caught:
            assert sum(each[0] == "audio" for each in told) == 3
        return not instrument.scope.cancelled_caught

    assert await _sweep(step) > 20
