"""A route with a connection for each call: dial, run the leg for the length of a block, close within a second.

No task is there for a call: its line pushes, and what falls due is known to the timekeeper.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio

from sottovoce.relay.call import CallSink, CallStart, Leg
from sottovoce.relay.link.dial import Dialer
from sottovoce.relay.link.dialect import Dialect
from sottovoce.relay.link.leg import BackendLeg
from sottovoce.wire import Codec

CLOSE_SECONDS = 1.0
"""For what is queued, the last message, and the backend's half of closing."""

MakeDialect = Callable[[CallStart], Dialect]


class BackendRoute:
    """The `Route` of every adapter that dials for each call."""

    def __init__(  # noqa: PLR0913  a route is what its adapter puts together
        self,
        name: str,
        dialer: Dialer,
        make_dialect: MakeDialect,
        *,
        queue_frames: int,
        codecs: frozenset[Codec] = frozenset(Codec),
        warnings: tuple[str, ...] = (),
        plaintext_network: bool = False,
    ) -> None:
        """`make_dialect` makes a fresh dialect for each call."""
        self.name = name
        self.codecs = codecs
        self.warnings = warnings
        self.plaintext_network = plaintext_network
        self._dialer = dialer
        self._make_dialect = make_dialect
        self._queue_frames = queue_frames

    def connect(self, start: CallStart, sink: CallSink) -> AbstractAsyncContextManager[Leg]:
        """Connect one call; see `Route.connect`."""
        return _Connection(self._dialer, self._make_dialect(start), start, sink, self._queue_frames)

    async def reach(self) -> None:
        """See whether the backend takes a connection, as for a call, and leave.  Raises BackendDown."""
        link = await self._dialer.dial()
        await trio.aclose_forcefully(link.stream)


class _Connection:
    __slots__ = ("_dialect", "_dialer", "_leg", "_queue_frames", "_sink", "_start", "_stream")

    def __init__(self, dialer: Dialer, dialect: Dialect, start: CallStart, sink: CallSink, queue_frames: int) -> None:
        self._dialer = dialer
        self._dialect = dialect
        self._start = start
        self._sink = sink
        self._queue_frames = queue_frames

    async def __aenter__(self) -> BackendLeg:
        link = await self._dialer.dial()
        # No checkpoint from here on, so a cancelled call leaves no socket: either `dial` closes it, or `__aexit__`.
        self._stream = link.stream
        self._leg = BackendLeg(link, self._dialect, self._start, self._sink, self._queue_frames)
        if link.early:
            trio.lowlevel.current_trio_token().run_sync_soon(self._leg.begin)  # when its owner knows it
        else:
            self._leg.begin()  # which tells nobody anything before the next turn
        return self._leg

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave within CLOSE_SECONDS, shielded: a backend that is not told takes a cancelled call as truncated."""
        leg = self._leg
        leg.fall_silent()
        deadline = trio.current_time() + (CLOSE_SECONDS if leg.is_closing else 0)
        with trio.CancelScope(shield=True, deadline=deadline):
            try:
                if leg.is_closing:
                    await leg.wait_finished()
            finally:
                try:
                    await leg.release()
                finally:
                    await self._stream.aclose()
