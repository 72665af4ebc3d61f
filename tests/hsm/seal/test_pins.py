"""Held PINs: what a token process gets of them, and that they are gone for everybody at once."""

import os
import subprocess
import sys
from pathlib import Path

from sottovoce.hsm.seal.pins import HeldPins, write_pin
from sottovoce.primitives import Secret

ROOT = Path(__file__).parents[3]
READER = """
import sys
from sottovoce.hsm.process.pin import read_pin
from sottovoce.hsm.vendors import parse_pin_source
for _ in sys.stdin:
    try:
        print(read_pin(parse_pin_source(sys.argv[1])).copy_for_sealing().decode(), flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


def test_a_process_that_inherits_it_reads_it_again_and_again_until_it_is_dropped() -> None:
    with HeldPins(["a", "b"]) as pins:
        write_pin(pins.places["a"].descriptor, Secret("PIN", b"1234"))
        source, descriptor = pins.places["a"]
        command = [sys.executable, "-c", READER, source]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            pass_fds=(descriptor,),
            bufsize=1,
        ) as reader:
            assert reader.stdin is not None
            assert reader.stdout is not None
            heard: list[str] = []
            for _ in range(2):  # a second process, or a second login, reads it from its beginning again
                reader.stdin.write("\n")
                heard.append(reader.stdout.readline().strip())
            pins.drop()
            reader.stdin.write("\n")
            heard.append(reader.stdout.readline().strip())
            reader.stdin.close()
        assert heard == ["1234", "1234", "PinUnreadable"]


def test_what_another_process_wrote_is_moved_on_and_nothing_is_left_there() -> None:
    with HeldPins(["a", "b"]) as pins, HeldPins(["a", "b"]) as written:
        for _ in range(2):
            write_pin(written.places["a"].descriptor, Secret("PIN", b"1234"))
            stale = os.dup(written.places["a"].descriptor)
            pins.fill_from(written)
            assert os.pread(pins.places["a"].descriptor, 99, 0) == b"1234"
            assert os.fstat(pins.places["b"].descriptor).st_size == 0
            assert os.fstat(stale).st_size == 0
            os.close(stale)
            pins.drop()
            written.__init__(["a", "b"])


def test_dropping_overwrites_before_it_shortens() -> None:
    """Whoever has it mapped sees zeros, not an error and the old bytes in the kernel."""
    with HeldPins(["a"]) as pins:
        secret = Secret("PIN", b"1234")
        write_pin(pins.places["a"].descriptor, secret)
        assert secret.is_wiped
        pins.drop()
        assert os.fstat(pins.places["a"].descriptor).st_size == 0
        pins.drop()


def test_nothing_is_left_open() -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    with HeldPins(["a", "b"]) as pins:
        assert open_files() == before + 2
        pins.close()
    assert open_files() == before
