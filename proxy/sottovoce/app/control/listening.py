"""The proxy's end: takes one order a connection, does it, says what came of it."""

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec
import trio

from sottovoce.app.control.orders import MAX_LINE_BYTES, Done, Order, OrderInvalid, SealState, parse_order, to_line
from sottovoce.app.control.peers import user_of
from sottovoce.hsm import Cluster, TokenState
from sottovoce.hsm.seal import SealStatus, State
from sottovoce.primitives import Secret, SottovoceError, one_line

_BACKLOG = 8
_PATIENCE_SECONDS = 30.0
"""For one connection, from its beginning to its end; a share takes a second."""
_LINE_SECONDS = 2.0
"""For a line to come: whoever connects has it ready, and those who send none keep others waiting no longer."""
_STATES: dict[State, Literal["sealed", "unsealing", "unsealed"]] = {
    State.SEALED: "sealed",
    State.UNSEALING: "unsealing",
    State.UNSEALED: "unsealed",
}


class Sealing(Protocol):
    """The seal, as far as it takes orders.  Both raise a SealError, and there may be none: then SealRefused."""

    @property
    def status(self) -> SealStatus | None:
        """How it stands; None: there is no seal."""
        ...

    async def seal(self, reason: str) -> SealStatus:
        """Seal."""
        ...

    async def offer(self, share: Secret) -> SealStatus:
        """Count a share, which the caller wipes."""
        ...


class Ordered(NamedTuple):
    """What takes orders, and where it tells how it does."""

    tokens: Cluster
    sealing: Sealing
    admin: str = ""


async def serve_control(
    path: Path,
    ordered: Ordered,
    crashed: Callable[[BaseException], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen at `path` until cancelled; `crashed` is told of a bug.  Raises OSError where that cannot be."""
    room = trio.CapacityLimiter(_BACKLOG)

    async def answer(connection: trio.SocketStream) -> None:
        await _answer_one(connection, ordered, crashed, room)

    with _listening(path) as listener:
        accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        task_status.started()
        await trio.serve_listeners(answer, [accepting])  # which waits where no descriptor is left


@contextmanager
def _listening(path: Path) -> Generator[socket.socket]:
    """Give the socket, which only its owner may connect to; what a killed proxy has left in its place is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        # A path of a socket has 107 bytes at most; this one is short, wherever the directory is.
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o600)  # nobody gets in before `listen`
        listener.listen(_BACKLOG)
        yield listener
    finally:
        listener.close()
        os.close(folder)
        path.unlink(missing_ok=True)


async def _answer_one(
    connection: trio.SocketStream,
    ordered: Ordered,
    crashed: Callable[[BaseException], None],
    room: trio.CapacityLimiter,
) -> None:
    with trio.move_on_after(_PATIENCE_SECONDS):
        async with room:
            try:
                if user_of(connection.socket) in {0, os.geteuid()}:
                    done = await _take(connection.socket, ordered)
                    await connection.send_all(to_line(done))
            except (OSError, trio.BrokenResourceError):
                return  # whoever asked has gone
            except Exception as error:  # noqa: BLE001  the calls go on without this order
                crashed(error)


class _Lines:
    """What a connection sends, in one buffer that is overwritten at the end."""

    def __init__(self, connection: trio.socket.SocketType) -> None:
        self._connection = connection
        self._buffer = bytearray(2 * MAX_LINE_BYTES)
        self._begin = self._filled = 0

    async def next(self) -> bytes:
        """Give the next line, which is the caller's to overwrite.  Raises OrderInvalid where there is none."""
        try:
            with trio.fail_after(_LINE_SECONDS):
                end = await self._end()
        except trio.TooSlowError:
            raise OrderInvalid(f"the order has not come within {_LINE_SECONDS:g} s: write one line") from None
        with memoryview(self._buffer) as view:
            line = bytes(view[self._begin : end])
        self._begin = end + 1
        return line

    async def _end(self) -> int:
        while (end := self._buffer.find(b"\n", self._begin, self._filled)) < 0:
            with memoryview(self._buffer) as view:
                got = await self._connection.recv_into(view[self._filled :]) if self._filled < len(view) else 0
            if not got:
                raise OrderInvalid("the order has no end: write one line")
            self._filled += got
        return end

    def wipe(self) -> None:
        self._buffer[:] = bytes(len(self._buffer))


async def _take(connection: trio.socket.SocketType, ordered: Ordered) -> Done:
    tokens, sealing, _ = ordered
    lines = _Lines(connection)
    try:
        order = parse_order(await lines.next())
        if order.do != "unseal":
            return await _do(order, ordered)
        with Secret.take("share", await lines.next()) as share:
            return _seen(tokens, await sealing.offer(share))
    except SottovoceError as error:
        return Done(error=str(error), seal=_state(sealing.status))
    finally:
        lines.wipe()


async def _do(order: Order, ordered: Ordered) -> Done:
    tokens, sealing, admin = ordered
    match order.do:
        case "hold":
            tokens.hold(order.node, one_line(order.reason))
        case "release":
            tokens.release(order.node)
        case "seal":
            return _seen(tokens, await sealing.seal(one_line(order.reason)))
        case _:
            return msgspec.structs.replace(_seen(tokens, sealing.status), admin=admin)
    return _seen(tokens, sealing.status)


def _seen(tokens: Cluster, seal: SealStatus | None) -> Done:
    up = tuple(node.name for node in tokens.status.nodes if node.state is TokenState.UP)
    return Done(up=up, seal=_state(seal))


def _state(seal: SealStatus | None) -> SealState | None:
    if seal is None:
        return None
    return SealState(_STATES[seal.state], seal.reason, seal.have, seal.wanted, seal.count)
