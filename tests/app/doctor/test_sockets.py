import errno
import fcntl
import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.app.doctor.sockets import (
    Listening,
    bind_error,
    covers,
    holder_of,
    is_proxy,
    locker_of,
    parse_listening,
    parse_locker,
)

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2085612 1 0 100 0 0 10 0
   1: 0100007F:20FB 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0
   2: nonsense
"""
TCP6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 12 1 0
"""
LOCKS = """1: FLOCK  ADVISORY  WRITE 4711 fe:01:99 0 EOF
2: POSIX  ADVISORY  WRITE 4712 fe:01:99 0 EOF
3: FLOCK  ADVISORY  READ 4713 fe:01:98 0 EOF
4: -> FLOCK  ADVISORY  WRITE 4714 fe:01:97 0 EOF
"""


def test_the_kernels_tables_are_read() -> None:
    assert list(parse_listening(TCP)) == [Listening(ip_address("127.0.0.1"), 8443, "2085612")]
    assert list(parse_listening(TCP6)) == [Listening(ip_address("::1"), 443, "12")]


@pytest.mark.parametrize(
    ("held", "wanted", "is_covered"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104  an address of a table
        ("127.0.0.1", "0.0.0.0", True),  # noqa: S104  likewise
        ("::", "127.0.0.1", True),
        ("::1", "127.0.0.1", False),
        ("::1", "0.0.0.0", False),  # noqa: S104  likewise
        ("0.0.0.0", "::1", False),  # noqa: S104  likewise
    ],
)
def test_who_keeps_whom_from_binding(held: str, wanted: str, *, is_covered: bool) -> None:
    assert covers(Listening(ip_address(held), 443, ""), wanted, 443) is is_covered
    assert not covers(Listening(ip_address(held), 444, ""), wanted, 443)


def test_the_holder_of_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        holder = holder_of("127.0.0.1", port)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert holder.program
        error = bind_error("127.0.0.1", port)
        assert error is not None
        assert error.errno == errno.EADDRINUSE
    assert holder_of("127.0.0.1", port) is None
    assert bind_error("127.0.0.1", port) is None


def test_an_exclusive_lock_has_a_holder(tmp_path: Path) -> None:
    device = os.makedev(0xFE, 1)
    assert parse_locker(LOCKS, device, 99) == 4711
    assert parse_locker(LOCKS, device, 98) is None
    assert parse_locker(LOCKS, device, 97) is None
    path = tmp_path / "log"
    assert locker_of(path) is None
    with path.open("w") as file:
        assert locker_of(path) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = locker_of(path)
        assert holder is not None
        assert holder.pid == os.getpid()


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("/opt/sottovoce/bin/sottovoce serve /srv/voice", True),
        ("/opt/sottovoce/bin/python /opt/sottovoce/bin/sottovoce serve /srv/voice", True),
        ("/usr/bin/python3 -P -m sottovoce serve prod", True),
        ("/usr/bin/python3 -m sottovoce.app.workers.process 4", True),
        ("/usr/bin/python3 -m sottovoce.relay.demo_backend --port 1", False),
        ("/usr/bin/python3 -m http.server sottovoce", False),
        ("python3 -m", False),
        ("", False),
    ],
)
def test_our_own_program_is_known_by_its_command_line(line: str, *, ours: bool) -> None:
    assert is_proxy(line.split(" ")) is ours


@given(st.text())
def test_any_table_is_taken(text: str) -> None:
    list(parse_listening(text))
    parse_locker(text, 0, 0)
