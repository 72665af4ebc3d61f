"""From a configuration to a proxy that serves until it is told to stop.

    parts ─▶ ready … SIGHUP: reload … SIGTERM ─▶ drain ─▶ the parts are closed, the last first
                     SIGUSR2 ─▶ the parts are closed, but for sockets and workers: for the program that comes next

Whatever cannot be had at start ends the start with one error and nothing half-done.  Later the proxy goes on as long as
it can: a lost token is replaced, a renewal that fails is tried again, a configuration that is wrong is not taken.
"""

import errno
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

import msgspec
import trio

from sottovoce.app.checking import check_loaded
from sottovoce.app.control import Ordered, serve_control, socket_path
from sottovoce.app.hardening import collect_seldom, harden_process
from sottovoce.app.serving.admin import serve_admin
from sottovoce.app.serving.announcing import Manager, given_sockets, ready
from sottovoce.app.serving.parts import Parts
from sottovoce.app.serving.reload import Reloader, stamps
from sottovoce.app.serving.upgrade import STARTING, Program, Upgrade
from sottovoce.app.workers import Handover
from sottovoce.app.workers.handover import BLOCKED, find, hold_signals, ready_meanwhile
from sottovoce.hsm import STATUS, Cluster, HsmError, Status
from sottovoce.observe import Logger, configure_logging, events, get_logger
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem, load

_STATUS_SECONDS = 2.0
_HEEDED = (signal.SIGHUP, signal.SIGUSR2)
"""What is no reason to end."""

Announce = Callable[[Mapping[str, str], str], None]
"""Is told the address of each listener, and the admin address, once calls can come."""


def _announce_nothing(_: Mapping[str, str], __: str) -> None:
    """The log tells."""


async def serve(
    configuration: Configuration,
    file: Path,
    announce: Announce = _announce_nothing,
    reread: Callable[[], Configuration] | None = None,
    program: Program | None = None,
) -> Handover | None:
    """Serve a (resolved) configuration until SIGTERM or SIGINT.  Raises SottovoceError for what prevents a start.

    `reread` gives the configuration anew, for SIGHUP; without it, it is what stands in `file`.  `program` is what takes
    this one's place on SIGUSR2: the caller has to run it at once, with the handover that is given then.
    """
    limit = harden_process()
    configure_logging(configuration.log)
    logger = get_logger(__name__)
    logger.debug(events.FILE_LIMIT_RAISED, limit=limit)
    handover = find(os.environ)
    manager = Manager(os.environ)
    async with manager.fed(), AsyncExitStack() as stack:
        stack.enter_context(ready_meanwhile(handover, configuration.process.ready_file))
        if problems := check_loaded(configuration, file).problems:
            raise ConfigurationInvalid(problems)
        given = given_sockets(os.environ, configuration) if handover is None else handover.sockets_for(configuration)
        seen = stamps(configuration.clients)
        noted = stack.enter_context(_noted_signals(_HEEDED if handover is None else BLOCKED))
        parts = await Parts.build(configuration, file, logger, stack, given=given, handover=handover)
        collect_seldom()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, *_HEEDED) as signals:
            reread = reread or partial(load, file)
            reloader = Reloader(parts, reread, seen)
            _heed(noted, logger)
            if handover is not None:
                logger.info(events.REPLACEMENT_DONE, workers=len(handover.workers))
            upgrade = Upgrade(parts, program, reread)
            handed_over = await _run(parts, reloader, upgrade, signals=signals, announce=announce, manager=manager)
        served = parts.health.hsm.roots_signed
        signed = None if handed_over else await _roots_signed(parts.tokens)
    if handed_over is not None:
        return msgspec.structs.replace(handed_over, audit=parts.audit.checked)
    logger.info(events.PROXY_STOPPED, batches_served=served, roots_signed=signed)
    return None


def _heed(noted: Iterable[int], logger: Logger) -> None:
    """Say again, now that somebody heeds it, what was kept."""
    for number in set(noted) - {signal.SIGUSR2}:
        signal.raise_signal(number)
    if signal.SIGUSR2 in noted:
        logger.error(events.REPLACEMENT_REFUSED, reason=STARTING)


