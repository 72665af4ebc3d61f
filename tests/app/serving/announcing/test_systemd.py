"""What is said to systemd, and what it gives."""

import os
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

import pytest
import trio
from trio.testing import MockClock

from sottovoce.app.serving.announcing import Manager, given_sockets, systemd
from sottovoce.settings import ConfigurationInvalid, build

CONFIGURATION = build({"listeners": {"second": {"address": "127.0.0.1:2"}}})


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    """The manager's end."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    listening.setblocking(False)  # noqa: FBT003  its only argument
    return listening


def test_it_is_told_when_calls_can_come_and_when_no_longer(manager: socket.socket) -> None:
    with manager:
        told = Manager({"NOTIFY_SOCKET": manager.getsockname()})
        told.ready()
        told.reloading()
        told.stopping()
        said = [manager.recv(200).decode().splitlines() for _ in range(3)]
    assert [each[0] for each in said] == ["READY=1", "RELOADING=1", "STOPPING=1"]
    assert said[1][1].removeprefix("MONOTONIC_USEC=").isdecimal()


def heard(manager: socket.socket) -> list[bytes]:
    said: list[bytes] = []
    with suppress(BlockingIOError):
        while True:
            said.append(manager.recv(100))
    return said


async def test_the_watchdog_hears_twice_in_its_time_and_at_the_end(
    manager: socket.socket, autojump_clock: MockClock
) -> None:
    with manager:
        told = Manager({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "10000000"})
        told.ready()
        heard(manager)
        async with told.fed():
            await trio.sleep(14)
            assert heard(manager) == [b"WATCHDOG=1"] * 3
        assert heard(manager) == [b"WATCHDOG=1"]
        await trio.sleep(14)
        assert heard(manager) == []


async def test_what_goes_wrong_meanwhile_comes_out_as_it_is(manager: socket.socket) -> None:
    cause = OSError("the cause")
    with manager, pytest.raises(ConfigurationInvalid) as caught:
        async with Manager({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "10000000"}).fed():
            raise ConfigurationInvalid([]) from cause
    assert caught.value.__cause__ is cause


async def test_a_watchdog_of_another_process_hears_nothing(manager: socket.socket, autojump_clock: MockClock) -> None:
    with manager:
        told = Manager({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"})
        told.ready()
        heard(manager)
        async with told.fed():
            await trio.sleep(14)
        assert heard(manager) == []


async def test_a_start_that_takes_long_asks_for_time_until_calls_can_come(
    manager: socket.socket, autojump_clock: MockClock
) -> None:
    with manager:
        told = Manager({"NOTIFY_SOCKET": manager.getsockname()})
        async with told.fed():
            await trio.sleep(40)
            assert heard(manager) == [b"EXTEND_TIMEOUT_USEC=60000000"] * 3
            told.ready()
            heard(manager)
            await trio.sleep(40)
            assert heard(manager) == []


async def test_a_manager_that_is_not_there_keeps_nothing_up(manager: socket.socket, tmp_path: Path) -> None:
    with manager:
        for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nowhere")}):
            told = Manager({**environment, "WATCHDOG_USEC": "10000000"})
            told.ready()
            async with told.fed():
                await trio.lowlevel.checkpoint()
            told.stopping()
        assert heard(manager) == []


def environment(count: int, names: str, *, pid: int | None = None) -> dict[str, str]:
    return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., range]]:
    """Gives what a test has, and closes, as if it were systemd's; `None` is a descriptor that is closed."""
    given: list[int] = []

    def take(*held: "socket.socket | IO[bytes] | None") -> range:
        first = max(map(int, os.listdir("/proc/self/fd"))) + 1  # noqa: PTH208  it has no names of files
        numbers = range(first, first + len(held))
        for number, each in zip(numbers, held, strict=True):
            if each is not None:
                given.append(os.dup2(each.fileno(), number))
        monkeypatch.setattr(systemd, "_FIRST_DESCRIPTOR", first)
        return numbers

    yield take
    for number in given:
        os.close(number)


