"""`sottovoce serve` that is told to seal and unseal over a socket in its directory, a line each, and answers a line.

A line is `seal REASON` or `offer SHARE`; the answer is the state, or the error's name and text.
"""

import sys
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from sottovoce.app.serving import parts
from sottovoce.cli import main
from sottovoce.hsm.seal import SealError
from sottovoce.primitives import Secret


async def told(all_parts: parts.Parts) -> None:
    bound = trio.socket.socket(trio.socket.AF_UNIX)
    await bound.bind(str(all_parts.file.parent / "told"))
    bound.listen()
    await trio.serve_listeners(partial(answer, all_parts), [trio.SocketListener(bound)])


async def answer(all_parts: parts.Parts, stream: trio.SocketStream) -> None:
    async with stream:
        line = b""
        while not line.endswith(b"\n"):
            line += await stream.receive_some()
        what, _, rest = line.strip().partition(b" ")
        try:
            if what == b"seal":
                status = await all_parts.sealing.seal(rest.decode())
            else:
                with Secret.take("share", rest) as share:
                    status = await all_parts.sealing.offer(share)
            said = status.state.value
        except SealError as error:
            said = f"{type(error).__name__}: {error}"
        await stream.send_all(said.encode())


if __name__ == "__main__":
    background = parts.Parts.background_tasks

    def with_one_more(all_parts: parts.Parts) -> tuple[Callable[[], Awaitable[object]], ...]:
        return *background.__get__(all_parts), partial(told, all_parts)  # type: ignore[attr-defined]  # a property

    parts.Parts.background_tasks = property(with_one_more)  # type: ignore[assignment, method-assign]
    main(sys.argv[1:])
