"""Ctrl-C in a program that blocks, and a program that ends without closing its call: both end, and at once."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sottovoce.session import format_anchor_file
from tests.client.conformance.hosts import Host
from tests.client.servers import anchors
from tests.running import ROOT
from tests.transport.certificates import authority

_PROGRAM = """
import sys, threading
from sottovoce.client.sync import connect
from tests.client.conformance.words import Clock

connecting = connect(sys.argv[1], anchor=sys.argv[2] + "/anchor.json", ca=sys.argv[2] + "/ca.pem", clock=Clock())
call = connecting.__enter__()
print("open", flush=True)
"""
_READS = """
try:
    for item in call: pass
except KeyboardInterrupt as error:
    connecting.__exit__(type(error), error, None)
    print(call.ended.code, [each.name for each in threading.enumerate()])
"""


def _start(host: Host, directory: Path, program: str) -> "subprocess.Popen[Any]":
    (directory / "anchor.json").write_bytes(format_anchor_file(anchors()))
    (directory / "ca.pem").write_bytes(authority().pem)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, host.url, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_ctrl_c_says_goodbye_and_leaves_no_thread(host: Host, tmp_path: Path) -> None:
    with _start(host, tmp_path, _PROGRAM + _READS) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (output, errors, process.returncode) == ("1001 ['MainThread']\n", "", 0)
    host.until_done()
    assert host.last.pure.ended is not None
    assert host.last.pure.ended.code == 1001


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)"])
def test_a_program_that_does_not_close_its_call_ends_all_the_same(host: Host, tmp_path: Path, ending: str) -> None:
    with _start(host, tmp_path, _PROGRAM + ending) as process:
        output, errors = process.communicate(timeout=20)
    assert (output, errors, process.returncode) == ("open\n", "", 3 if ending else 0)
    host.until_done()
