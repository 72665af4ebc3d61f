"""Metrics for whoever asks, however many ask: made once in a while, in one of two formats.

To write all metrics down keeps the event loop, and with it every call, for some milliseconds; thirty who ask at once
would keep it for a tenth of a second.  So there are `REST_SECONDS` between two expositions.  Who asks meanwhile waits
for the next one, and all who wait for it are given the same: nobody is given one that is older than his question.
"""

from collections.abc import Iterable
from typing import Final

import trio

from sottovoce.admin.status import Exposition

REST_SECONDS = 0.2
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
TEXT: Final = "text/plain; version=0.0.4"
_VERSIONS = {"", "1.0.0"}
"""Of OpenMetrics: the one that there is."""


class Scrapes:
    """Asks an Exposition, sparingly."""

    def __init__(self, exposition: Exposition) -> None:
        """Ask this one."""
        self._exposition = exposition
        self._turn = trio.Lock()
        self._rests_until = 0.0
        self._made: dict[str, tuple[float, tuple[bytes, str]]] = {}

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Give the metrics as the header Accept wants them, and their content type."""
        wanted, asked_at = format_of_untrusted(accept), trio.current_time()
        async with self._turn:
            made_at, answer = self._made.get(wanted, (-1.0, (b"", "")))
            if made_at <= asked_at:
                await trio.sleep_until(self._rests_until)
                made_at, answer = trio.current_time(), self._exposition.exposition(wanted)
                self._made[wanted] = made_at, answer
                self._rests_until = trio.current_time() + REST_SECONDS
            return answer


def format_of_untrusted(accept: str) -> str:
    """Give the first of our formats that an Accept header names; TEXT if it names none.  Its words go no further."""
    for kind, *parameters in (_words(each) for each in accept.split(",")):
        if kind == "application/openmetrics-text" and _version(parameters) in _VERSIONS:
            return OPENMETRICS
        if kind == "text/plain":
            break
    return TEXT


def _words(accepted: str) -> list[str]:
    return [word.strip().lower() for word in accepted.split(";")]


def _version(parameters: Iterable[str]) -> str:
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "version":
            return value.strip().strip('"')
    return ""
