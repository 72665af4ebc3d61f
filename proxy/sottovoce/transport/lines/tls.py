"""TLS on a line: the plaintext of a connection that has shaken hands, pushed.

It takes over where a `TlsStream` has got to, with what that has decrypted and what it still owes the peer.  A record
may hold four turns' worth of plaintext: it is passed on in pieces, and others have their turns in between.
"""

import trio

from sottovoce.transport.errors import TlsError
from sottovoce.transport.lines.line import NOBODY, TURN_BYTES, Line, LineUser, line_over
from sottovoce.transport.stream import TlsStream


class TlsLine:
    """A `Line` of plaintext, and the user of the one below.  In the stream no task reads or writes meanwhile."""

    __slots__ = (
        "_below",
        "_core",
        "_end",
        "_is_held",
        "_is_released",
        "_is_scheduled",
        "_is_stuck",
        "_is_told",
        "_owed",
        "_stream",
        "_user",
        "_waiting",
        "is_clogged",
    )

    def __init__(self, stream: TlsStream) -> None:
        """Take over where `stream` has got to."""
        self._stream = stream
        self._core = stream.core.records
        self._below: Line = line_over(stream.transport)
        self._waiting, self._owed = stream.hand_over()
        self._user: LineUser = NOBODY
        self._end: str | None = None  # how the connection ended, to be told behind what waits
        self._is_told = False
        self._is_held = True
        self._is_stuck = False  # an answer of TLS itself has not left: a peer that asks without reading must wait
        self._is_scheduled = False
        self._is_released = False
        self.is_clogged = False
        self._note_end()

    @property
    def sent_bytes(self) -> int:
        """See `Line`; of the ciphertext."""
        return self._below.sent_bytes

    @property
    def failure(self) -> TlsError | None:
        """What TLS ended by, if not by its closing alert: found here, said by the peer, or the bytes just ended."""
        return self._core.failure

    def begin(self, user: LineUser) -> None:
        """See `Line`."""
        self._user = user
        self._below.begin(self)

    def hold(self) -> None:
        """See `Line`."""
        self._is_held = True
        self._below.hold()

    def resume(self) -> None:
        """See `Line`.  What waits here comes in a turn of its own."""
        if self._is_released:
            return
        self._is_held = False
        if self._waiting or self._end is not None:
            self._schedule()
        elif not self._is_stuck:
            self._below.resume()

    def write(self, data: bytes) -> bool:
        """See `Line`."""
        core = self._core
        if core.failure is None and not self._is_released:
            data = core.seal(data)
            if self._owed:
                data, self._owed = self._owed + data, b""
            self.is_clogged = self._below.write(data)
        return self.is_clogged

    def rest(self) -> None:
        """Need less memory, if little has passed since this was last called (`RecordCore`)."""
        self._core.rest()

    async def release(self) -> None:
        """See `Line`; a record that has left in part is the connection's end."""
        is_cut = self._below.is_clogged
        self._is_held = True  # what comes or waits until the line below is released is the owner's
        self._user, self._is_released, self.is_clogged = NOBODY, True, False
        await self._below.release()
        self._stream.hand_back(self._waiting, self._owed, is_cut=is_cut)
        self._waiting = self._owed = b""

    # What the line below tells.

    def received(self, data: bytes) -> None:
        """Decrypt and pass on; TLS's own answers go back at once."""
        user, core = self._user, self._core
        if core.failure is None and not (self._waiting or self._is_held):
            plaintext = core.receive_record(data)
            if plaintext is not None:
                user.received(plaintext)  # a record that came in one piece is shorter than a turn's
                return
            data = b""  # it has them
        try:
            plaintext = core.receive(data)
        except TlsError as error:
            self._answer(core.to_send())
            self._end = str(error)
            self._pass_on(user)
            return
        answer = core.to_send()
        if answer:
            self._answer(answer)
        self._note_end()
        self._waiting += plaintext
        self._pass_on(user)

    def drained(self) -> None:
        """All has left."""
        self.is_clogged = False
        if self._is_stuck:
            self._is_stuck = False
            if not self._is_held:
                self.resume()
        self._user.drained()

    def lost(self, reason: str) -> None:
        """Pass on how it ended: without close_notify an end is no good one."""
        try:
            self._core.receive_eof()
        except TlsError as error:
            reason = reason or str(error)
        self._end = reason
        self._pass_on(self._user)

    def crashed(self, error: Exception) -> None:
        """Pass on, the last that is told."""
        user, self._user = self._user, NOBODY
        user.crashed(error)

    def _note_end(self) -> None:
        """See whether TLS has read the end already: it is told behind what came before it."""
        core = self._core
        if core.failure is not None:
            self._end = str(core.failure)
        elif core.closed_by_peer:
            self._end = ""

    def _answer(self, answer: bytes) -> None:
        if answer:
            answer, self._owed = self._owed + answer, b""
            self._below.write(answer)
            self.is_clogged = self._below.is_clogged
            if self.is_clogged:
                self._is_stuck = True
                self._below.hold()

    def _pass_on(self, user: LineUser) -> None:
        """Pass on one piece; then the next in a turn of its own, or the end, or read on."""
        if self._is_held:
            return
        piece, self._waiting = self._waiting[:TURN_BYTES], self._waiting[TURN_BYTES:]
        if piece:
            user.received(piece)
        if self._is_held:
            return
        if self._waiting:
            self._below.hold()
            self._schedule()
        elif self._end is not None:
            self._below.hold()
            if not self._is_told:
                self._is_told = True
                user.lost(self._end)
        elif not self._is_stuck:
            self._below.resume()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            trio.lowlevel.current_trio_token().run_sync_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._is_scheduled = False
        try:
            self._pass_on(self._user)
        except Exception as error:  # noqa: BLE001  our own fault, in one call
            self.hold()
            self.crashed(error)
