"""`sottovoce serve` that takes orders over a socket `told` in its directory: a line each, answered by one."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from sottovoce.app.serving import parts
from sottovoce.cli import main

SOCKET = "told"
Answer = Callable[[parts.Parts, bytes, bytes], Awaitable[str]]
"""Does what an order says, its first word and the rest; gives what is said to it."""


def serve_with_orders(answer: Answer) -> None:
    """Run the command line, with one more task beside what a proxy runs."""
    background = parts.Parts.background_tasks

    def with_one_more(all_parts: parts.Parts) -> tuple[Callable[[], Awaitable[object]], ...]:
        return *background.__get__(all_parts), partial(_take_orders, all_parts, answer)  # type: ignore[attr-defined]  # a property

    parts.Parts.background_tasks = property(with_one_more)  # type: ignore[assignment, method-assign]
    main(sys.argv[1:])


async def order(directory: Path, line: bytes) -> str:
    """Give an order to the proxy of a directory, and what it answers."""
    async with await trio.open_unix_socket(str(directory / SOCKET)) as stream:
        await stream.send_all(line + b"\n")
        return b"".join([data async for data in stream]).decode()


async def _take_orders(all_parts: parts.Parts, answer: Answer) -> None:
    bound = trio.socket.socket(trio.socket.AF_UNIX)
    path = all_parts.file.parent / SOCKET
    await bound.bind(f"{path}.new")
    bound.listen()
    Path(f"{path}.new").rename(path)  # noqa: ASYNC240  once it is there somebody listens
    await trio.serve_listeners(partial(_answer, all_parts, answer), [trio.SocketListener(bound)])


async def _answer(all_parts: parts.Parts, answer: Answer, stream: trio.SocketStream) -> None:
    async with stream:
        line = b""
        while not line.endswith(b"\n"):
            line += await stream.receive_some()
        what, _, rest = line.strip().partition(b" ")
        await stream.send_all((await answer(all_parts, what, rest)).encode())
