"""TLS on a line: the plaintext of a connection that has shaken hands, pushed.

It takes over where a `TlsStream` has got to, with what that has decrypted and what it still owes the peer.
"""

from sottovoce.transport.errors import TlsError
from sottovoce.transport.lines.line import Line, LineUser, line_over
from sottovoce.transport.stream import TlsStream


class TlsLine:
    """A `Line` of plaintext, and the user of the one below.  In the stream no task reads or writes meanwhile."""

    __slots__ = ("_below", "_core", "_early", "_is_held", "_is_over", "_is_stuck", "_owed", "_stream", "_user")

    def __init__(self, stream: TlsStream) -> None:
        """Take over where `stream` has got to."""
        self._stream = stream
        self._core = stream.core
        self._below: Line = line_over(stream.transport)
        self._early, self._owed = stream.hand_over()
        self._user: LineUser | None = None
        self._is_held = True
        self._is_stuck = False  # an answer of TLS itself has not left: a peer that asks without reading must wait
        self._is_over = False

    @property
    def sent_bytes(self) -> int:
        """See `Line`; of the ciphertext."""
        return self._below.sent_bytes

    @property
    def is_clogged(self) -> bool:
        """See `Line`."""
        return self._below.is_clogged

    def begin(self, user: LineUser) -> None:
        """See `Line`."""
        self._user = user
        self._below.begin(self)

    def hold(self) -> None:
        """See `Line`."""
        self._is_held = True
        self._below.hold()

    def resume(self) -> None:
        """See `Line`."""
        self._is_held = False
        early, self._early = self._early, b""
        user = self._user
        if early and user is not None:
            user.received(early)
        if not self._is_stuck and not self._is_held:
            self._below.resume()

    def write(self, data: bytes) -> None:
        """See `Line`."""
        core = self._core
        if core.failure is None:
            core.send(data)
            owed, self._owed = self._owed, b""
            self._below.write(owed + core.to_send())

    async def release(self) -> None:
        """See `Line`; a record that has left in part is the connection's end."""
        is_cut = self._below.is_clogged
        await self._below.release()
        self._stream.hand_back(is_cut=is_cut)

    # What the line below tells.

    def received(self, data: bytes) -> None:
        """Decrypt and pass on; TLS's own answers go back at once."""
        user, core = self._user, self._core
        if user is None or self._is_over:
            return
        try:
            plaintext = core.receive(data)
        except TlsError as error:
            self._answer()
            self._end(user, str(error))
            return
        answer = core.to_send()
        if answer:
            self._answer(answer)
        if plaintext:
            user.received(plaintext)
        if core.failure is not None:
            self._end(user, str(core.failure))
        elif core.closed_by_peer:
            self._end(user, "")

    def drained(self) -> None:
        """All has left."""
        if self._is_stuck:
            self._is_stuck = False
            if not self._is_held:
                self._below.resume()
        if self._user is not None:
            self._user.drained()

    def lost(self, reason: str) -> None:
        """Pass on how it ended: without close_notify an end is no good one."""
        if self._user is None or self._is_over:
            return
        try:
            self._core.receive_eof()
        except TlsError as error:
            reason = reason or str(error)
        self._end(self._user, reason)

    def crashed(self, error: Exception) -> None:
        """Pass on."""
        if self._user is not None:
            self._user.crashed(error)

    def _answer(self, answer: bytes = b"") -> None:
        self._below.write(answer or self._core.to_send())
        if self._below.is_clogged:
            self._is_stuck = True
            self._below.hold()

    def _end(self, user: LineUser, reason: str) -> None:
        self._is_over = True
        self._below.hold()
        user.lost(reason)
