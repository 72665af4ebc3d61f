"""From a configuration to a proxy that serves until it is told to stop.

    parts ─▶ ready … SIGHUP: reload … SIGTERM ─▶ drain ─▶ the parts are closed, the last first

Whatever cannot be had at start ends the start with one error and nothing half-done.  Later the proxy goes on as long as
it can: a lost token is replaced, a renewal that fails is tried again, a configuration that is wrong is not taken.
"""

import gc
import signal
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import trio

from sottovoce.app.checking import check_loaded
from sottovoce.app.control import serve_control, socket_path
from sottovoce.app.hardening import harden_process
from sottovoce.app.serving.admin import serve_admin
from sottovoce.app.serving.parts import Parts
from sottovoce.app.serving.ready import ready
from sottovoce.app.serving.reload import Reloader, stamps
from sottovoce.hsm import STATUS, Cluster, HsmError, Status
from sottovoce.observe import configure_logging, events, get_logger
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem, load

_STATUS_SECONDS = 2.0
_COLLECT_AFTER = (5_000, 20, 10)
"""Objects that stayed before the youngest are looked at, and how often until the older ones are."""

Announce = Callable[[Mapping[str, str], str], None]
"""Is told the address of each listener, and the admin address, once calls can come."""


def _announce_nothing(_: Mapping[str, str], __: str) -> None:
    """The log tells."""


async def serve(
    configuration: Configuration,
    file: Path,
    announce: Announce = _announce_nothing,
    reread: Callable[[], Configuration] | None = None,
) -> None:
    """Serve a (resolved) configuration until SIGTERM or SIGINT.  Raises SottovoceError for what prevents a start.

    `reread` gives the configuration anew, for SIGHUP; without it, it is what stands in `file`.
    """
    limit = harden_process()
    configure_logging(configuration.log)
    logger = get_logger(__name__)
    logger.debug(events.FILE_LIMIT_RAISED, limit=limit)
    if problems := check_loaded(configuration, file).problems:
        raise ConfigurationInvalid(problems)
    async with AsyncExitStack() as stack:
        seen = stamps(configuration.clients)
        hangups = stack.enter_context(_noted_hangups())
        parts = await Parts.build(configuration, file, logger, stack)
        _collect_seldom()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            reloader = Reloader(parts, reread or partial(load, file), seen)
            if hangups:
                reloader.ask()
            await _run(parts, reloader, signals, announce)
        served, signed = parts.health.hsm.roots_signed, await _roots_signed(parts.tokens)
    logger.info(events.PROXY_STOPPED, batches_served=served, roots_signed=signed)


@contextmanager
def _noted_hangups() -> Generator[list[int]]:
    """Keep SIGHUP for later, while there is nothing yet that could be told something else; by itself it kills."""
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        noted.append(number)

    before = signal.signal(signal.SIGHUP, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGHUP, before)


def _collect_seldom() -> None:
    """Have the garbage collector stop the calls for long but rarely.

    A full collection walks through every object of every connection: 70 ms with two thousand of them.  What a start has
    built is left out of it, and it comes once in a million objects that stayed, not whenever a quarter has been added.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


async def _run(parts: Parts, reloader: Reloader, signals: AsyncIterator[int], announce: Announce) -> None:
    """Serve until a signal says to stop; then drain.  A second one ends what still drains."""
    async with trio.open_nursery() as background:
        for task in parts.background_tasks:
            background.start_soon(task)
        background.start_soon(serve_admin, parts)
        await background.start(_serve_control, parts)
        async with trio.open_nursery() as listening:
            listening.start_soon(parts.carrier.serve)
            with ready(parts, announce):
                background.start_soon(reloader.run)
                await _until_told_to_stop(signals, reloader)
            reloader.drain()
            parts.drain()
            background.start_soon(_cut_off_when_told_again, signals, listening.cancel_scope)
        background.cancel_scope.cancel()


async def _serve_control(parts: Parts, *, task_status: trio.TaskStatus[None]) -> None:
    """Take orders of operators.  Raises ConfigurationInvalid where there is no place for the socket."""

    def crashed(error: BaseException) -> None:
        parts.logger.error(events.TASK_CRASHED, task="control", exc_info=error)

    path = socket_path(parts.configuration.process.ready_file)
    try:
        await serve_control(path, parts.tokens, parts.sealing, crashed, task_status=task_status)
    except OSError as error:
        reason = f"{path} cannot be made ({error.strerror})"
        problem = Problem("process.ready_file", reason, "give a path in a directory that may be written to")
        raise ConfigurationInvalid([problem]) from None


async def _until_told_to_stop(signals: AsyncIterator[int], reloader: Reloader) -> None:
    while await anext(signals) == signal.SIGHUP:
        reloader.ask()


async def _cut_off_when_told_again(signals: AsyncIterator[int], listening: trio.CancelScope) -> None:
    while await anext(signals) == signal.SIGHUP:
        pass
    listening.cancel()


async def _roots_signed(tokens: Cluster) -> int | None:
    """Give how many roots the token processes have signed, those that say; None if none does."""
    counts: list[int] = []

    async def ask(node: str) -> None:
        with suppress(HsmError):
            answered = await tokens.call_on(
                STATUS, lambda asked: Status() if asked == node else None, deadline_seconds=_STATUS_SECONDS
            )
            counts.append(answered.answer.counts.get("roots_signed", 0))

    async with trio.open_nursery() as nursery:
        for name in tokens.nodes:
            nursery.start_soon(ask, name)
    return sum(counts) if counts else None
