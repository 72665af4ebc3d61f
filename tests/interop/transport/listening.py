"""A TLS server of ours on a loopback port, for foreign tools to try; and how they are run."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from sottovoce.transport import PqPolicy, RecordLayer, TlsCore, TlsError, TlsStream
from tests.transport.ends import server

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nserved"


class Met(NamedTuple):
    """What a connection agreed on, which nobody can ask any more when it is closed."""

    version: str
    group: str
    cipher: str
    server_name: str | None
    alpn: str | None
    exporter: bytes

    @classmethod
    def of(cls, core: TlsCore) -> "Met":
        return cls(core.version, core.group, core.cipher, core.server_name, core.alpn, core.exporter())


class Listening(NamedTuple):
    """Where the server listens, and what became of each connection, in order."""

    port: int
    met: list[Met | TlsError]


@asynccontextmanager
async def listening(policy: PqPolicy, records: RecordLayer = RecordLayer.OWN) -> AsyncIterator[Listening]:
    """Serve while the block runs: answer the first words of each connection, and close it."""
    met: list[Met | TlsError] = []
    context = server(policy, records=records)

    async def handle(transport: trio.abc.Stream) -> None:
        stream = TlsStream(transport, context)
        try:
            async with stream:
                await stream.do_handshake()
                met.append(Met.of(stream.core))
                if await stream.receive_some():
                    await stream.send_all(ANSWER)
        except TlsError as error:
            met.append(error)
        except trio.BrokenResourceError:
            pass  # scanners hang up when they have seen enough

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        yield Listening(listener.socket.getsockname()[1], met)
        nursery.cancel_scope.cancel()


async def run(command: Sequence[str], words: bytes = b"") -> tuple[int, str]:
    """Run a program to its end; give its status, and what it said on both channels."""
    done = await trio.run_process(command, stdin=words, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")
