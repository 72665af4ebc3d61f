"""What is said to systemd, and what it gives."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from sottovoce.app.serving.announcing import Manager, given_sockets
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
        async with told.fed():
            await trio.sleep(14)
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


def test_sockets_belong_to_listeners_by_name_and_one_alone_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "set_inheritable", lambda *_: None)
    given = environment(3, "listeners.second:listener:listener")
    assert given_sockets(given, CONFIGURATION) == {"listeners.second": (3,), "listener": (4, 5)}
    assert given == {}
    for names in ("unknown", "sottovoce.socket", ""):
        assert given_sockets(environment(1, names), CONFIGURATION) == {"listener": (3,)}


def test_a_socket_of_nobody_is_refused_and_those_of_another_process_are_its() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"FileDescriptorName= with one of listener, listeners\.second"):
        given_sockets(environment(1, "web"), CONFIGURATION)
    assert given_sockets(environment(1, "listener", pid=1), CONFIGURATION) == {}
    assert given_sockets({}, CONFIGURATION) == {}
