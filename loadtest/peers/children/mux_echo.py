"""`python -m loadtest.peers.children.mux_echo --port N`: a backend of the `mux` contract that gives back what it hears.

Written from docs/backend-mux.md alone, and cheap enough that a comparison measures the proxies before it: one process,
one epoll, no object for a frame.  Audio frames that follow each other go back as one piece of what came, as a common
frame is the same in both directions; of one behind a hole the number of missing frames is left out.  A call is granted
more frames than an hour of it has, once; what the proxy grants is counted, and what it has not granted is not sent.

Runs until it is killed or its standard input ends.
"""

import argparse
import gc
import os
import select
import socket
import struct
import sys

_GREETING = b"SVMUX\x01\x01\n"
_HEADER = struct.Struct(">HIB")
_OPEN, _OPENED, _AUDIO, _STOP, _ERROR, _CREDIT, _PING, _PONG = 0x01, 0x02, 0x10, 0x20, 0x21, 0x22, 0x30, 0x31
_LOST = 0x01
_GRANTED = 1_000_000
_READ_BYTES = 262_144
_MAX_PENDING_BYTES = 1 << 24
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT


class NotMuxError(Exception):
    """The other side speaks something else: the connection is closed."""


class MuxEcho:
    """One connection's bytes, without its socket."""

    __slots__ = ("_buffer", "_credit", "_is_greeted")

    def __init__(self) -> None:
        self._buffer = b""
        self._credit: dict[int, int] = {}
        self._is_greeted = False

    def receive(self, data: bytes) -> bytes:
        """Take what came and give what to write.  Raises NotMuxError."""
        if self._buffer:
            data = self._buffer + data
        at = 0
        if not self._is_greeted:
            if len(data) < len(_GREETING):
                self._buffer = data
                return b""
            if not data.startswith(b"SVMUX\x01"):
                raise NotMuxError
            self._is_greeted, at = True, len(_GREETING)
        return self._echo(data, at)

    def _echo(self, data: bytes, at: int) -> bytes:
        answers: list[bytes] = []
        credit, unpack, end = self._credit, _HEADER.unpack_from, len(data)
        start = at  # of the audio frames that go back as they are
        while end - at >= 7:  # noqa: PLR2004  a frame's header
            length, call, kind = unpack(data, at)
            following = at + 7 + length
            if following > end:
                break
            left = credit.get(call, 0)
            if kind == _AUDIO and left and length and not data[at + 7] & _LOST:
                credit[call] = left - 1
            else:
                if at > start:
                    answers.append(data[start:at])
                start = following
                self._answer(kind, call, data[at + 7 : following], answers)
            at = following
        if at > start:
            answers.append(data[start:at])
        self._buffer = data[at:]
        return answers[0] if len(answers) == 1 else b"".join(answers)

    def _answer(self, kind: int, call: int, body: bytes, answers: list[bytes]) -> None:
        credit = self._credit
        if kind == _OPEN:
            credit[call] = 0
            answers.append(_frame(_OPENED, call) + _frame(_CREDIT, call, _GRANTED.to_bytes(4)))
        elif kind == _CREDIT and call in credit:
            credit[call] += int.from_bytes(body)
        elif kind in {_STOP, _ERROR}:
            credit.pop(call, None)
        elif kind == _PING:
            answers.append(_frame(_PONG, 0, body))
        elif kind == _AUDIO and credit.get(call) and len(body) > 2:  # noqa: PLR2004  flags and the number of the missing
            credit[call] -= 1
            answers.append(_frame(_AUDIO, call, bytes((body[0] & ~_LOST,)) + body[3:]))


def _frame(kind: int, call: int, body: bytes = b"") -> bytes:
    return _HEADER.pack(len(body), call, kind) + body


class _Peer:
    __slots__ = ("connection", "pending", "protocol")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.protocol = MuxEcho()
        self.pending = _GREETING


class _Server:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._poll = select.epoll()
        self._peers: dict[int, _Peer] = {}

    def run(self) -> None:
        listening, parent = self._listener.fileno(), sys.stdin.fileno()
        self._poll.register(listening, _IN)
        self._poll.register(parent, _IN)
        while True:
            for descriptor, events in self._poll.poll():
                if (peer := self._peers.get(descriptor)) is not None:
                    self._serve(peer, events)
                elif descriptor == listening:
                    self._accept()
                elif descriptor == parent and not os.read(parent, 1):
                    return

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)  # noqa: FBT003  the library's signature
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[connection.fileno()] = _Peer(connection)
        self._poll.register(connection, _IN | _OUT)

    def _serve(self, peer: _Peer, events: int) -> None:
        try:
            answer = b""
            if events & ~_OUT:
                data = peer.connection.recv(_READ_BYTES)
                if not data:
                    self._close(peer)
                    return
                answer = peer.protocol.receive(data)
            self._write(peer, answer)
        except BlockingIOError:
            return
        except (OSError, NotMuxError):
            self._close(peer)

    def _write(self, peer: _Peer, data: bytes) -> None:
        had_pending = bool(peer.pending)
        if had_pending:
            data = peer.pending + data
        try:
            sent = peer.connection.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        peer.pending = data[sent:]
        if len(peer.pending) > _MAX_PENDING_BYTES:
            self._close(peer)
        elif had_pending or peer.pending:
            self._poll.modify(peer.connection, _IN | _OUT if peer.pending else _IN)

    def _close(self, peer: _Peer) -> None:
        del self._peers[peer.connection.fileno()]
        self._poll.unregister(peer.connection)
        peer.connection.close()


def main() -> None:
    """Listen on loopback and serve."""
    parser = argparse.ArgumentParser(description="A mux backend that echoes, for load tests.")
    parser.add_argument("--port", type=int, required=True)
    listener = socket.create_server(("127.0.0.1", parser.parse_args().port))
    listener.setblocking(False)  # noqa: FBT003  the library's signature
    gc.freeze()
    _Server(listener).run()


if __name__ == "__main__":
    main()
