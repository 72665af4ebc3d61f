"""A running proxy that is told something else: on SIGHUP its whole configuration, and at once who may call.

The clients' files are looked at several times a second, so that a withdrawn credential ends its calls within a second,
whoever changed the file.  What cannot be read or is wrong changes nothing: one line says why, and the proxy goes on as
it was.  Calls that run keep what they have, but for those whose credential is gone, or whose route is not for them now.

Some keys are settled at the start (addresses, the token, the logs' places).  A file that changes them is taken without
them, and the log names those that wait for a restart.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from sottovoce.app.checking import build_routes, check_loaded, read_credentials
from sottovoce.app.floor import Change
from sottovoce.app.serving.announcing import Manager
from sottovoce.app.serving.parts import CLOCK, ENTROPY, Parts
from sottovoce.identity import ClientsConfig, reread_contents
from sottovoce.observe import configure_logging, events
from sottovoce.primitives import SottovoceError
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem

LOOK_SECONDS = 0.25
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between readings of a file that cannot be used: descriptors run out, modes are mended, a CA's day comes."""
_PAUSES = 6
_PAUSE_SECONDS = 0.05
_NEVER = float("inf")
_Stamp = tuple[int, int, int, int]
Stamps = tuple[_Stamp | None, ...]
_SETTLED = ("identity", "hsm", "audit", "admin")
"""Sections that only a start reads."""
_SETTLED_OF_PROCESS = ("profile", "workers", "ready_file", "allow_tls_environment")


class Reloader:
    """Does it: `run` beside the listeners, `ask` when a signal comes; in a drain, only who may call is heeded."""

    def __init__(self, parts: Parts, reread: Callable[[], Configuration], seen: Stamps) -> None:
        """`reread` gives the configuration as it stands now; `seen` are the stamps from before `parts` were built."""
        self._parts = parts
        self._reread = reread
        self._is_asked = False
        self._is_draining = False
        self._reloading = trio.CancelScope()
        self._idle = trio.lowlevel.ParkingLot()
        self._seen = seen
        self._retry_at = _NEVER
        self._failures = 0
        self._told: frozenset[str] = frozenset()

    def ask(self) -> None:
        """Have the configuration read again, and certificates made anew."""
        self._is_asked = not self._is_draining
        self._idle.unpark_all()

    def drain(self) -> None:
        """Take no other configuration any more, also not the one that is being read."""
        self._is_draining = True
        self._is_asked = False
        self._reloading.cancel()

    async def run(self, manager: Manager) -> None:
        """Until cancelled; the service manager is told when a configuration is read again."""
        while True:
            if not self._is_asked:
                with trio.move_on_after(LOOK_SECONDS):
                    await self._idle.park()
            if self._is_asked:
                self._is_asked = False
                manager.reloading()
                with trio.CancelScope() as self._reloading:
                    await self._reload()
                if not self._is_draining:
                    manager.ready()
            await self._look_at_clients()

    async def _reload(self) -> None:
        parts = self._parts
        try:
            fresh = await trio.to_thread.run_sync(self._read, abandon_on_cancel=True)
            settled, waiting = settle(parts.configuration, fresh.configuration)
            await parts.apply(msgspec.structs.replace(fresh, configuration=settled))
        except SottovoceError as error:
            parts.metrics.reloads.configuration_refused()
            parts.logger.error(events.CONFIGURATION_REFUSED, file=str(parts.file), reason=str(error))  # noqa: TRY400  one line
            return
        parts.metrics.reloads.configuration_taken(waits=bool(waiting))
        configure_logging(settled.log)
        if waiting:
            parts.logger.warning(events.RESTART_NEEDED, keys=waiting)
        parts.leaf.renew_now()
        parts.voice.renew_now()

    def _read(self) -> Change:
        """In a thread: reads files.  Raises SottovoceError for whatever is wrong, all of it."""
        configuration, file = self._reread(), self._parts.file
        refuse_emptied(file, self._parts.configuration, configuration)
        if problems := check_loaded(configuration, file).problems:
            raise ConfigurationInvalid(problems)
        routes = build_routes(configuration, file)
        return Change(configuration, routes, read_credentials(configuration).contents)

    async def _look_at_clients(self) -> None:
        seen = stamps(self._parts.configuration.clients)
        if seen != self._seen:
            self._failures = 0
            self._seen = await self._written(seen)
            await self._reload_clients(is_new=True)
        elif trio.current_time() >= self._retry_at:
            await self._reload_clients(is_new=False)
        if self._parts.clients.has_lapsed():
            await self._parts.carrier.recheck()

    async def _written(self, seen: Stamps) -> Stamps:
        """Wait until nobody writes: who writes in place empties a file first, and an empty one has nobody in it.

        Not for long, or whoever touches a file without end would keep everybody in.
        """
        for _ in range(_PAUSES):
            await trio.sleep(_PAUSE_SECONDS)
            before, seen = seen, stamps(self._parts.configuration.clients)
            if seen == before:
                break
        return seen

    async def _reload_clients(self, *, is_new: bool) -> None:
        """Take what can be read; the rest is tried again, for what prevents it may not show in a stamp."""
        parts = self._parts
        contents, problems = await trio.to_thread.run_sync(
            reread_contents,
            parts.configuration.clients,
            CLOCK.wall,
            ENTROPY,
            parts.clients.contents,
            abandon_on_cancel=True,
        )
        self._plan_retry(has_failed=bool(problems))
        reasons = frozenset(map(str, problems))
        told = sorted(reasons if is_new else reasons - self._told)
        if told:
            parts.metrics.reloads.clients_refused()
        for reason in told:
            parts.logger.error(events.CLIENTS_REFUSED, reason=reason)
        has_mended = bool(self._told - reasons)
        self._told = reasons
        ended = await parts.take_clients(contents)
        if has_mended or (is_new and len(problems) < parts.configuration.clients.parts):
            parts.metrics.reloads.clients_taken()
            parts.logger.info(events.CLIENTS_LOADED, calls_ended=ended)

    def _plan_retry(self, *, has_failed: bool) -> None:
        seconds = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures = self._failures + 1 if has_failed else 0
        self._retry_at = trio.current_time() + seconds if has_failed else _NEVER


