"""slowhttptest at a running proxy: clients that send, or read, as slowly as they can are gone when their time is up.

What counts is what the proxy itself still holds.  With -X the tool sees its connections open for long after that: the
kernel has the last few bytes of a closed connection to deliver to somebody who hardly reads.
"""

import subprocess
import time
from pathlib import Path

import pytest

from tests.running import running_proxy
from tests.shows.sockets import connections_of

pytestmark = pytest.mark.interop(tool=("softhsm2-util", "slowhttptest"))
CONNECTIONS = 100
HANDSHAKE_SECONDS = 2.0
LONGEST_SECONDS = 12
"""For the tool: by far longer than the deadline."""
PROBES = 2
"""Connections by which the tool looks whether the service still answers: quick ones, one after the other."""
GRACE_SECONDS = 4.0
"""Beyond the deadline, for an answer to be written and for a busy machine."""


@pytest.mark.parametrize("slow", ["-H", "-B", "-X"])
def test_nobody_is_left_past_the_deadline(directory: Path, slow: str) -> None:
    with running_proxy(directory, f"listener.handshake_seconds={HANDSHAKE_SECONDS}") as proxy:
        command = ["slowhttptest", slow, "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", str(LONGEST_SECONDS)]
        url = f"https://127.0.0.1:{proxy.port}/v1/voice/echo"
        with subprocess.Popen(
            [*command, "-i", "1", "-p", "2", "-u", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as tool:
            began, last = time.monotonic(), 0.0
            while tool.poll() is None:
                open_now = connections_of(proxy.pid, proxy.port)
                if open_now > PROBES:
                    last = time.monotonic() - began
                time.sleep(0.05)  # the kernel tells nobody when a process closes a socket
            tool.wait()
        refused = len(proxy.events("upgrade.refused"))
    assert refused >= CONNECTIONS * 0.9, "the tool did connect"
    assert last <= 1.5 + HANDSHAKE_SECONDS + GRACE_SECONDS
