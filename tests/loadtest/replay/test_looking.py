"""Looking at processes: ourselves, a child, one that has ended, one that there never was."""

import os
import socket
import subprocess
import sys

from loadtest.replay.processes.looking import Usage, children_of, describe_machine, listeners_of, usage_of

NOBODY = 2**22 + 1


def test_what_we_use_ourselves_is_seen() -> None:
    before = usage_of([os.getpid()])
    sum(range(300_000))
    used = usage_of([os.getpid()]) - before
    assert used.processor_seconds is not None
    assert used.processor_seconds > 0
    assert used.rss_kib is not None
    assert used.rss_kib > 5_000


def test_nobody_and_who_has_ended_use_nothing_known() -> None:
    assert usage_of([]) == usage_of([NOBODY]) == Usage(None, None)
    assert usage_of([os.getpid(), NOBODY]) == Usage(None, None)
    assert (Usage(2.0, 5) - Usage(None, None)).processor_seconds is None


def test_a_child_is_found_and_has_no_memory_once_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in children_of(os.getpid())
        assert usage_of([child.pid]).rss_kib is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert usage_of([child.pid]).rss_kib is None
    assert children_of(NOBODY) == ()


def test_who_listens_is_found_by_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listeners_of(port) == (os.getpid(),)
    assert listeners_of(port) == ()


def test_the_machine_in_one_line() -> None:
    line = describe_machine()
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in line
    assert "core" in line
    assert "\n" not in line
