"""A route over shared connections: one to each backend and process, dialled when a call wants it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

import trio

from sottovoce.primitives import one_line
from sottovoce.relay.call import CallSink, CallStart, Leg
from sottovoce.relay.errors import BackendDown, BackendFault
from sottovoce.relay.link.dial import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, RECEIVE_BYTES
from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.connection import SharedConnection
from sottovoce.relay.mux.leg import MuxLeg
from sottovoce.transport import TlsError
from sottovoce.wire import Codec

OpenStream = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the backend, TLS included.  Raises OSError, trio.BrokenResourceError or TlsError."""
_GREETING_BYTES: Final = len(mux.GREETING)


class Backend:
    """One backend: how to reach it, and the connection there is."""

    def __init__(  # noqa: PLR0913  how it is reached, and how it is shared
        self,
        place: str,
        open_stream: OpenStream,
        *,
        attempts: int,
        timeout_seconds: float,
        silence_seconds: float,
        gather_seconds: float = 0.0,
    ) -> None:
        """`place` names it in errors; `timeout_seconds` is for one attempt, the call's `opened` included."""
        self._place = place
        self._open_stream = open_stream
        self._attempts = attempts
        self._timeout_seconds = timeout_seconds
        self._silence_seconds = silence_seconds
        self._gather_seconds = gather_seconds
        self._dialling = trio.Lock()
        self._connection: SharedConnection | None = None

    async def call(self, start: CallStart, sink: CallSink, queue_frames: int) -> MuxLeg:
        """Open a call, which the caller has to `begin`.  Raises BackendDown, the last attempt's."""
        pause_seconds = FIRST_PAUSE_SECONDS
        attempts_left = self._attempts
        while True:
            try:
                return await self._attempt(start, sink, queue_frames)
            except BackendDown:
                attempts_left -= 1
                if attempts_left <= 0:
                    raise
            await trio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, MAX_PAUSE_SECONDS)

    async def reach(self) -> None:
        """See whether the backend greets, and leave.  Raises BackendDown."""
        try:
            with trio.fail_after(self._timeout_seconds):
                stream, _ = await self._dial()
        except trio.TooSlowError:
            raise self._unreachable(f"no answer in {self._timeout_seconds:g} s") from None
        await trio.aclose_forcefully(stream)

    async def _attempt(self, start: CallStart, sink: CallSink, queue_frames: int) -> MuxLeg:
        try:
            with trio.fail_after(self._timeout_seconds):
                leg = await self._ask(await self._connected(), start, sink, queue_frames)
        except trio.TooSlowError:
            raise self._unreachable(f"no answer in {self._timeout_seconds:g} s") from None
        if leg.refusal is not None:
            leg.leave("gave_up", "the call did not begin")
            raise BackendDown(leg.refusal.fault, f"{self._place}: {leg.refusal.detail}")
        return leg

    async def _ask(self, connection: SharedConnection, start: CallStart, sink: CallSink, queue_frames: int) -> MuxLeg:
        answered = trio.Event()
        leg = connection.machine.open(start, sink, queue_frames, trio.current_time(), answered.set)
        try:
            await answered.wait()
        except BaseException:
            leg.leave("gave_up", "the proxy waits for it no longer")
            raise
        return leg

    async def _connected(self) -> SharedConnection:
        """Give the connection, made now if there is none; whoever comes meanwhile waits for it."""
        async with self._dialling:
            connection = self._connection
            if connection is None or not connection.machine.takes_calls:
                stream, early = await self._dial()
                # No checkpoint from here on, so that the stream always has an owner.
                connection = SharedConnection(
                    stream, early, silence_seconds=self._silence_seconds, gather_seconds=self._gather_seconds
                )
                trio.lowlevel.spawn_system_task(connection.run, name="sottovoce mux connection")
                self._connection = connection
            return connection

    async def _dial(self) -> tuple[trio.abc.Stream, bytes]:
        """Connect and greet; give the stream and what came behind the greeting.  Raises BackendDown."""
        try:
            stream = await self._open_stream()
            try:
                return stream, await self._greet(stream)
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
        except (OSError, trio.BrokenResourceError, TlsError) as error:
            raise self._unreachable(one_line(str(error)) or "the connection broke") from error
        except BackendDown as down:
            raise BackendDown(down.fault, f"{self._place}: {down.detail}") from None

    async def _greet(self, stream: trio.abc.Stream) -> bytes:
        await stream.send_all(mux.GREETING)
        heard = b""
        while len(heard) < _GREETING_BYTES:
            data = await stream.receive_some(RECEIVE_BYTES)
            if not data:
                raise BackendDown(BackendFault.UNREACHABLE, "it closed the connection instead of greeting")
            heard += data
            mux.check_greeting_untrusted(heard[:_GREETING_BYTES])
        return heard[_GREETING_BYTES:]

    def _unreachable(self, detail: str) -> BackendDown:
        return BackendDown(BackendFault.UNREACHABLE, f"{self._place}: {detail}")


class MuxRoute:
    """The `Route` of the adapter `mux`."""

    codecs = frozenset(Codec)

    def __init__(
        self,
        name: str,
        backend: Backend,
        *,
        queue_frames: int,
        warnings: tuple[str, ...] = (),
        plaintext_network: bool = False,
    ) -> None:
        """Have all calls of this route on the connection to `backend`."""
        self.name = name
        self.warnings = warnings
        self.plaintext_network = plaintext_network
        self._backend = backend
        self._queue_frames = queue_frames

    def connect(self, start: CallStart, sink: CallSink) -> AbstractAsyncContextManager[Leg]:
        """Connect one call; see `Route.connect`."""
        return _Call(self._backend, start, sink, self._queue_frames)

    async def reach(self) -> None:
        """See whether the backend is there, as for a call, and leave.  Raises BackendDown."""
        await self._backend.reach()


class _Call:
    """A call for the length of a block."""

    __slots__ = ("_backend", "_leg", "_queue_frames", "_sink", "_start")

    def __init__(self, backend: Backend, start: CallStart, sink: CallSink, queue_frames: int) -> None:
        self._backend = backend
        self._start = start
        self._sink = sink
        self._queue_frames = queue_frames

    async def __aenter__(self) -> MuxLeg:
        self._leg = await self._backend.call(self._start, self._sink, self._queue_frames)
        # No checkpoint from here on, so a cancelled call leaves nothing: `call` gives it up, or `__aexit__`.
        try:
            self._leg.begin()
        except Exception as error:  # noqa: BLE001  our own fault, in one call
            self._leg.crash(error)
        return self._leg

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave at once: what was said is the connection's to deliver."""
        self._leg.leave("cut_off", "the proxy ended the call without a word")
