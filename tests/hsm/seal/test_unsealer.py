"""Why shares are gathered in a process of its own: in the proxy's memory there is no share, no key and no PIN.

Both processes' memory is read from outside.  Shares are found in the unsealer's while it lives: that is the control.
"""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from shamir_mnemonic import combine_mnemonics

from sottovoce.hsm.seal import SealStore
from tests.hsm.seal.made import made

pytestmark = pytest.mark.interop(tool="/proc/self/mem")
ROOT = Path(__file__).parents[3]
_RUN = 20
_LOOK = """
import ctypes, resource
from sottovoce.hsm.seal.unsealer import _harden
_harden()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def memory_of(pid: int) -> list[bytes]:
    """Every region that can be written, of a process that stands still."""
    regions: list[bytes] = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines():
            span, flags, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if flags.startswith("rw"):
                memory.seek(start)
                with contextlib.suppress(OSError):
                    regions.append(memory.read(end - start))
    return regions


def runs(secret: bytes) -> list[bytes]:
    """Twenty bytes from each eighth on, long enough not to be met in an English sentence."""
    return [secret[start : start + _RUN] for start in range(0, len(secret) - _RUN + 1, 8)]


def found(pid: int, values: Iterable[bytes]) -> list[bytes]:
    memory = memory_of(pid)
    return [run for value in values for run in runs(value) if any(run in region for region in memory)]


def test_no_share_no_key_and_no_pin_is_in_the_proxys_memory(tmp_path: Path) -> None:
    pins = {"a": secrets.token_hex(16).encode(), "b": secrets.token_hex(16).encode()}
    seal = made(3, 5, pins=pins)
    store = SealStore(tmp_path / "seal.json", tmp_path / "state.json")
    store.create_record(seal.record)
    bodies = [" ".join(text.split()[4:]).encode() for text in seal.texts[:3]]  # four words tell set and number
    wanted = [*bodies, combine_mnemonics(seal.texts[:3]), *pins.values()]
    command = [sys.executable, "-m", "tests.hsm.seal.memory_child", *map(str, store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0) as proxy:
        assert proxy.stdin is not None
        assert proxy.stdout is not None

        def say(line: str) -> str:
            assert proxy.stdin is not None
            assert proxy.stdout is not None
            proxy.stdin.write(line.encode() + b"\n")
            return proxy.stdout.readline().decode().strip()

        assert say(seal.texts[0]) == "unsealing 1"
        assert say(seal.texts[1]) == "unsealing 2"
        children = Path(f"/proc/{proxy.pid}/task").glob("*/children")
        (unsealer,) = [int(pid) for each in children for pid in each.read_text().split()]
        assert found(unsealer, bodies[:2]) != []
        assert found(proxy.pid, wanted) == []
        assert say(seal.texts[2]) == "unsealed 0"
        assert found(proxy.pid, wanted) == []
        assert held(proxy.pid) == sorted(pins.values())
        assert say("seal") == "sealed 0"
        assert found(proxy.pid, wanted) == []
        assert held(proxy.pid) == [b"", b""]
        proxy.stdin.close()


def held(pid: int) -> list[bytes]:
    """The content of a process's memory files; others come and go meanwhile."""
    contents: list[bytes] = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "memfd:hsm-pin" in str(each.readlink()):
                contents.append(each.read_bytes())
    return sorted(contents)


def test_it_leaves_no_core_and_cannot_be_traced() -> None:
    said = subprocess.run([sys.executable, "-c", _LOOK], check=True, capture_output=True, text=True).stdout
    assert said == "0 0 0\n"
