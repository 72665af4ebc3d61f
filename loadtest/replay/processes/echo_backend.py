"""`python -m loadtest.replay.processes.echo_backend [--port N]`: a WebSocket server that gives back what it gets.

Cheap enough that a comparison measures the proxies before it and not itself: one process, one epoll, no library, no
object for a frame.  Binary messages come back as they are, fragments included; texts are read over, so that it is an
echo by the `raw` contract (docs/backend-raw.md) as well.  Where frames have that contract's header, the first one
behind a silence is answered by a `clear` before it comes back: the caller has interrupted.  Pings are answered, a close
is answered and ends the connection.  It checks what it needs to stay in step with its peer and no more: it is no server
for strangers.

Prints the port that it listens on, and runs until it is killed or its standard input ends.  The letter d there takes it
away: it drops its connections and refuses new ones; the letter u brings it back on the same port.
"""

import argparse
import base64
import gc
import hashlib
import os
import select
import socket
import sys

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_READ_BYTES = 65_536
_MAX_HEAD_BYTES = 16_384
_MAX_FRAME_BYTES = 1 << 20
_MAX_PENDING_BYTES = 1 << 22
_MASKED, _FIN, _OPCODE = 0x80, 0x80, 0x0F
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING = 0, 1, 2, 8, 9
_PONG_HEADER = 0x8A
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_BACKLOG = 1024
_DOWN, _UP = b"d", b"u"
_SPEECH_BEGINS = 0x20
_HAS_HEADER = (b'"header":true', b'"header": true')
_CLEAR = b'{"type":"clear"}'
_TEXT_HEADER = 0x81


class ConnectionOver(Exception):
    """Nothing more is to be read; what was answered up to here is written."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


class EchoProtocol:
    """One connection's bytes, without its socket."""

    __slots__ = ("_buffer", "_has_header", "_is_open", "_is_text")

    def __init__(self) -> None:
        self._buffer = b""
        self._has_header = False
        self._is_open = False
        self._is_text = False

    def receive(self, data: bytes) -> bytes:
        """Take what came and give what to write.  Raises ConnectionOver."""
        if self._buffer:
            data = self._buffer + data
        if not self._is_open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > _MAX_HEAD_BYTES:
                    raise ConnectionOver
                self._buffer = data
                return b""
            answer = _upgrade(data[:end])
            self._is_open = True
            self._buffer = b""
            return answer + self._echo(data[end + 4 :])
        return self._echo(data)

    def _echo(self, data: bytes) -> bytes:
        answers: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= 6:  # noqa: PLR2004  the shortest masked frame: two bytes and the mask
            first, length = data[at], data[at + 1] ^ _MASKED
            start = at + 2
            if length == 126:  # noqa: PLR2004  RFC 6455 §5.2
                length = int.from_bytes(data[start : start + 2])
                start += 2
            elif length > 126:  # noqa: PLR2004  an eight-byte length, or a frame that is not masked
                length = int.from_bytes(data[start : start + 8])
                start += 8
                if length > _MAX_FRAME_BYTES or not data[at + 1] & _MASKED:
                    raise ConnectionOver(b"".join(answers))
            end = start + 4 + length
            if end > size:
                break
            self._answer(first, data[start : start + 4], data[start + 4 : end], answers)
            at = end
        self._buffer = data[at:]
        return answers[0] if len(answers) == 1 else b"".join(answers)

    def _answer(self, first: int, mask: bytes, masked: bytes, answers: list[bytes]) -> None:
        opcode = first & _OPCODE
        if opcode in {_TEXT, _BINARY}:
            self._is_text = opcode == _TEXT
        if opcode <= _BINARY:
            payload = unmask(mask, masked)
            if self._is_text:
                self._has_header |= any(each in payload for each in _HAS_HEADER)
                return
            if self._has_header and opcode == _BINARY and payload and payload[0] & _SPEECH_BEGINS:
                answers.append(_frame(_TEXT_HEADER, _CLEAR))
            answers.append(_frame(first, payload))
        elif opcode == _PING:
            answers.append(_frame(_PONG_HEADER, unmask(mask, masked)))
        elif opcode == _CLOSE:
            answers.append(_frame(first, unmask(mask, masked)[:2]))
            raise ConnectionOver(b"".join(answers))


