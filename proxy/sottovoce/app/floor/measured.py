"""What the metrics say of the program itself; and what is measured around a part: how long backends take to connect."""

import platform
from contextlib import AbstractAsyncContextManager
from importlib import metadata
from types import TracebackType

import trio

from sottovoce.observe.metrics import CallMetrics
from sottovoce.relay import BackendDown, CallSink, CallStart, Leg, Route
from sottovoce.transport.probe import openssl_version


def versions() -> dict[str, str]:
    """Give the labels of the build info."""
    return {
        "version": metadata.version("sottovoce"),
        "python": platform.python_version(),
        "openssl": openssl_version(),
        "cryptography": metadata.version("cryptography"),
    }


class MeasuredRoute:
    """A Route whose connecting is measured."""

    def __init__(self, route: Route, metrics: CallMetrics) -> None:
        """Connect by `route`."""
        self.name = route.name
        self.codecs = route.codecs
        self.warnings = route.warnings
        self.plaintext_network = route.plaintext_network
        self._route = route
        self._metrics = metrics

    def connect(self, start: CallStart, sink: CallSink) -> AbstractAsyncContextManager[Leg]:
        """Connect one call; see `Route.connect`."""
        return _Measured(self.name, self._route.connect(start, sink), self._metrics)


class _Measured(AbstractAsyncContextManager[Leg]):
    """Enters and leaves as the connection does; no generator, so that the block's exceptions pass as they are."""

    def __init__(self, route: str, connection: AbstractAsyncContextManager[Leg], metrics: CallMetrics) -> None:
        self._route = route
        self._connection = connection
        self._metrics = metrics

    async def __aenter__(self) -> Leg:
        began = trio.current_time()
        try:
            leg = await self._connection.__aenter__()
        except BackendDown:
            self._metrics.backend_connected(self._route, trio.current_time() - began, succeeded=False)
            raise
        self._metrics.backend_connected(self._route, trio.current_time() - began, succeeded=True)
        return leg

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._connection.__aexit__(kind, error, traceback)
