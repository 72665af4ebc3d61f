"""A running proxy that is told something else: on SIGHUP its whole configuration, and at once who may call.

The clients' files are looked at several times a second, so that a withdrawn credential ends its calls within a second,
whoever changed the file.  What cannot be read or is wrong changes nothing: one line says why, and the proxy goes on as
it was.  Calls that run keep what they have, but for those whose credential is gone.

Some keys are settled at the start (addresses, the token, the logs' places).  A file that changes them is taken without
them, and the log names those that wait for a restart.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import trio

from sottovoce.app.checking import build_routes, check_loaded, read_credentials
from sottovoce.app.serving.parts import Parts
from sottovoce.identity import ClientsConfig, ClientsContents
from sottovoce.observe import configure_logging, events
from sottovoce.primitives import SottovoceError
from sottovoce.relay import Route
from sottovoce.settings import Configuration, ConfigurationInvalid

LOOK_SECONDS = 0.25
Stamps = tuple[tuple[int, int, int] | None, ...]
_SETTLED = ("identity", "hsm", "audit", "admin")
"""Sections that only a start reads."""
_SETTLED_OF_PROCESS = ("profile", "ready_file", "allow_tls_environment")


class Reloader:
    """Does it: `run` beside the listeners, `ask` when a signal comes."""

    def __init__(self, parts: Parts, reread: Callable[[], Configuration], seen: Stamps) -> None:
        """`reread` gives the configuration as it stands now; `seen` are the stamps from before `parts` were built."""
        self._parts = parts
        self._reread = reread
        self._is_asked = False
        self._idle = trio.lowlevel.ParkingLot()
        self._seen = seen

    def ask(self) -> None:
        """Have the configuration read again, and certificates made anew."""
        self._is_asked = True
        self._idle.unpark_all()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._is_asked:
                with trio.move_on_after(LOOK_SECONDS):
                    await self._idle.park()
            seen = stamps(self._parts.configuration.clients)
            if self._is_asked:
                self._is_asked = False
                await self._reload()
            elif seen != self._seen:
                self._seen = seen
                await self._reload_clients()

    async def _reload(self) -> None:
        parts = self._parts
        try:
            configuration, routes, clients = await trio.to_thread.run_sync(self._read)
            settled, waiting = settle(parts.configuration, configuration)
            await parts.apply(settled, routes, clients)
        except SottovoceError as error:
            parts.logger.error(events.CONFIGURATION_REFUSED, file=str(parts.file), reason=str(error))  # noqa: TRY400  one line
            return
        configure_logging(settled.log)
        if waiting:
            parts.logger.warning(events.RESTART_NEEDED, keys=waiting)
        parts.leaf.renew_now()
        parts.voice.renew_now()

    def _read(self) -> tuple[Configuration, Mapping[str, Route], ClientsContents]:
        """In a thread: reads files.  Raises SottovoceError for whatever is wrong, all of it."""
        configuration, file = self._reread(), self._parts.file
        if problems := check_loaded(configuration, file).problems:
            raise ConfigurationInvalid(problems)
        return configuration, build_routes(configuration, file), read_credentials(configuration).contents

    async def _reload_clients(self) -> None:
        parts = self._parts
        try:
            clients = await trio.to_thread.run_sync(read_credentials, parts.configuration)
        except SottovoceError as error:
            parts.logger.error(events.CLIENTS_REFUSED, reason=str(error))  # noqa: TRY400  one line
            return
        ended = parts.take_clients(clients.contents)
        parts.logger.info(events.CLIENTS_LOADED, calls_ended=ended)


def stamps(config: ClientsConfig) -> Stamps:
    """Give what changes when one of the clients' files does."""
    return tuple(map(_stamp, config.files()))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def settle(running: Configuration, fresh: Configuration) -> tuple[Configuration, tuple[str, ...]]:
    """Give the fresh configuration with what cannot change while running left as it is, and the keys that differ."""
    waiting = [name for name in _SETTLED if getattr(running, name) != getattr(fresh, name)]
    process = {name: getattr(running.process, name) for name in _SETTLED_OF_PROCESS}
    waiting += [f"process.{name}" for name, value in process.items() if getattr(fresh.process, name) != value]
    ours, theirs = running.all_listeners(), fresh.all_listeners()
    waiting += sorted(ours.keys() ^ theirs.keys())
    waiting += [f"{name}.address" for name in ours if theirs.get(name, ours[name]).address != ours[name].address]
    listeners = {
        name: msgspec.structs.replace(theirs.get(name, each), address=each.address) for name, each in ours.items()
    }
    settled = msgspec.structs.replace(
        fresh,
        **{name: getattr(running, name) for name in _SETTLED},
        process=msgspec.structs.replace(fresh.process, **process),
        listener=listeners.pop("listener"),
        listeners={name.removeprefix("listeners."): each for name, each in listeners.items()},
    )
    return settled, tuple(waiting)
