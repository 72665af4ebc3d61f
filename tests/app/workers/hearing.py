"""A service manager's ear: what a proxy says to it, and when."""

import socket
import struct
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

_TIMESTAMP = 29
"""SO_TIMESTAMP and SCM_TIMESTAMP of socket(7), which Python does not name."""
_TIME = struct.Struct("ll")


class Heard(NamedTuple):
    """A message, and when it was sent."""

    at: datetime
    said: str


class Ear:
    """NOTIFY_SOCKET, at a path in a directory."""

    def __init__(self, directory: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
        self.path = str(directory / "notify")
        self.socket.bind(self.path)
        self.socket.setblocking(False)  # noqa: FBT003  its only argument

    def heard(self) -> list[Heard]:
        """Give what came since it was asked last, the first line of each."""
        messages: list[Heard] = []
        with suppress(BlockingIOError):
            while True:
                said, [(_, _, time)], *_ = self.socket.recvmsg(200, 100)
                seconds, microseconds = _TIME.unpack(time)
                at = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
                messages.append(Heard(at, said.decode().partition("\n")[0]))
        return messages
