"""What a server of calls may be told, the same for every shell."""

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol, TypedDict, Unpack

from sottovoce.backend.call import Connection, Handler, log
from sottovoce.backend.errors import CannotListen
from sottovoce.backend.machine import CallMachine, MuxMachine
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import (
    PqPolicy,
    TcpSocket,
    TlsContext,
    TlsIdentity,
    TransportMisconfigured,
    limit_silence,
    server_context,
)

MAX_CALLS = 1_000
MAX_WAITING = 256
"""Connections that have asked for no call yet; one more, and the oldest of them is closed."""
FULL_BYTES = 65_536
"""As much may wait to be written before those who send wait."""
OVERFULL_BYTES = 4 * FULL_BYTES
"""With so much to be written nothing more is read: no handler gets there, but answers to pings that nobody reads."""
_MAX_PORT = 65_535
UNIX = "unix:"
"""Before the path of a socket in the file system."""
_BACKLOG = 128
SILENCE_SECONDS = 30
"""How long TCP may get no answer from a proxy before its connection counts as broken."""


class ServeOptions(TypedDict, total=False):
    """Each may be left out."""

    certificate_file: str | Path
    """PEM: the certificate of this backend and its chain.  With it, and the key, it serves `wss://`: TLS 1.3 alone."""
    key_file: str | Path
    """PEM: the certificate's private key, not encrypted."""
    client_ca_file: str | Path
    """PEM: who has to vouch for the certificate that the proxy shows.  Without it, whoever can connect may call."""
    max_calls: int
    """Calls at once, 1 000 unless it is given; a further one is refused, and the proxy tries again."""
    adapter: Literal["raw", "mux"]
    """What the proxy's route says: `raw`, a WebSocket for each call, unless it is given; `mux`: many calls on one
    connection, and then `host` may be `unix:/PATH`, without a port."""
    ready: Callable[[str], object]
    """Is called with the URL, once calls can come."""


class Serve(Protocol):
    """What each shell has."""

    async def __call__(self, handler: Handler, host: str, port: int = 0, **options: Unpack[ServeOptions]) -> None:
        """Serve calls until cancelled."""


class Shell(Protocol):
    """A connection of some event loop."""

    machine: Connection

    def now(self) -> float:
        """Give the loop's time."""
        ...

    def settle(self) -> None:
        """After a call of the machine: see to it that what it has to say is written."""


class Serving:
    """The options, read, and the connections that there are."""

    def __init__(self, host: str, port: int, options: ServeOptions) -> None:
        """Check everything, and read the files.  Raises CannotListen, and ApiMisuse or TypeError for a wrong option."""
        if unknown := options.keys() - ServeOptions.__annotations__.keys():
            raise TypeError(f"serve() has no option {', '.join(sorted(unknown))}")
        if options.get("max_calls", 1) < 1:
            raise ApiMisuse("max_calls: a server has at least one call")
        self._makes: type[CallMachine | MuxMachine] = _machine_of(options)
        self.path = _path_of(host, options)
        """Of the socket to listen on, if it is one in the file system."""
        if not host or not 0 <= port <= _MAX_PORT:
            raise CannotListen(f"{host}:{port} is no address: give a host, and a port up to {_MAX_PORT} (0: any)")
        self._tls = _tls_of(options)
        self._max_calls = options.get("max_calls", MAX_CALLS)
        self._ready = options.get("ready")
        self._links: dict[Shell, None] = {}  # the oldest first

    def begin(self, link: Shell, peer: TcpSocket) -> None:
        """Give one more connection its machine; it is there until `left`."""
        with suppress(OSError):  # it went as it came
            limit_silence(peer, SILENCE_SECONDS)
        link.machine = self._makes(link.now(), tls=self._tls, is_busy=self._is_busy)
        self._links[link] = None
        waiting = [each for each in self._links if not (each.machine.is_accepted or each.machine.is_over)]
        if len(waiting) > MAX_WAITING:
            waiting[0].machine.make_room(link.now())
            waiting[0].settle()

    def left(self, link: Shell) -> None:
        """Forget a connection that is over."""
        self._links.pop(link, None)

    def _is_busy(self) -> bool:
        return sum(each.machine.calls for each in self._links) >= self._max_calls

    def listens(self, host: str, port: int) -> str:
        """Say that calls can come; give the URL."""
        where = f"[{host}]" if ":" in host else host
        is_mux, is_plain = self._makes is MuxMachine, self._tls is None
        scheme = ("tcp" if is_plain else "tls") if is_mux else ("ws" if is_plain else "wss")
        url = host if self.path else f"{scheme}://{where}:{port}"
        log.info("waiting on %s", url)
        if self._ready is not None:
            self._ready(url)
        return url


@contextmanager
def listening_at(path: str) -> Generator[socket.socket]:
    """Listen on a socket in the file system, in the place of one that nobody serves any more; remove it afterwards.

    Raises CannotListen.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_abandoned(path)
        listener.bind(path)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  its only argument
    except OSError as error:
        listener.close()
        raise cannot_listen(error, UNIX + path, None) from None
    try:
        yield listener
    finally:
        listener.close()
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108  the shells wait for nothing here


def _remove_abandoned(path: str) -> None:
    """Remove a socket that nobody listens on, and nothing else."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
        try:
            knocking.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108  as above
        except OSError:
            return  # it is not ours: `bind` says so


def cannot_listen(error: OSError, host: str, port: int | None) -> CannotListen:
    """Say what is wrong with an address; a path has no port."""
    why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)  # a name's is negative
    if port is None:
        return CannotListen(f"{host} cannot be listened on ({why}): free it, or choose another path")
    return CannotListen(f"{host}:{port} cannot be listened on ({why}): free it, or choose another (port 0: any)")


def _machine_of(options: ServeOptions) -> type[CallMachine | MuxMachine]:
    adapter = options.get("adapter", "raw")
    if adapter not in {"raw", "mux"}:
        raise ApiMisuse(f"adapter: there is no {adapter!r}, only raw and mux")
    return MuxMachine if adapter == "mux" else CallMachine


def _path_of(host: str, options: ServeOptions) -> str:
    if not host.startswith(UNIX):
        return ""
    if options.get("adapter") != "mux":
        raise CannotListen(f'{host}: a proxy finds no WebSocket there: give adapter="mux", or a host and a port')
    return host.removeprefix(UNIX)


def _tls_of(options: ServeOptions) -> TlsContext | None:
    certificate, key = options.get("certificate_file"), options.get("key_file")
    client_ca = options.get("client_ca_file")
    if certificate is None or key is None:
        if certificate is not None or key is not None or client_ca is not None:
            raise CannotListen("TLS needs certificate_file and key_file: give both, or no file at all")
        return None
    identity_pem, ca_pem = (_read(certificate), _read(key)), None if client_ca is None else _read(client_ca)
    files = f"{certificate} and {key}"
    try:
        identity = TlsIdentity.from_pem(*identity_pem)
        files = files if client_ca is None else f"{client_ca}"
        return server_context(identity, pq=PqPolicy.PREFER, client_ca_pem=ca_pem)
    except TransportMisconfigured as error:
        raise CannotListen(f"{files}: {error}") from None


def _read(file: str | Path) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CannotListen(f"{file}: {error.strerror}: give a file that can be read") from None
