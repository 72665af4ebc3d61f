"""No secret of a call is in memory once its epoch is over, and none at all once the call is: the whole proxy, a client.

Both run in processes of their own, which tell what their secrets were (`memory_child`).  Their memory is read from
outside while they stand still.  Keys that live are found: that is the control.  Not looked into: the token process,
whose PIN and keys are its library's for as long as it runs.
"""

import contextlib
import hashlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from loadtest.peers.servers.processes import free_port
from tests.running import environment
from tests.shows.telling import notes

pytestmark = pytest.mark.interop(tool=("softhsm2-util", "/proc/self/mem"))
ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
_LOOK_SECONDS = 0.02
_WORD = 8
OF_TLS = {"TLS-traffic-secret", "key"}
"""As long as the connection lives, where its records are our own: at the server."""
AT_SERVER = ["TLS-traffic-secret", "TLS-traffic-secret", "rekey", "sframe-base", "sframe-base"]
AT_CLIENT = ["rekey", "res", "sframe-base", "sframe-base"]
"""The server has no use for res[e] once it has given the epoch's ticket out; a client may be given more."""
TICKET_KEYS = {"ticket-seal", "ticket-number"}
IN_CIPHERS = {"key", "sframe-key"}
"""Wiped when the cipher object is made, which holds a copy as long as its generation lasts (docs/threats.md)."""

LEFT = {
    ("bytes", 32): "half of a hybrid secret: the library's buffer for an ML-KEM secret is freed with most of it inside",
    ("bytes", 10): "the head of a nonce: each record's nonce is a `bytes` of its own, left to the allocator",
    ("sframe-salt", 12): "likewise",
    ("iv", 12): "likewise, of TLS's records",
}
HALF_LEFT = {("hybrid", 64), ("bytes", 64)}
"""Joined: the first half is the ML-KEM secret, of which that buffer keeps up to 24 bytes; only the other is ours."""


class Told(NamedTuple):
    """What a process has told up to now; what was made and wiped again and again is told once."""

    wiped: list[tuple[str, bytes]]
    live: list[tuple[str, bytes]]


