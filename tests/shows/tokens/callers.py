"""Clients at a steady rate, in a process of their own: `python -m tests.shows.tokens.callers DIR URL`.

A line of standard input is the rate from now on, in new calls a second; at its end no more are begun, and the process
ends when the last one has.  Each call is whole: TLS, upgrade, handshake under the server's two signatures, a frame
there and back, an end in good order; a line in the records tells of it.

At most so many are under way at a time: who calls more than the machine can take would only measure his own queue.
"""

import sys

import trio

from sottovoce.client import Audio, Call, CallError, Trust, connect, trust_from_directory
from sottovoce.session import LeafKind, VoiceCertificate, merkle_root
from sottovoce.session.handshake import client
from sottovoce.wire.messages import Verification
from tests.shows.tokens.records import Made, Verified, Writer, now

MOST_AT_ONCE = 64
_FRAME_BYTES = 640


class Callers:
    """Those who call."""

    def __init__(self, url: str, trust: Trust, writer: Writer) -> None:
        self._url = url
        self._trust = trust
        self._writer = writer
        self._rate = 0.0
        self._is_over = False
        self._changed = trio.Event()
        self._room = trio.Semaphore(MOST_AT_ONCE)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            due = trio.current_time()
            while not self._is_over:
                if not self._rate:
                    await self._changed.wait()
                    due = trio.current_time()
                    continue
                due = max(due + 1 / self._rate, trio.current_time() - 1 / self._rate)
                await trio.sleep_until(due)
                await self._room.acquire()
                nursery.start_soon(self._call)

    async def _listen(self) -> None:
        read = b""
        while data := await trio.to_thread.run_sync(sys.stdin.buffer.readline):
            read = data
            self._rate = float(read)
            self._changed.set()
            self._changed = trio.Event()
        self._is_over = True
        self._changed.set()

    async def _call(self) -> None:
        began_at, failure = now(), ""
        try:
            async with connect(self._url, anchor=self._trust.anchors, ca=self._trust.ca) as call:
                failure = await _converse(call)
        except CallError as error:
            failure = f"{type(error).__name__}: {error}"
        finally:
            self._room.release()
        self._writer.write(Made(began_at, now(), failure))


async def _converse(call: Call) -> str:
    """Send a frame, and give what is wrong with what comes back."""
    frame = str(now()).encode().ljust(_FRAME_BYTES, b"\0")
    await call.send(frame)
    async for item in call:
        if isinstance(item, Audio):
            return "" if item.payload == frame else "another frame came back"
    return "the call ended before its frame came back"


def note_what_is_verified(writer: Writer) -> None:
    """Have clients' sessions, which verify as ever, write down what they found right."""
    verify = client.verify_proof  # type: ignore[attr-defined]

    def verify_and_note(kind: LeafKind, leaf: bytes, verification: Verification, certificate: VoiceCertificate) -> None:
        verify(kind, leaf, verification, certificate)
        root = merkle_root(leaf, verification.path, verification.directions)
        writer.write(Verified(root.hex(), certificate.fields.classical.key.hex()))

    client.verify_proof = verify_and_note  # type: ignore[attr-defined]


def main() -> None:
    directory, url = sys.argv[1:]
    writer = Writer("calls")
    note_what_is_verified(writer)
    trio.run(Callers(url, trust_from_directory(directory), writer).run)


if __name__ == "__main__":
    main()
