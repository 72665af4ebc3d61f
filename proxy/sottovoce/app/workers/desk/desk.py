"""`Desk`: one end of the socketpair between the supervisor and a worker.  Both ends are the same.

    tell      says something, in order, and never waits        ask    has a question answered
    run       takes what the other end says, until it has gone

What waits to be sent has no bound of its own: a worker says a few things for each call, and lets none in before its
`Settle` is answered, which stands behind all of them.
"""

import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import trio

from sottovoce.app.workers.desk.codec import DeskBroken, Frame, FrameReader, encode_frame
from sottovoce.app.workers.desk.messages import (
    ANSWERS,
    KINDS,
    Answer,
    Cancel,
    Pause,
    Refused,
    WorkerFault,
    decode_body,
    refusal_of,
)
from sottovoce.primitives import SottovoceError, wipe_bytes

_RECEIVE_BYTES = 262_144
Reply = TypeVar("Reply", bound=msgspec.Struct)
Hear = Callable[[msgspec.Struct], None]
"""Takes what is told; quick, and never raises."""
Answerer = Callable[[msgspec.Struct], Awaitable[msgspec.Struct]]
"""Answers a question; an error is told whoever asked.  Cancelled when that one has gone."""


class DeskClosed(SottovoceError):
    """The other end has gone."""