@contextmanager
def _noted_signals(numbers: Iterable[int]) -> Generator[list[int]]:
    """Keep SIGHUP for later, while there is nothing yet that could be told something else; by itself it kills.

    So does SIGUSR2, which is kept to be refused aloud.  Whoever handed over to this program has blocked them, and what
    says to stop as well: then that is kept, too, because there are calls that have to be sent away.  Said again, it
    ends the start.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        again = before[number] if number in noted and number not in _HEEDED else None
        noted.append(number)
        if callable(again):
            again(number, frame)

    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, before)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _run(  # noqa: PLR0913  what is told of it
    parts: Parts,
    reloader: Reloader,
    upgrade: Upgrade,
    *,
    signals: AsyncIterator[int],
    announce: Announce,
    manager: Manager,
) -> Handover | None:
    """Serve until a signal says to stop; then drain.  A second one ends what still drains.

    Gives what another program is to go on with, where a signal has asked for that.
    """
    async with trio.open_nursery() as background:
        for task in parts.background_tasks:
            background.start_soon(task)
        background.start_soon(serve_admin, parts)
        await background.start(_serve_control, parts)
        async with trio.open_nursery() as listening:
            listening.start_soon(parts.carrier.serve)
            with ready(parts, announce):
                manager.ready()
                background.start_soon(reloader.run, manager)
                handover = await _until_told_to_stop(signals, reloader, upgrade, manager)
            if handover is None:
                manager.stopping()
                reloader.drain()
                parts.drain()
                background.start_soon(_cut_off_when_told_again, signals, listening.cancel_scope)
            else:
                listening.cancel_scope.cancel()
        background.cancel_scope.cancel()
    return handover


async def _serve_control(parts: Parts, *, task_status: trio.TaskStatus[None]) -> None:
    """Take orders of operators.  Raises ConfigurationInvalid where there is no place for the socket."""

    def crashed(error: BaseException) -> None:
        parts.logger.error(events.TASK_CRASHED, task="control", exc_info=error)

    path = socket_path(parts.configuration.process.ready_file)
    ordered = Ordered(parts.tokens, parts.sealing, parts.admin_address)
    try:
        await serve_control(path, ordered, crashed, task_status=task_status)
    except OSError as error:
        reason = f"{path} cannot be made ({error.strerror or error})"
        is_long = error.errno in {None, errno.ENAMETOOLONG}  # Python itself refuses a long name, without a number
        remedy = "give a shorter name" if is_long else "give a path in a directory that may be written to"
        problem = Problem("process.ready_file", reason, remedy)
        raise ConfigurationInvalid([problem]) from None


async def _until_told_to_stop(
    signals: AsyncIterator[int], reloader: Reloader, upgrade: Upgrade, manager: Manager
) -> Handover | None:
    while (number := await anext(signals)) in _HEEDED:
        if number == signal.SIGHUP:
            reloader.ask()
            continue
        manager.reloading()
        handover, is_told_to_stop = await _upgraded(signals, reloader, upgrade)
        if handover is not None or is_told_to_stop:
            return handover
        manager.ready()
    return None


async def _upgraded(signals: AsyncIterator[int], reloader: Reloader, upgrade: Upgrade) -> tuple[Handover | None, bool]:
    """Try an upgrade; a signal that says to stop ends the try.  Gives what comes of it, and whether there was one."""
    begun: list[Handover | None] = []
    told: list[int] = []
    async with trio.open_nursery() as nursery:

        async def begin() -> None:
            begun.append(await upgrade.begin())
            nursery.cancel_scope.cancel()

        nursery.start_soon(begin)
        while not told:
            number = await anext(signals)
            if number == signal.SIGHUP:
                reloader.ask()
            elif number in _HEEDED:
                upgrade.pass_over()
            else:
                told.append(number)
        nursery.cancel_scope.cancel()
    handover = begun[0] if begun else None
    if handover is not None:
        hold_signals()
        for number in told:
            signal.raise_signal(number)  # a moment too late for this program: the next one begins, and stops
    return handover, bool(told)


async def _cut_off_when_told_again(signals: AsyncIterator[int], listening: trio.CancelScope) -> None:
    while await anext(signals) in _HEEDED:
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
