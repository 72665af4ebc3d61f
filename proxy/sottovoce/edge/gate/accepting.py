"""Takes connections from listening sockets, and knows when the process is about to have no descriptor for one.

A descriptor's number is the lowest that is free, so that of a new connection tells how many are in use.  The last ones
are kept for the backends of calls that were let in: a connection that comes then is told that there is no room, and
calls that run notice nothing.  Where a socket cannot even be accepted, its connection waits until one can.
"""

import errno
import resource
from collections.abc import Awaitable, Callable
from typing import Final

import trio

MAX_RESERVE: Final = 128
RETRY_AFTER_SECONDS: Final = 5
_RESERVE_SHARE = 8
"""One of so many descriptors, but no more than MAX_RESERVE, is kept."""
_PAUSE_SECONDS = 0.1
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_GONE = frozenset(
    {
        *(errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENOPROTOOPT, errno.EOPNOTSUPP),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET),
    }
)
"""What accept(2) says of a connection that is not there any more, or that a firewall refuses; the next one may be."""
Handle = Callable[[trio.SocketStream], Awaitable[None]]


def descriptor_limit() -> int:
    """Give how many descriptors the process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def is_full(descriptor: int, half_open: int, limit: int) -> bool:
    """Whether a connection with this descriptor is one too many.

    Each of the `half_open` handshakes may want another descriptor for its backend.
    """
    return limit != resource.RLIM_INFINITY and descriptor + half_open >= limit - min(
        MAX_RESERVE, limit // _RESERVE_SHARE
    )


async def accept_all(
    bound: trio.SocketListener, handle: Handle, connections: trio.Nursery, short: Callable[[], None]
) -> None:
    """Have `handle` serve each connection in a task of its own, which closes it; close the socket when cancelled.

    `short` is told each time that none could be accepted for want of a descriptor or memory.
    """
    async with bound:
        while True:
            try:
                stream = await bound.accept()
            except trio.ClosedResourceError:
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                if error.errno not in _NO_ROOM:
                    raise
                short()
                await trio.sleep(_PAUSE_SECONDS)
            else:
                connections.start_soon(_handle, stream, handle)


async def _handle(stream: trio.SocketStream, handle: Handle) -> None:
    try:
        await handle(stream)
    finally:
        stream.socket.close()
