"""What a proxy and systemd say to each other: sd_notify(3) and socket activation, sd_listen_fds(3).

Without systemd nothing of this happens.  The manager is told by the supervisor alone, so NotifyAccess=main does.
"""

import errno
import os
import socket
import time
from collections.abc import AsyncGenerator, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress

import trio

from sottovoce.settings import Configuration, ConfigurationInvalid, Problem

_FIRST_DESCRIPTOR = 3
_MORE_SECONDS = 60
"""Chosen: for so long a start may stand still, of which systemd is told four times as often."""
_UNNAMED = {"", "unknown", "stored"}
_WRITE_STREAM = "in the .socket unit write ListenStream= with an internet address and port, 0.0.0.0:8443 say"
_WRITE_NO_OTHER = f"{_WRITE_STREAM}, and no other Listen...="
_WRITE_ACCEPT = "in the .socket unit write Accept=no"
_START_DIRECTLY = "let ExecStart= be the proxy itself: what stands before it has closed the descriptor"


class Manager:
    """The service manager, if there is one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Find it in the variables that it sets."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdecimal() and is_for_us else 0.0
        self._is_starting = True

    def ready(self) -> None:
        """Calls can come; also after a reload."""
        self._is_starting = False
        self._tell("READY=1", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """The configuration is read again, or the program replaced."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Calls are sent away."""
        self._tell("STOPPING=1")

    @asynccontextmanager
    async def fed(self) -> AsyncGenerator[None]:
        """Say that the event loop turns, while the block runs and once more at its end.

        Until `ready` it is said, too, that the start goes on: to check an audit log of years takes a minute or more.

        The first is said twice in the time after which it would be taken for dead.  After the end comes another
        program, which says so itself as soon as its own loop turns, long before it is ready.  An error of the block
        comes out as it was raised.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._feed)
                nursery.start_soon(self._ask_for_time)
                yield
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                error = group.exceptions[0]
                raise error from error.__cause__
            raise
        if self._watchdog_seconds:
            self._tell("WATCHDOG=1")

    async def _feed(self) -> None:
        while self._watchdog_seconds:
            self._tell("WATCHDOG=1")
            await trio.sleep(self._watchdog_seconds / 2)

    async def _ask_for_time(self) -> None:
        while self._address and self._is_starting:
            self._tell(f"EXTEND_TIMEOUT_USEC={_MORE_SECONDS * 1_000_000}")
            await trio.sleep(_MORE_SECONDS / 4)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)  # noqa: FBT003  its only argument
            manager.sendto("\n".join(lines).encode(), address)


def given_sockets(environment: MutableMapping[str, str], configuration: Configuration) -> dict[str, tuple[int, ...]]:
    """Take the sockets that systemd has bound, by listener; nobody else is given them.

    FileDescriptorName= says whose each is; one alone without a name is the first listener's.  Raises
    ConfigurationInvalid, before anything is begun, for one that is nobody's and for what no calls can come from.
    """
    count, names = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_FDNAMES", "")
    if environment.pop("LISTEN_PID", "") != str(os.getpid()) or not count.isdecimal():
        return {}
    listeners = tuple(configuration.all_listeners())
    given: dict[str, tuple[int, ...]] = {}
    problems: list[Problem] = []
    named = [*names.split(":"), *[""] * int(count)] if names else [""] * int(count)
    for descriptor, name in enumerate(named[: int(count)], _FIRST_DESCRIPTOR):
        is_alone = int(count) == 1 and (name in _UNNAMED or name.endswith(".socket"))
        listener = listeners[0] if is_alone else name
        if listener not in listeners:
            reason = f"systemd gave a socket named {name!a}, and there is no such listener"
            remedy = f"write FileDescriptorName= with one of {', '.join(listeners)}"
            problems.append(Problem("listener", reason, remedy))
        elif fault := _fault_of(descriptor):
            reason = f"systemd gave descriptor {descriptor}, named {name!a}, which is {fault[0]}"
            problems.append(Problem(listener, reason, fault[1]))
        else:
            os.set_inheritable(descriptor, False)  # noqa: FBT003  its only argument
            given[listener] = (*given.get(listener, ()), descriptor)
    if problems:
        raise ConfigurationInvalid(problems)
    return given


def _fault_of(descriptor: int) -> tuple[str, str] | None:
    """Give what a descriptor is and the remedy, unless calls can be accepted from it; it stays open."""
    try:
        looked_at = socket.socket(fileno=descriptor)
    except OSError as error:
        is_closed = error.errno == errno.EBADF
        return ("not open", _START_DIRECTLY) if is_closed else ("no socket", _WRITE_NO_OTHER)
    try:
        family, kind = looked_at.family, looked_at.type
        if family not in {socket.AF_INET, socket.AF_INET6}:
            return f"a socket of {_name(family)} and no internet address", _WRITE_STREAM
        if kind != socket.SOCK_STREAM:
            return f"a socket of {_name(kind)} and not of TCP", _WRITE_NO_OTHER
        if not looked_at.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return "a TCP socket that does not listen, a single connection say", _WRITE_ACCEPT
    finally:
        looked_at.detach()
    return None


def _name(kind: int) -> str:
    """A family's or type's name; of one that Python does not know, its number."""
    return kind.name if isinstance(kind, socket.AddressFamily | socket.SocketKind) else str(kind)
