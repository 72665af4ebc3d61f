"""A worker's process, seen from the supervisor."""

import subprocess
import sys
from pathlib import Path

import trio

from sottovoce.app.workers.child import Child


def test_one_that_was_reaped_before_it_was_taken_over_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pid = process.pid
    child = Child(pid)
    child.kill()
    assert trio.run(child.ended) == "it ended with status 0"
    child.close()


def test_one_that_is_killed_says_so_and_leaves_no_zombie() -> None:
    process = subprocess.Popen(["/bin/sleep", "600"])
    child = Child(process.pid, process)
    child.kill()
    assert trio.run(child.ended) == "it was ended by SIGKILL"
    child.kill()
    child.close()
    assert not Path(f"/proc/{process.pid}").exists()