@pytest.fixture
def listening() -> Generator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_sockets_belong_to_listeners_by_name_and_one_alone_to_the_first(
    give: Callable[..., range], listening: socket.socket
) -> None:
    first, second, third = numbers = give(listening, listening, listening)
    given = environment(3, "listeners.second:listener:listener")
    assert given_sockets(given, CONFIGURATION) == {"listeners.second": (first,), "listener": (second, third)}
    assert given == {}
    assert not any(map(os.get_inheritable, numbers))
    for names in ("unknown", "sottovoce.socket", ""):
        assert given_sockets(environment(1, names), CONFIGURATION) == {"listener": (first,)}


def test_a_listener_of_either_family_stays_open_and_as_it_was(give: Callable[..., range]) -> None:
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.create_server(("127.0.0.1", 0)) as four,
    ):
        numbers = give(six, four)
        assert given_sockets(environment(2, "listener:listener"), CONFIGURATION) == {"listener": tuple(numbers)}
        assert all(map(os.get_blocking, numbers))
        with socket.create_connection(four.getsockname()), socket.socket(fileno=os.dup(numbers[1])) as kept:
            kept.accept()[0].close()


def test_a_socket_of_nobody_is_refused_and_those_of_another_process_are_its() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"FileDescriptorName= with one of listener, listeners\.second"):
        given_sockets(environment(1, "web"), CONFIGURATION)
    assert given_sockets(environment(1, "listener", pid=1), CONFIGURATION) == {}
    assert given_sockets({}, CONFIGURATION) == {}


@contextmanager
def connection() -> Generator[socket.socket]:
    """One that systemd has accepted, as it does with Accept=yes."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as peer:
        accepted, _ = server.accept()
        with accepted:
            yield accepted
        del peer


@contextmanager
def in_the_file_system() -> Generator[socket.socket]:
    """What ListenStream= with a path makes."""
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"{directory}/listener")
        unix.listen()
        yield unix


UNUSABLE: dict[str, tuple[Callable[[], "AbstractContextManager[socket.socket | IO[bytes] | None]"], str, str]] = {
    "in the file system": (in_the_file_system, "a socket of AF_UNIX and no internet address", "ListenStream= with an"),
    "datagrams of a path": (lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), "of AF_UNIX", "ListenStream= "),
    "datagrams": (lambda: socket.socket(type=socket.SOCK_DGRAM), "a socket of SOCK_DGRAM", "no other Listen"),
    "Accept=yes": (connection, "a TCP socket that does not listen", "in the .socket unit write Accept=no"),
    "nobody listens": (socket.socket, "a TCP socket that does not listen", "Accept=no"),
    "a file": (TemporaryFile, "no socket", "in the .socket unit write ListenStream= with an"),
    "closed": (nullcontext, "not open", "let ExecStart= be the proxy itself"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_no_calls_can_come_from_is_told_at_the_start_with_the_remedy(
    give: Callable[..., range], what: str
) -> None:
    make, told, remedy = UNUSABLE[what]
    with make() as held:
        (number,) = give(held)
        with pytest.raises(ConfigurationInvalid) as caught:
            given_sockets(environment(1, "listener"), CONFIGURATION)
        if held is not None:
            os.fstat(number)  # it is still open, for whoever looks
    (problem,) = caught.value.problems
    assert problem.path == "listener"
    assert f"descriptor {number}, named 'listener', which is " in problem.reason
    assert told in problem.reason
    assert remedy in problem.remedy


def test_every_one_is_told_of_at_once(give: Callable[..., range], listening: socket.socket) -> None:
    with TemporaryFile() as file, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        give(listening, file, datagrams, listening)
        with pytest.raises(ConfigurationInvalid) as caught:
            given_sockets(environment(4, "listener:listener:listeners.second:web"), CONFIGURATION)
    assert [problem.path for problem in caught.value.problems] == ["listener", "listeners.second", "listener"]


def test_a_family_that_python_does_not_know_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(socket.socket):
        family = 77  # type: ignore[assignment]

    with socket.socket() as held:
        monkeypatch.setattr(systemd.socket, "socket", Odd)
        monkeypatch.setattr(systemd, "_FIRST_DESCRIPTOR", held.fileno())
        with pytest.raises(ConfigurationInvalid, match="a socket of 77 and no internet address"):
            given_sockets(environment(1, "listener"), CONFIGURATION)