def stamps(config: ClientsConfig) -> Stamps:
    """Give what changes when one of the clients' files does."""
    return tuple(map(_stamp, config.files()))


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def refuse_emptied(file: Path, running: Configuration, fresh: Configuration) -> None:
    """Raise ConfigurationInvalid for a file in which nothing stands and something did: it is just being written.

    By itself it is a configuration, of defaults alone, in which no route asks for a credential.
    """
    try:
        is_empty = not file.stat().st_size
    except OSError:
        return  # whoever reads it says so
    if is_empty and fresh != running:
        reason = "is empty, and what runs is not made of defaults alone"
        raise ConfigurationInvalid([Problem(str(file), reason, "write it, all of it, and ask for a reload again")])


def settle(running: Configuration, fresh: Configuration) -> tuple[Configuration, tuple[str, ...]]:
    """Give the fresh configuration with what cannot change while running left as it is, and the keys that differ.

    Raises ConfigurationInvalid where the two do not go together: a production proxy stays one whatever the file says.
    """
    waiting = [name for name in _SETTLED if getattr(running, name) != getattr(fresh, name)]
    process = {name: getattr(running.process, name) for name in _SETTLED_OF_PROCESS}
    waiting += [f"process.{name}" for name, value in process.items() if getattr(fresh.process, name) != value]
    ours, theirs = running.all_listeners(), fresh.all_listeners()
    waiting += sorted(ours.keys() ^ theirs.keys())
    waiting += [f"{name}.address" for name in ours if theirs.get(name, ours[name]).address != ours[name].address]
    listeners = {
        name: msgspec.structs.replace(theirs.get(name, each), address=each.address) for name, each in ours.items()
    }
    try:
        settled = msgspec.structs.replace(
            fresh,
            **{name: getattr(running, name) for name in _SETTLED},
            process=msgspec.structs.replace(fresh.process, **process),
            listener=listeners.pop("listener"),
            listeners={name.removeprefix("listeners."): each for name, each in listeners.items()},
        )
    except ValueError as error:
        path, _, text = str(error).partition(": ")
        reason, _, remedy = text.partition("; ")
        raise ConfigurationInvalid([Problem(path, reason, remedy)]) from None
    return settled, tuple(waiting)
