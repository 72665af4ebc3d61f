"""Somebody who knows nothing but what is printed: types a transcript, in an empty directory, at a terminal.

Each command has a terminal of its own, as people have, so that what is said to people only is seen here, too.  The
environment is empty but for PATH, HOME and the like; HOME is empty as well.
"""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.firstrun.transcript import Step, is_printed, readme_start, usable_ports

PATIENCE_SECONDS = 60.0
SET_UP_SECONDS = 1200.0
STOP_SECONDS = 15.0
ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.05
_PASSED = ("PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "SSL_CERT_FILE", "https_proxy", "http_proxy", "no_proxy")
"""How this machine reaches a package index, for who sets up anew."""
_escapes = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_overwritten = re.compile(r"[^\n]*\r")


class Lost(AssertionError):
    """A stranger who would not know what to do now."""


class Terminal:
    """A command at a terminal, and what is seen there."""

    def __init__(self, line: str, cwd: Path, env: dict[str, str]) -> None:
        """Type the line."""
        master, slave = pty.openpty()
        self._seen = bytearray()
        try:
            self.process = subprocess.Popen(
                ["sh", "-c", line], cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
            )
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """What a person can read: of a line that was written over, the last."""
        text = _escapes.sub("", bytes(self._seen).decode(errors="replace")).replace("\r\n", "\n")
        return _overwritten.sub("", text)

    def wait(self, seconds: float) -> int:
        """Wait for the end; give the exit status."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Lost(f"it goes on and on:\n{self.text}") from None
        self._reader.join(STOP_SECONDS)
        return code

    def stop(self) -> None:
        """End it, and what it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
                return

    def _read(self, master: int) -> None:
        with open(master, "rb", buffering=0) as stream, suppress(OSError):
            while chunk := stream.read(65536):
                self._seen += chunk


class Stranger:
    """Types commands, and remembers what was printed."""

    def __init__(self, home: Path, tell: Callable[[str], None]) -> None:
        """Begin in an empty directory below `home`; `tell` hears what is typed and seen."""
        self.directory = home / "work"
        self.directory.mkdir(parents=True)
        (home / "home").mkdir()
        path = os.environ.get("PATH", os.defpath)
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        self._env = passed | {"PATH": path, "HOME": str(home / "home"), "LANG": "C.UTF-8", "TERM": "xterm"}
        self._tell = tell
        self._printed: list[str] = []

    @contextmanager
    def typing(self, steps: tuple[Step, ...], *, is_fresh: bool = False) -> Generator[None]:
        """Type a whole transcript; what goes on in the background goes on within the block."""
        start, *rest = steps
        self._set_up(start, is_fresh=is_fresh)
        ports = usable_ports()
        with ExitStack() as stack:
            for step in rest:
                if not is_printed(step.command, [readme_start()]):
                    self._look_for(step.with_ports(ports))
                self._type(step.with_ports(ports), stack)
            yield

    def _set_up(self, step: Step, *, is_fresh: bool) -> None:
        """Get the program; that takes minutes and a network, so that else this checkout's is taken."""
        self._look_for(step)
        self._tell(f"$ {step.typed}")
        checkout = self.directory / "sottovoce"
        if is_fresh:
            terminal = Terminal(step.command.replace("REPOSITORY", str(ROOT)), self.directory, self._env)
            self._see(step, terminal, terminal.wait(SET_UP_SECONDS))
        else:
            self._tell(f"(taken from {ROOT})")
            checkout.mkdir()
        programs = checkout / ".venv/bin" if is_fresh else Path(sys.executable).parent
        self._env["PATH"] = f"{programs}{os.pathsep}{self._env['PATH']}"
        self.directory = checkout

    def _look_for(self, step: Step) -> None:
        if not is_printed(step.command, [readme_start(), *self._printed]):
            raise Lost(f"nothing has said so far: {step.command}")

    def _type(self, step: Step, stack: ExitStack) -> None:
        self._tell(f"$ {step.typed}")
        terminal = Terminal(step.command, self.directory, self._env)
        stack.callback(terminal.stop)
        if not step.is_background:
            self._see(step, terminal, terminal.wait(PATIENCE_SECONDS))
            return
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not all(text in terminal.text for text in step.seen):
            if time.monotonic() > give_up_at or terminal.process.poll() is not None:
                raise Lost(f"{step.command} does not say {step.seen}:\n{terminal.text}")
            time.sleep(_LOOK_SECONDS)  # another process writes: there is nothing to wait on
        self._see(step, terminal, 0)

    def _see(self, step: Step, terminal: Terminal, code: int) -> None:
        self._printed.append(terminal.text)
        self._tell(terminal.text.rstrip("\n"))
        if code:
            raise Lost(f"{step.command} exits with {code}:\n{terminal.text}")
        for text in step.seen:
            if text not in terminal.text:
                raise Lost(f"{step.command} does not say {text!r}:\n{terminal.text}")
