"""Known secrets go through everything that a person runs, with bugs and mistakes on the way: none comes to light.

Each process tells what its secrets are (`telling`): PINs, seeds, every key of every call, the TLS key, tokens.  Then
all that was said anywhere is searched: standard output and error at level debug, the audit log, every file of the
directory but the one that holds the PIN.
"""

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import time
import wave
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.peers.servers.processes import free_port
from tests.running import environment
from tests.shows.needles import forms, leaks
from tests.shows.telling import notes

pytestmark = pytest.mark.interop(tool="softhsm2-util")
ROOT = Path(__file__).parents[2]
SHORTEST_BYTES = 16
"""Shorter ones are nonces, and would be met by chance."""
TOKEN_FILES = {"token", "wrong-token"}


class Stage:
    """A directory, the secrets that were told and what was said."""

    def __init__(self, place: Path) -> None:
        self.directory = place / "voice"
        self.place = place
        self.said = b""
        self.planted: list[tuple[str, bytes]] = []
        self._notes = place / "notes"

    def plant(self, name: str, text: str) -> str:
        self.planted.append((name, text.encode()))
        return text

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Run a command to its end; what it said is searched later."""
        done = subprocess.run(self._command(*words), capture_output=True, check=False, cwd=ROOT, env=self._environment)
        said = done.stdout + done.stderr
        assert done.returncode == code, said.decode()
        self.said += said
        return said.decode()

    @contextmanager
    def serving(self, *words: str) -> Generator[None]:
        """Run the proxy."""
        ready, log = self.directory / "run/ready", self.place / "serve.log"
        with log.open("wb") as stderr:
            command = self._command("serve", self.directory, *words)
            process = subprocess.Popen(command, stdout=stderr, stderr=stderr, cwd=ROOT, env=self._environment)
            with process:
                try:
                    while not ready.exists() or not ready.read_text():
                        assert process.poll() is None, log.read_text()
                        time.sleep(0.02)
                    yield
                    process.terminate()
                    assert process.wait(30) == 0
                finally:
                    process.kill()
        self.said += log.read_bytes()

    def secrets(self) -> set[tuple[str, bytes]]:
        """Names and values of everything that must not be seen."""
        told = notes(self._notes.read_text())
        return {(name, value) for name, value in (*told, *self.planted) if len(value) >= SHORTEST_BYTES}

    def files(self) -> bytes:
        """What stands in the directory, but for the PIN's own file."""
        kept = (self.directory / "secrets/pin", *(self.directory / name for name in TOKEN_FILES))
        return b"\n".join(
            file.read_bytes() for file in self.directory.rglob("*") if file.is_file() and file not in kept
        )

    @property
    def _environment(self) -> dict[str, str]:
        return environment(SOTTOVOCE_DEBUG="1")

    def _command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "tests.shows.planted_child", str(self._notes), "run", *map(str, words)]


def test_no_secret_is_seen_anywhere(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    port = free_port()
    stage.run("init", stage.directory, "--port", str(port), "--admin-port", "0")
    stage.plant("PIN file", (stage.directory / "secrets/pin").read_text().strip())
    words = _prepare(stage, port)
    with stage.serving(*words):
        _calls(stage, f"localhost:{port}")
    _mistakes(stage)
    planted = stage.secrets()
    names = {name for name, _ in planted}
    assert names >= EXPECTED, EXPECTED - names
    assert b"RuntimeError" in stage.said, "the bugs came to light, without their text"
    assert leaks(stage.said, planted) == []
    assert leaks(stage.files(), planted) == []


EXPECTED = {
    *("PIN", "officer-PIN", "new-seed", "serving-seed", "anchor-seed", "PIN file"),
    *("leaf-key", "leaf-der", "X25519PrivateKey", "MLKEM768PrivateKey", "hybrid"),
    *("c-hs", "s-hs", "derived", "key", "finished", "root", "rekey", "c2s", "s2c", "sframe-base", "sframe-key"),
    *("bearer-token", "token", "wrong token", "password", "wrong PIN", "crashed", "audio"),
}


def _prepare(stage: Stage, port: int) -> list[str]:
    """Give the proxy a token file and a route that crashes; write a recording of noise."""
    directory = stage.directory
    token = stage.plant("token", secrets.token_urlsafe(32))
    (directory / "token").write_text(token)
    (directory / "wrong-token").write_text(stage.plant("wrong token", secrets.token_urlsafe(32)))
    digest = hashlib.sha256(token.encode()).hexdigest()
    (directory / "clients.toml").write_text(
        f'[[client]]\nname = "caller"\ntoken_sha256 = "{digest}"\naudience = ["localhost:{port}"]\n'
    )
    noise = os.urandom(16_000)
    stage.planted.append(("audio", noise[640:1280]))
    with wave.open(str(stage.place / "noise.wav"), "wb") as wav:
        wav.setparams((1, 2, 16_000, 0, "NONE", ""))
        wav.writeframes(noise)
    changes = ("log.level=debug", "log.format=json", "clients.file=clients.toml", "routes.crash.adapter=echo")
    quick = ("voice.messages_per_key=16", "voice.epoch_seconds=2")
    return [word for change in (*changes, *quick) for word in ("--set", change)]


def _calls(stage: Stage, authority: str) -> None:
    """A good call, and bad ones."""
    noise, back = stage.place / "noise.wav", stage.directory / "back.wav"
    good = ("--dir", stage.directory, "--token-file", stage.directory / "token")
    stage.run("call", f"wss://{authority}/echo", noise, *good, "--out", back)
    back.unlink()
    stage.run("call", f"wss://{authority}/crash", noise, *good, code=1)
    wrong = ("--dir", stage.directory, "--token-file", stage.directory / "wrong-token")
    assert "4401" in stage.run("call", f"wss://{authority}/echo", noise, *wrong, code=1)
    password = stage.plant("password", secrets.token_urlsafe(24))
    stage.run("call", f"wss://caller:{password}@{authority}/echo", noise, *good, code=1)
    stage.run("call", f"wss://{authority}/echo", noise, *good, "--anchor", stage.directory / "token", code=2)


def _mistakes(stage: Stage) -> None:
    """Starts that fail: another PIN, a token file in the PIN's place, a damaged seed."""
    pin = stage.directory / "secrets/pin"
    right = pin.read_text()
    pin.write_text(stage.plant("wrong PIN", secrets.token_hex(20)) + "\n")
    stage.run("serve", stage.directory, code=1)
    pin.write_text(right)
    pin.chmod(0o644)
    stage.run("serve", stage.directory, code=1)
    pin.chmod(0o600)
    seed = stage.directory / "keys/serving.mldsa65.json"
    seed.write_text(seed.read_text()[:-40])
    stage.run("serve", stage.directory, code=1)
    stage.run("check", stage.directory)
    stage.run("audit", "tail", stage.directory)


def test_the_control_a_key_that_is_logged_is_found(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    command = [sys.executable, "-m", "tests.shows.planted_child", str(file), "leak"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, env=environment())
    assert leaks(done.stderr, notes(file.read_text())) == ["logged", "raised"]


@pytest.mark.parametrize("place", range(3))
def test_the_control_each_form_is_found(place: int) -> None:
    secret = bytes(range(100, 148))
    shown = base64.b64encode(bytes(place) + secret + b"more")
    for form in (*forms(secret), shown, secret.hex().upper().encode(), repr(secret).encode()):
        assert leaks(b"before " + form + b" after", [("secret", secret)]) == ["secret"]
        assert leaks(b"before " + form + b" after", [("secret", secret[::-1])]) == []
