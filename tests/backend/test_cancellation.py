"""The Trio shell, cancelled at every step in turn: no task, no socket, and no half of a message is left."""

import json
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from sottovoce.backend import Audio, Call, Ended, MarkPlayed
from sottovoce.backend.serving import Serving
from sottovoce.backend.trio.server import _serve_one
from sottovoce.transport import ClientWebSocket, PeerClosed, TextMessage, WsEvent
from tests.backend.peers import START_TEXT, STOP_TEXT

FRAMES = [bytes([number]) for number in range(4)]
SAID: tuple[str | bytes, ...] = (START_TEXT, *FRAMES, '{"type":"mark","name":"a"}', STOP_TEXT)
ANSWERS: list[object] = [*FRAMES, '{"type":"mark","name":"a"}', '{"type":"json","value":{"n":1}}']


class _CancelAt(trio.abc.Instrument):
    """Cancels its scope after so many steps of the tasks that are looked at."""

    def __init__(self, steps: int, is_looked_at: Callable[[trio.lowlevel.Task], bool]) -> None:
        self.scope = trio.CancelScope()
        self._left = steps
        self._is_looked_at = is_looked_at

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._is_looked_at(task):
            self._left -= 1
            if self._left == 0:
                self.scope.cancel()


async def _bot(call: Call) -> None:
    async for item in call:
        match item:
            case Audio():
                await call.send(item)
            case MarkPlayed(name):
                await call.mark(name)
                await call.json({"n": 1})
            case _:
                pass


async def _talk(theirs: trio.SocketStream, heard: list[WsEvent]) -> None:
    """Be a proxy that says one thing at a time, and reads to the end."""
    websocket = ClientWebSocket("localhost:9000", "/", max_message_bytes=10_000)
    websocket.request()
    left = list(SAID)
    while True:
        try:
            await theirs.send_all(websocket.to_send())
            data = b""
            with trio.move_on_after(0.002):
                data = await theirs.receive_some()
                if not data:
                    return
        except trio.BrokenResourceError:
            return
        events = websocket.receive(data) if data else []
        heard += events
        if websocket.is_open and left:
            message = left.pop(0)
            websocket.send_binary(message) if isinstance(message, bytes) else websocket.send_text(message)
        elif websocket.is_open and not data:
            websocket.close(1000)


async def _sweep(step: Callable[[int], Awaitable[bool]]) -> int:
    living = trio.lowlevel.current_statistics().tasks_living
    for number in range(1, 500):
        finished = await step(number)
        assert trio.lowlevel.current_statistics().tasks_living == living, f"a task leaked at step {number}"
        if finished:
            return number
    raise AssertionError("it never finished")


async def _one_call(
    handler: Callable[[Call], Awaitable[object]], instrument: _CancelAt | None, heard: list[WsEvent]
) -> None:
    """Serve one connection as `serve` does, and talk to it."""
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())

    async def serve() -> None:
        with trio.CancelScope() if instrument is None else instrument.scope:
            try:
                await _serve_one(handler, serving, ours)
            finally:
                await trio.aclose_forcefully(ours)  # as trio.serve_listeners does

    serving = Serving("127.0.0.1", 0, {})
    async with trio.open_nursery() as nursery, theirs:
        nursery.start_soon(serve)
        with trio.fail_after(20):
            await _talk(theirs, heard)
    assert ours.socket.fileno() == -1
    assert not serving._links


async def test_a_server_cancelled_at_every_step() -> None:
    peer = trio.lowlevel.current_task()

    async def step(number: int) -> bool:
        heard: list[WsEvent] = []
        instrument = _CancelAt(number, lambda task: task is not peer)
        trio.lowlevel.add_instrument(instrument)
        try:
            await _one_call(_bot, instrument, heard)
        finally:
            trio.lowlevel.remove_instrument(instrument)
        said = [each.text if isinstance(each, TextMessage) else each for each in heard[1:]]
        messages = [each for each in said if isinstance(each, (str, bytes))]
        assert messages == ANSWERS[: len(messages)]
        assert not instrument.scope.cancelled_caught or len(said) - len(messages) <= 1
        return not instrument.scope.cancelled_caught

    assert await _sweep(step) > 30


@pytest.mark.parametrize("is_told", [True, False])
async def test_what_a_handler_does_cancelled_at_every_step(*, is_told: bool) -> None:
    async def step(number: int) -> bool:
        heard: list[WsEvent] = []
        taken: list[object] = []
        sent: list[bytes] = []
        scopes: list[trio.CancelScope] = []

        async def bot(call: Call) -> None:
            me = trio.lowlevel.current_task()
            instrument = _CancelAt(number, lambda task: task is me)
            scopes.append(instrument.scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                with instrument.scope:
                    async for item in call:
                        taken.append(item)
                        if isinstance(item, Audio):
                            await call.send(item)
                            sent.append(item.payload)
                        elif is_told:
                            await call.json({"n": 1})
                            await call.mark("b")
                        if isinstance(item, MarkPlayed):
                            break
            finally:
                trio.lowlevel.remove_instrument(instrument)
            taken.extend([item async for item in call])

        await _one_call(bot, None, heard)
        assert [item.payload for item in taken if isinstance(item, Audio)] == FRAMES
        assert isinstance(taken[-1], Ended)
        assert not taken[-1].truncated
        assert [each for each in heard if isinstance(each, bytes)] == sent
        for each in heard:
            if isinstance(each, TextMessage):
                json.loads(each.text)
        assert isinstance(heard[-1], PeerClosed)
        return not scopes[0].cancelled_caught

    assert await _sweep(step) > 8
