"""The unsealer, a process of its own that gathers shares and opens the PINs; and the proxy's end of it.

Shares pass through the proxy in buffers that are wiped at once.  Here they become `str` and `int`, which cannot be
wiped (see `shares`); the process ends when the PINs are written, or the unsealing is given up, and its memory with it.

It speaks frames over a socketpair: `Begin`, then an `Answer` for each `Offer`.  It ends at the end of the socket, which
comes when the proxy does, makes no core dump and cannot be traced by its own user.
"""

import ctypes
import resource
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

import msgspec
import trio

from sottovoce.hsm.errors import HsmError
from sottovoce.hsm.messages import Failure, FrameReader, decode_message, encode_frame
from sottovoce.hsm.seal.custody import Collector
from sottovoce.hsm.seal.errors import SealError, UnsealingFailed
from sottovoce.hsm.seal.pins import HeldPins, write_pin
from sottovoce.hsm.seal.record import SealRecord
from sottovoce.primitives import Secret, wipe_bytes

_COMMAND = (sys.executable, "-P", "-c", "from sottovoce.hsm.seal.unsealer import run; run()")
_PR_SET_DUMPABLE = 4
_RECEIVE_BYTES = 4096
_GONE = "the process that gathers shares has ended: begin again with the first share"


class Begin(msgspec.Struct, frozen=True):
    """The first frame: the seal, and the inherited descriptor for each node's PIN."""

    record: SealRecord
    descriptors: dict[str, int]


class Offer(msgspec.Struct, frozen=True):
    """A share as it was typed."""

    text: bytes


class Answer(msgspec.Struct, frozen=True):
    """What came of it: how many shares are there, and whether the PINs are written; or what is wrong with it."""

    have: int
    is_open: bool = False
    failure: Failure | None = None


def run() -> None:
    """Be the unsealer; the argument is the number of the inherited socket."""
    _harden()
    channel = socket.socket(fileno=int(sys.argv[1]))
    bodies = _read_frames(channel)
    first = next(bodies, None)
    if first is None:
        return
    begin = decode_message(first, Begin)
    with Collector(begin.record) as collector:
        for body in bodies:
            answer = _answer(collector, decode_message(body, Offer), begin.descriptors)
            channel.sendall(encode_frame(answer))
            if collector.is_complete:
                return


def _answer(collector: Collector, offer: Offer, descriptors: dict[str, int]) -> Answer:
    try:
        with Secret.take("share", offer.text) as text:
            collector.add(text)
        if not collector.is_complete:
            return Answer(collector.have)
        for node, pin in collector.open().items():
            write_pin(descriptors[node], pin)
        return Answer(collector.have, is_open=True)
    except SealError as error:
        return Answer(collector.have, failure=Failure(type(error).__name__, str(error)))


def _read_frames(channel: socket.socket) -> Iterator[bytes]:
    reader = FrameReader()
    while data := channel.recv(_RECEIVE_BYTES):
        bodies = reader.receive(data)
        wipe_bytes(data)
        yield from bodies


def _harden() -> None:
    """Leave no core, be closed to tracers, leave the terminal's signals to the proxy."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Unsealer:
    """The proxy's end: one unsealing.  Whoever makes it runs `tend` until it returns, which reaps the process."""

    def __init__(self, process: trio.Process, channel: socket.socket, record: SealRecord, pins: HeldPins) -> None:
        """Made by `start` only."""
        self.pins = pins
        """What it writes to; its owner's from the moment that it is open."""
        self._process = process
        self._channel = trio.SocketStream(trio.socket.from_stdlib_socket(channel))
        self._reader = FrameReader()
        self._bodies: deque[bytes] = deque()
        descriptors = {node: place.descriptor for node, place in pins.places.items()}
        self._greeting = encode_frame(Begin(record, descriptors))

    @classmethod
    async def start(cls, record: SealRecord) -> Self:
        """Start a process.  Raises UnsealingFailed where none can be had, having left nothing."""
        with ExitStack() as undone:
            try:
                pins = undone.enter_context(HeldPins(record.pins))
                ours, theirs = socket.socketpair()
                undone.enter_context(ours)
                with theirs:
                    process = await trio.lowlevel.open_process(
                        [*_COMMAND, str(theirs.fileno())],
                        pass_fds=(theirs.fileno(), *(place.descriptor for place in pins.places.values())),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
            except OSError as error:
                text = f"the process that gathers shares cannot be started ({error.strerror}): free what is short"
                raise UnsealingFailed(text) from None
            undone.pop_all()
            return cls(process, ours, record, pins)

    async def ask(self, share: Secret) -> Answer:
        """Offer a share.  Raises UnsealingFailed when the process is gone.  Cancelled, it has to be killed."""
        text = share.copy_for_sealing()
        frame = encode_frame(Offer(text))
        wipe_bytes(text)
        try:
            if self._greeting:
                await self._channel.send_all(self._greeting)
                self._greeting = b""
            await self._channel.send_all(frame)
            return await self._receive()
        except (HsmError, trio.BrokenResourceError, trio.ClosedResourceError):
            raise UnsealingFailed(_GONE) from None
        finally:
            wipe_bytes(frame)

    def kill(self) -> None:
        """End it at once, and whoever waits for its answer; what it wrote stays in `pins`."""
        self._process.kill()
        self._channel.socket.close()

    async def tend(self) -> None:
        """Wait until the process has ended; cancelled, end it."""
        try:
            await self._process.wait()
        finally:
            self.kill()
            with trio.CancelScope(shield=True):
                await self._process.wait()

    async def _receive(self) -> Answer:
        while not self._bodies:
            data = await self._channel.receive_some(_RECEIVE_BYTES)
            if not data:
                raise UnsealingFailed(_GONE)
            self._bodies.extend(self._reader.receive(data))
        return decode_message(self._bodies.popleft(), Answer)