class _Asked:
    """A question without an answer yet."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.answer: msgspec.Struct | None = None


class Desk:
    """One end.  `run` until the other one has gone; what is asked or told before goes out when it begins."""

    def __init__(self, channel: socket.socket, *, asked: int = 0) -> None:
        """Take the socket, which is closed with `close`; `asked` is what it was where somebody else was at this end."""
        channel.setblocking(False)  # noqa: FBT003  its only argument
        self._channel = channel
        self._reader = FrameReader()
        self._outbox: deque[bytes] = deque()
        self._written = 0
        self._held: deque[bytes] | None = None
        """What waits for `release`, while it does."""
        self._has_gone = False
        self._is_mute = False
        self._trouble: DeskBroken | None = None
        self._sender = trio.lowlevel.ParkingLot()
        self._empty = trio.lowlevel.ParkingLot()
        self._waiting: dict[int, _Asked] = {}
        self.asked = asked
        """The number of the last question."""
        self._answering: dict[int, trio.CancelScope] = {}

    @property
    def descriptor(self) -> int:
        """The socket's number."""
        return self._channel.fileno()

    @property
    def has_gone(self) -> bool:
        """Whether nothing is heard there any more."""
        return self._has_gone

    def tell(self, message: msgspec.Struct) -> None:
        """Say something; where nobody is there any more it is lost.  Raises DeskBroken for what is too large."""
        self._send(0, message)

    async def ask(self, question: msgspec.Struct, kind: type[Reply]) -> Reply:
        """Have a question answered.  Raises what the other end says, DeskClosed, DeskBroken; cancelled, it is told."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._has_gone:
            raise DeskClosed("the other end of the desk has gone")
        self.asked = number = self.asked + 1
        asked = self._waiting[number] = _Asked()
        try:
            self._send(number, question)
            await asked.done.wait()
        except trio.Cancelled:
            self._send(number, Cancel())
            raise
        finally:
            del self._waiting[number]
        match asked.answer:
            case None:
                raise DeskClosed("the other end of the desk has gone")
            case Refused() as refused:
                raise refused.to_error()
            case answer if isinstance(answer, kind):
                return answer
            case answer:
                text = f"a {type(question).__name__} was answered by a {type(answer).__name__}"
                raise WorkerFault(text)

    def release(self) -> None:
        """Send what waits since a Pause was answered, and from now on everything."""
        held, self._held = self._held or (), None
        for frame in held:
            self._put(frame)
        self._empty.unpark_all()

    async def released(self) -> None:
        """Wait until nothing is held back: what is said then is heard, or nobody is there any more."""
        while self._held is not None:
            await self._empty.park()

    @property
    def is_quiet(self) -> bool:
        """Whether every question of the other end is answered, and all is sent."""
        return self._has_gone or not (self._answering or self._outbox)

    async def quiet(self) -> None:
        """Wait until it is."""
        while not self.is_quiet:
            await self._empty.park()

    def mute(self) -> None:
        """Say nothing any more: somebody else goes on here, between two frames."""
        self._is_mute = True

    async def run(self, hear: Hear, answer: Answerer) -> None:
        """Take what comes until the other end has gone.  Raises DeskBroken."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_frames)
                async with trio.open_nursery() as answering:
                    await self._take_frames(hear, answer, answering)
                    answering.cancel_scope.cancel()
                nursery.cancel_scope.cancel()
        finally:
            self._end()
        if self._trouble is not None:
            raise self._trouble

    def close(self) -> None:
        """Let go of the socket."""
        self._end()
        trio.lowlevel.notify_closing(self._channel)
        self._channel.close()

    def detach(self) -> None:
        """Let go of the socket without closing it: somebody else has its descriptor."""
        self._channel.detach()

    def _end(self) -> None:
        self._has_gone = True
        for frame in (*self._outbox, *(self._held or ())):
            wipe_bytes(frame)
        self._outbox.clear()
        self._held = None
        self._reader.forget()
        for asked in self._waiting.values():
            asked.done.set()
        self._empty.unpark_all()

    async def _take_frames(self, hear: Hear, answer: Answerer, answering: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._channel)
            try:
                data = self._channel.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not data:
                return
            try:
                for frame in self._received(data):
                    self._take(frame, hear, answer, answering)
            except DeskBroken as error:
                self._trouble = error
                return

    def _received(self, data: bytes) -> list[Frame]:
        try:
            return self._reader.receive(data)
        finally:
            wipe_bytes(data)

    def _take(self, frame: Frame, hear: Hear, answer: Answerer, answering: trio.Nursery) -> None:
        kind = KINDS.get(frame.kind)
        if kind is None:
            if frame.number:
                self._send(frame.number, Refused(WorkerFault.__name__, f"{frame.kind[:40]!a} is not known here"))
            return
        if kind is Cancel:
            if (scope := self._answering.get(frame.number)) is not None:
                scope.cancel()
            return
        try:
            message = decode_body(kind, frame.body)
        finally:
            wipe_bytes(frame.body)
        if not frame.number:
            hear(message)
        elif not isinstance(message, ANSWERS):
            scope = self._answering[frame.number] = trio.CancelScope()
            answering.start_soon(self._answer, frame.number, scope, message, answer)
        elif (asked := self._waiting.get(frame.number)) is not None:
            asked.answer = message
            asked.done.set()
        elif isinstance(message, Answer):  # too late for whoever asked
            wipe_bytes(message.fields)

    async def _answer(self, number: int, scope: trio.CancelScope, question: msgspec.Struct, answer: Answerer) -> None:
        try:
            with scope:
                try:
                    reply = await answer(question)
                except SottovoceError as error:
                    reply = refusal_of(error)
                self._send(number, reply)
                if isinstance(reply, Answer):
                    wipe_bytes(reply.fields)
                if isinstance(question, Pause) and self._held is None:
                    self._held = deque()
        finally:
            del self._answering[number]
            self._tell_empty()

    def _send(self, number: int, message: msgspec.Struct) -> None:
        if self._has_gone or self._is_mute:
            return
        frame = encode_frame(type(message).__name__, number, message)
        if self._held is None:
            self._put(frame)
        else:
            self._held.append(frame)

    def _put(self, frame: bytes) -> None:
        self._outbox.append(frame)
        if len(self._outbox) == 1:
            self._write()
        if self._outbox:
            self._sender.unpark_all()

    async def _send_frames(self) -> None:
        while True:
            while self._outbox:
                await trio.lowlevel.wait_writable(self._channel)
                self._write()
            await self._sender.park()

    def _write(self) -> None:
        """Send what is taken now; that nobody is there any more is the reader's to see."""
        try:
            while self._outbox:
                frame = self._outbox[0]
                self._written += self._channel.send(memoryview(frame)[self._written :])
                if self._written < len(frame):
                    return
                self._written = 0
                wipe_bytes(self._outbox.popleft())
        except BlockingIOError:
            return
        except OSError:
            self._written = 0
            while self._outbox:
                wipe_bytes(self._outbox.popleft())
        self._tell_empty()

    def _tell_empty(self) -> None:
        if not self._outbox and not self._answering:
            self._empty.unpark_all()