def unmask(mask: bytes, masked: bytes) -> bytes:
    """Give the payload (RFC 6455 §5.3), by one exclusive-or of two long numbers."""
    size = len(masked)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(masked) ^ int.from_bytes(repeated)).to_bytes(size)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:  # noqa: PLR2004  RFC 6455 §5.2
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126, size >> 8, size & 0xFF)) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload


def _upgrade(head: bytes) -> bytes:
    """Give the answer to a request for a WebSocket.  Raises ConnectionOver for any other."""
    lines = head.split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    key = headers.get(b"sec-websocket-key")
    if not key or headers.get(b"upgrade", b"").lower() != b"websocket":
        raise ConnectionOver(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


class _Peer:
    __slots__ = ("connection", "is_ending", "pending", "protocol")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.protocol = EchoProtocol()
        self.pending = b""
        self.is_ending = False


class _Server:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._poll = select.epoll()
        self._peers: dict[int, _Peer] = {}

    def run(self) -> None:
        parent = sys.stdin.fileno()
        self._poll.register(self._listener, _IN)
        self._poll.register(parent, _IN)
        peers = self._peers
        while True:
            for descriptor, events in self._poll.poll():
                if (peer := peers.get(descriptor)) is not None:
                    if events & ~_OUT and not peer.is_ending:
                        self._read(peer)
                    elif events & ~(_IN | _OUT):
                        self._close(peer)
                    elif events & _OUT:
                        self._write(peer, b"")
                elif descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == parent:
                    word = os.read(parent, 1)
                    if not word:
                        return
                    self._obey(word)

    def _obey(self, word: bytes) -> None:
        if word == _DOWN and self._listener.fileno() >= 0:
            self._poll.unregister(self._listener)
            self._listener.close()
            for peer in list(self._peers.values()):
                self._close(peer)
        elif word == _UP and self._listener.fileno() < 0:
            self._listener = listen(self._port)
            self._poll.register(self._listener, _IN)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)  # noqa: FBT003  the library's signature
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[connection.fileno()] = _Peer(connection)
        self._poll.register(connection, _IN)

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(peer)
            return
        try:
            answer = peer.protocol.receive(data)
        except ConnectionOver as over:
            peer.is_ending = True
            answer = over.last
        if answer or peer.is_ending:
            self._write(peer, answer)

    def _write(self, peer: _Peer, data: bytes) -> None:
        if peer.pending:
            data = peer.pending + data
        try:
            sent = peer.connection.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(peer)
            return
        had_pending, peer.pending = bool(peer.pending), data[sent:]
        if len(peer.pending) > _MAX_PENDING_BYTES or (peer.is_ending and not peer.pending):
            self._close(peer)
        elif bool(peer.pending) is not had_pending:
            self._poll.modify(peer.connection, _IN | _OUT if peer.pending else _IN)

    def _close(self, peer: _Peer) -> None:
        del self._peers[peer.connection.fileno()]
        self._poll.unregister(peer.connection)
        peer.connection.close()


def listen(port: int) -> socket.socket:
    """Listen on loopback."""
    listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    listener.setblocking(False)  # noqa: FBT003  the library's signature
    return listener


def main() -> None:
    """Listen on loopback, say where, and serve."""
    parser = argparse.ArgumentParser(description="A WebSocket server that echoes, for load tests.")
    parser.add_argument("--port", type=int, default=0, help="Default: a free one.")
    listener = listen(parser.parse_args().port)
    print(listener.getsockname()[1], flush=True)
    gc.freeze()
    _Server(listener).run()


if __name__ == "__main__":
    main()
