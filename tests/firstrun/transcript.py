"""What a stranger types, in a text file: `$` before a command, `>` before what is then to be seen.

A command that ends in `&` goes on behind the others; the next one is typed once all that is to be seen was.
"""

import re
import shlex
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from loadtest.peers.servers.processes import free_port

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
NAMES = tuple(sorted(path.stem for path in HERE.glob("*.txt")))
BACKGROUND = " &"
_DEFAULTS = ("8443", "9443", "9000")
"""Where `init` has the proxy listen and be asked, and where samples of bots listen."""


class Step(NamedTuple):
    """A command, and what its output has to hold."""

    typed: str
    seen: tuple[str, ...]

    @property
    def is_background(self) -> bool:
        return self.typed.endswith(BACKGROUND)

    @property
    def command(self) -> str:
        """The command itself: what has to have been printed before."""
        return self.typed.removesuffix(BACKGROUND)

    def with_ports(self, ports: tuple[str, ...]) -> "Step":
        """Give the same for other ports than the usual ones: `init` is told, and the rest follows."""
        if ports == _DEFAULTS:
            return self
        typed, seen = (_replaced(text, ports) for text in (self.typed, "\n".join(self.seen)))
        if typed.startswith("sottovoce init "):
            typed += f" --port {ports[0]} --admin-port {ports[1]}"
        return Step(typed, tuple(seen.splitlines()))


def read(name: str) -> tuple[Step, ...]:
    """Read a transcript by its name."""
    steps: list[Step] = []
    for line in (HERE / f"{name}.txt").read_text().splitlines():
        mark, _, text = line.partition(" ")
        if mark == "$":
            steps.append(Step(text, ()))
        elif mark == ">":
            steps[-1] = steps[-1]._replace(seen=(*steps[-1].seen, text))
    return tuple(steps)


def usable_ports() -> tuple[str, ...]:
    """Give the usual ports; others where somebody has one of them."""
    return _DEFAULTS if all(map(_is_free, _DEFAULTS)) else tuple(str(free_port()) for _ in _DEFAULTS)


def readme_start() -> str:
    """Give what stands in the README up to the end of its first section."""
    return "## ".join(README.read_text().split("\n## ")[:2])


def is_printed(command: str, texts: Iterable[str]) -> bool:
    """Whether a line of the texts ends with the command, so that it can be copied from there; a comment may follow."""
    line = re.compile(rf"^(?:.*\s)?{re.escape(command)}\s*(?:#.*)?$", re.MULTILINE)
    return bool(shlex.split(command)) and any(line.search(text) for text in texts)


def _replaced(text: str, ports: tuple[str, ...]) -> str:
    for usual, ours in zip(_DEFAULTS, ports, strict=True):
        text = re.sub(rf"\b{usual}\b", ours, text)
    return text


def _is_free(port: str) -> bool:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", int(port)))
        except OSError:
            return False
    return True
