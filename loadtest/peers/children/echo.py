"""The backend of all contenders: `python -m loadtest.peers.children.echo PORT`, a plain WebSocket that echoes binaries.

It shares a core with the generator, so it is as lean as Python allows: one epoll loop, frames taken apart by hand, one
write for what one read brought.  It speaks the `raw` contract as far as an echo needs (texts are read and not
answered), and as much of RFC 6455 as proxies on loopback send: no fragments, nothing beyond 64 KiB.  Whoever sends
something else is cut off.  Not an example of a backend.
"""

import base64
import hashlib
import re
import select
import socket
import sys
from contextlib import suppress

from websockets.speedups import apply_mask

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"\r\nsec-websocket-key:[ \t]*([^\r \t]+)", re.IGNORECASE)
_READ_BYTES = 65_536
_MAX_WAITING = 1 << 20
_BACKLOG = 1024
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_MASK_BIT, _SHORT, _TWO_BYTES = 0x80, 126, 126


class Misfit(Exception):
    """The other side sent what this backend does not take."""


class Connection:
    """One proxy's connection: bytes in, bytes out."""

    def __init__(self) -> None:
        self._pending = b""
        self._is_open = False
        self.is_over = False

    def receive(self, data: bytes) -> bytes:
        """Take what came; give what goes back.  Raises Misfit."""
        data = self._pending + data if self._pending else data
        if self._is_open:
            return self._frames(data)
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            if len(data) > _READ_BYTES:
                raise Misfit("a request without an end")
            self._pending = data
            return b""
        key = _KEY.search(head)
        if key is None:
            raise Misfit("a request that is no WebSocket's")
        self._pending, self._is_open = b"", True
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())  # noqa: S324  RFC 6455 §4.2.2 wants SHA-1
        answer = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return answer + self._frames(rest)

    def _frames(self, data: bytes) -> bytes:
        out: list[bytes] = []
        start, end = 0, len(data)
        while end - start >= 6:  # noqa: PLR2004  two bytes and the mask
            length = data[start + 1] - _MASK_BIT
            body = start + 6
            if length == _TWO_BYTES:
                body = start + 8
                length = int.from_bytes(data[start + 2 : start + 4])
            elif not 0 <= length < _TWO_BYTES:
                raise Misfit("a frame without a mask, or a huge one")
            if end - body < length:
                break
            opcode = data[start]
            start = body + length
            if opcode in {_BINARY, _PING, _CLOSE}:
                payload = apply_mask(data[body:start], data[body - 4 : body])
                out.append(frame(_PONG if opcode == _PING else opcode, payload))
                self.is_over |= opcode == _CLOSE
            elif opcode not in {_TEXT, _PONG}:
                raise Misfit("a fragment, or an opcode that is none")
        self._pending = data[start:]
        return b"".join(out)


def frame(first: int, payload: bytes) -> bytes:
    """Give a frame of a server."""
    length = len(payload)
    if length < _SHORT:
        return bytes((first, length)) + payload
    return bytes((first, _TWO_BYTES)) + length.to_bytes(2) + payload


class Echo:
    """All connections."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self._listener.settimeout(0)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._open: dict[int, tuple[socket.socket, Connection]] = {}
        self._waiting: dict[int, bytes] = {}

    def run(self) -> None:
        """Serve until the process ends."""
        listener = self._listener.fileno()
        while True:
            for number, event in self._epoll.poll():
                if number == listener:
                    self._accept()
                elif event & select.EPOLLOUT:
                    self._write(number, b"")
                else:
                    self._read(number)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                accepted, _ = self._listener.accept()
                accepted.settimeout(0)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open[accepted.fileno()] = accepted, Connection()
                self._epoll.register(accepted, select.EPOLLIN)

    def _read(self, number: int) -> None:
        peer, connection = self._open[number]
        try:
            data = peer.recv(_READ_BYTES)
            answer = connection.receive(data) if data else b""
        except BlockingIOError:
            return
        except (OSError, Misfit):
            data = answer = b""
        if answer:
            self._write(number, answer)
        if number in self._open and (not data or connection.is_over):
            self._drop(number)

    def _write(self, number: int, data: bytes) -> None:
        peer, _ = self._open[number]
        had = self._waiting.pop(number, b"")
        data = had + data
        try:
            sent = peer.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(number)
            return
        left = data[sent:]
        if len(left) > _MAX_WAITING:
            self._drop(number)
            return
        if left:
            self._waiting[number] = left
        if bool(left) != bool(had):
            self._epoll.modify(number, select.EPOLLIN | (select.EPOLLOUT if left else 0))

    def _drop(self, number: int) -> None:
        peer, _ = self._open.pop(number)
        self._waiting.pop(number, None)
        self._epoll.unregister(number)
        peer.close()


if __name__ == "__main__":
    Echo(int(sys.argv[1])).run()
