"""The commands' end of the socket: whom it tells."""

import errno
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sottovoce.app.control import Done, Found, Order, Unordered, find_admin, order, socket_path
from sottovoce.app.control.orders import to_line
from sottovoce.app.initialise import default_configuration
from sottovoce.primitives import Secret
from sottovoce.settings import load
from tests.cli.watching.telling import running_over

NOBODY = 65_534


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What a command looks at; there is no proxy."""
    (tmp_path / "sottovoce.toml").write_text(default_configuration(0))
    for name in ("audit", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "audit/audit.log").touch()
    return tmp_path


@contextmanager
def somebody_listens(directory: Path, user: int) -> Generator[int]:
    """Have a process of another user answer in the proxy's place; give where what it was told comes out."""
    told, telling = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path(str(directory / "run/ready"))))
        pid = os.fork()
        if pid == 0:
            try:
                _listen(listener, user, telling)
            finally:
                os._exit(0)
    os.close(telling)
    assert os.read(told, 1) == b"."
    try:
        yield told
    finally:
        os.waitpid(pid, 0)
        os.close(told)


def _listen(listener: socket.socket, user: int, telling: int) -> None:
    os.setresuid(user, user, user)
    listener.listen()
    os.write(telling, b".")
    connection, _ = listener.accept()
    heard = b""
    while heard.count(b"\n") < 2 and (data := connection.recv(4096)):
        heard += data
    os.write(telling, heard)
    connection.sendall(to_line(Done()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_else_who_listens_in_the_proxys_place_is_told_nothing(directory: Path) -> None:
    with somebody_listens(directory, NOBODY) as told, Secret("share", b"academic acid") as share:
        with pytest.raises(Unordered, match=f"user {NOBODY} listens at .*, who does not run the proxy"):
            order(directory, Order("unseal"), share)
        assert os.read(told, 4096) == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_gives_a_share_to_the_user_who_keeps_the_audit_log(directory: Path) -> None:
    os.chown(directory / "audit/audit.log", NOBODY, NOBODY)
    with somebody_listens(directory, NOBODY) as told, Secret("share", b"academic acid") as share:
        order(directory, Order("unseal"), share)
        assert os.read(told, 4096) == to_line(Order("unseal")) + b"academic acid\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_else_who_listens_in_the_proxys_place_leads_nowhere(directory: Path) -> None:
    configuration = load(directory / "sottovoce.toml")
    with somebody_listens(directory, NOBODY), pytest.raises(Unordered, match=f"user {NOBODY} listens at "):
        find_admin(configuration)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN])
def test_a_socket_that_takes_nobody_in_leaves_a_doubt(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", refuse)
    configuration = load(directory / "sottovoce.toml")
    doubt = f"{directory}/run/ready.control: {os.strerror(number)}"
    assert find_admin(configuration) == Found(configuration.admin, doubt)


def test_an_answer_that_is_nested_too_deeply_is_none(directory: Path) -> None:
    nested = b'{"more": ' + b"[" * 50_000 + b"\n"
    with running_over(directory, nested), pytest.raises(Unordered, match="the proxy gave no answer at "):
        order(directory, Order("look"))