class Watched:
    """A process of ours that tells its secrets."""

    def __init__(self, file: Path, *words: str) -> None:
        self._notes = file
        command = [sys.executable, "-m", "tests.shows.memory_child", str(file), *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def told(self) -> Told:
        """Ask what lives, and read everything that was told."""
        times = self._notes.read_text().count("told\n")
        self.process.send_signal(signal.SIGUSR1)
        eventually(lambda: self._notes.read_text().count("told\n") > times, "the process does not answer")
        parts = self._notes.read_text().split("told\n")
        return Told(
            wiped=list(dict.fromkeys(note for part in parts for note in notes(part, "wiped"))),
            live=list(notes(parts[-2], "live")),
        )

    def memory(self) -> list[bytes]:
        """Every region that can be written."""
        regions: list[bytes] = []
        with Path(f"/proc/{self.process.pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{self.process.pid}/maps").read_text(encoding="ascii").splitlines():
                span, flags, *_ = line.split()
                start, end = (int(part, 16) for part in span.split("-"))
                if flags.startswith("rw"):
                    memory.seek(start)
                    with contextlib.suppress(OSError):
                        regions.append(memory.read(end - start))
        return regions

    def until(self, point: str) -> None:
        """Wait until a client stands still at a point."""
        assert self.process.stdout
        assert self.process.stdout.readline().decode().strip() == point

    def go_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


def eventually(happened: Callable[[], bool], otherwise: str) -> None:
    """Look again and again: another process does it, and there is nothing to wait on."""
    give_up_at = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < give_up_at, otherwise
        time.sleep(_LOOK_SECONDS)


def found(memory: list[bytes], values: list[tuple[str, bytes]]) -> list[str]:
    """Names of the secrets of which a run of eight bytes is in memory, near the beginning or the end; one for each.

    Memory is compared word by word: wherever a secret of sixteen bytes lies, one of the eight words that begin in its
    first eight bytes is a word of memory.  (A shorter one is met where it begins at a word, as each `bytes` does.)
    """
    words: dict[int, set[int]] = {}
    for number, (_, value) in enumerate(values):
        for part in (value[:16], value[-16:]):
            for start in range(len(part) - _WORD + 1):
                words.setdefault(int.from_bytes(part[start : start + _WORD], sys.byteorder), set()).add(number)
    met = {word for region in memory for word in set(words).intersection(memoryview(region).cast("Q"))}
    return sorted(values[number][0] for number in {number for word in met for number in words[word]})


@pytest.fixture
def proxy(directory: Path) -> Generator[Watched]:
    token, port = secrets.token_hex(24), free_port()
    (directory / "token").write_text(token)
    digest = hashlib.sha256(token.encode()).hexdigest()
    (directory / "clients.toml").write_text(
        f'[[client]]\nname = "watched"\ntoken_sha256 = "{digest}"\naudience = ["localhost:{port}"]\n'
    )
    listener = (f"listener.address=127.0.0.1:{port}", "clients.file=clients.toml")
    changes = (*listener, "voice.epoch_seconds=2", "voice.messages_per_key=16", "log.format=json")
    ready = directory / "run/ready"
    with Watched(directory / "proxy.notes", "serve", str(directory), *changes) as proxy:
        eventually(lambda: ready.exists() and bool(ready.read_text()), "the proxy does not start")
        yield proxy


def test_no_secret_stays_in_memory_after_a_switch_and_after_the_end(proxy: Watched, directory: Path) -> None:
    port = (directory / "run/ready").read_text().strip().rpartition(":")[2]
    url = f"wss://localhost:{port}/echo"
    with Watched(directory / "client.notes", "call", str(directory), url, str(directory / "token")) as client:
        client.until("talking")
        early = [look_at_a_call(proxy, AT_SERVER), look_at_a_call(client, AT_CLIENT)]
        client.go_on()
        client.until("switched")
        for one, (secrets_then, ciphers_then) in zip((proxy, client), early, strict=True):
            secrets_now, _ = look_at_a_call(one, AT_SERVER if one is proxy else AT_CLIENT)
            assert len(secrets_now) > len(secrets_then) + 25, "the control: an epoch had several generations"
            then = [note for note in (*secrets_then, *ciphers_then) if note[0] not in OF_TLS]
            assert found(one.memory(), then) == [], "an epoch that is over"
        client.go_on()
        client.until("closed")
        eventually(lambda: not of_calls(proxy.told().live), "secrets of a call that is over live in the proxy")
        for one in (proxy, client):
            assert of_calls(one.told().live) == []
            eventually(lambda one=one: not found(one.memory(), owned(one.told().wiped)), "a wiped secret stays")


def look_at_a_call(one: Watched, expected: list[str]) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """Check what a call that goes on has in memory; give what it had: our secrets, and the keys inside of ciphers."""
    told, memory = one.told(), one.memory()
    live = of_calls(told.live)
    assert sorted(name for name, _ in live) == expected
    assert found(memory, live) == expected, "the control: what lives is found"
    lives = {value for _, value in live}  # a ticket's psk is a copy of res[e]
    wiped = [note for note in owned(told.wiped) if note[1] not in lives]
    keys = [note for note in wiped if note[0] in IN_CIPHERS]
    others = [note for note in wiped if note[0] not in IN_CIPHERS]
    # A word of a key may lie on the stack below whoever runs, until something else is written there.
    eventually(lambda: not found(one.memory(), others), "a wiped secret stays")
    in_ciphers = 2 * (["key"] if expected is AT_SERVER else []) + 2 * ["sframe-key"]
    assert found(memory, keys) == in_ciphers, "the generation that each direction is in"
    return [*live, *others], keys


def of_calls(live: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Leave out the keys that seal tickets: the proxy's own, as long as it serves."""
    return [note for note in live if note[0] not in TICKET_KEYS]


def owned(wiped: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Leave out what docs/threats.md names as left to others, or as no key."""
    return [
        (name, value[32:] if (name, len(value)) in HALF_LEFT else value)
        for name, value in wiped
        if (name, len(value)) not in LEFT
    ]
