"""How a connection over a socket ended is told as it was, whoever notices first: who reads, or who writes."""

import socket

import pytest
import trio

from sottovoce.transport.lines.sockets import SocketLine
from tests.transport.lines.ends import User, settle, tcp_pair


@pytest.mark.parametrize("is_reset", [True, False])
async def test_an_end_that_a_write_meets_first(*, is_reset: bool) -> None:
    ours, theirs = await tcp_pair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, is_reset.to_bytes(4, "little") + bytes(4))
    line, user = SocketLine(ours), User()
    line.begin(user)
    await theirs.send_all(b"last words")
    if is_reset:
        await trio.aclose_forcefully(theirs)
    else:
        await theirs.send_eof()
    await settle()
    for _ in range(3):
        line.write(b"x" * 100)
    line.resume()
    await settle()
    await line.release()
    await trio.aclose_forcefully(ours)
    await trio.aclose_forcefully(theirs)
    assert user.of("lost") == (["Connection reset by peer"] if is_reset else [""])
    assert user.data == b"last words"
