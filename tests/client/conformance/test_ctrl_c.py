"""Ctrl-C in a program that blocks, one that ends without closing its call, one that forks: each ends, and at once."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sottovoce.client.settings import CallOptions, settings_for
from sottovoce.client.sync import carrier
from sottovoce.client.sync.link import Link
from sottovoce.client.sync.opening import dial_tcp, open_call
from sottovoce.session import format_anchor_file
from tests.client.conformance.hosts import Host
from tests.client.conformance.words import usual
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
    print("reads", flush=True)
    for item in call: pass
except KeyboardInterrupt as error:
    connecting.__exit__(type(error), error, None)
    print(call.ended.code, [each.name for each in threading.enumerate()])
"""
_FORKS = """
import os
from sottovoce.primitives import ApiMisuse
if not os.fork():
    try: call.send(b"from the child")
    except ApiMisuse as error: print(error)
    connecting.__exit__(None, None, None)
    print("the child is done", call.ended, flush=True)
    raise SystemExit
os.wait()
call.send(b"still here")
print(call.receive(20).payload)
connecting.__exit__(None, None, None)
print(call.ended.code)
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
        assert process.stdout.readline() == "reads\n"
        time.sleep(0.1)  # most likely it waits by then; wherever it is, it ends so
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


def test_a_call_stays_with_the_process_that_made_it(host: Host, tmp_path: Path) -> None:
    with _start(host, tmp_path, _PROGRAM + _FORKS) as process:
        try:
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert output.splitlines() == [
        "open",
        "a call does not come along when a process forks: make one in the new process",
        "the child is done None",
        "b'still here'",
        "1000",
    ]
    assert (errors, process.returncode) == ("", 0)
    host.until_done()
    assert host.last.pure.audio == [b"\0still here"]


def test_a_call_that_nobody_holds_ends_though_its_finalizer_was_struck(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "_LOOK_SECONDS", 0.05)
    monkeypatch.delattr(Link, "__del__")  # Ctrl-C strikes at its first step
    options = usual({})
    clock = options.pop("clock")
    link = open_call(settings_for(host.url, CallOptions(**options)), clock, dial_tcp)
    (thread,) = [each for each in threading.enumerate() if each.name.startswith("sottovoce")]
    time.sleep(0.2)
    assert thread.is_alive()
    del link
    thread.join(20)
    assert not thread.is_alive()
