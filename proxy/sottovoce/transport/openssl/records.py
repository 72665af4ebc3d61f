"""OpenSSL's own record layer behind a handshake: what `RecordCore` does, by OpenSSL's connection on memory BIOs."""

from typing import NoReturn

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.errors import TlsError, TlsTruncated
from sottovoce.transport.limits import RECORD_PLAINTEXT_BYTES
from sottovoce.transport.openssl.binding import Outcome, RecordPipe, take_fault
from sottovoce.transport.openssl.contexts import PqPolicy
from sottovoce.transport.openssl.faults import tls_error


class OpenSslRecords:
    """See `RecordCore`, whose methods these are."""

    __slots__ = ("_is_closed", "_pipe", "_pq", "closed_by_peer", "failure")

    def __init__(self, pipe: RecordPipe, pq: PqPolicy) -> None:
        """Go on with a connection that has shaken hands; `pq` is for the words of an error."""
        self._pipe: RecordPipe | None = pipe
        self._pq = pq
        self._is_closed = False
        self.failure: TlsError | None = None
        self.closed_by_peer = False

    def receive(self, data: bytes) -> bytes:
        """See `RecordCore`."""
        if self.failure is not None:
            raise self.failure
        pipe = self._pipe or self._released()
        pipe.feed(data)
        plaintext, outcome = pipe.read()
        if outcome is not Outcome.WANTS_BYTES:
            self._reading_ended(outcome, plaintext)
        return plaintext

    def receive_record(self, data: bytes) -> bytes | None:
        """See `RecordCore`."""
        if self.failure is not None:
            raise ApiMisuse("TLS: the connection is over")
        return (self._pipe or self._released()).open_one(data) or None

    def receive_eof(self) -> None:
        """See `RecordCore`."""
        if self.failure is not None:
            raise self.failure
        if not self.closed_by_peer:
            raise self._fail(TlsTruncated())

    def send(self, plaintext: bytes) -> None:
        """See `RecordCore`."""
        pipe = self._writable()
        if plaintext and pipe.write(plaintext) is not Outcome.DONE:
            raise self._fail(self._describe())

    def seal(self, plaintext: bytes) -> bytes:
        """See `RecordCore`."""
        pipe = self._writable()
        if not 0 < len(plaintext) <= RECORD_PLAINTEXT_BYTES:
            self.send(plaintext)
            return pipe.drain()
        sealed = pipe.seal(plaintext)
        if not sealed:
            raise self._fail(self._describe())
        return sealed

    def to_send(self) -> bytes:
        """See `RecordCore`."""
        return b"" if self._pipe is None else self._pipe.drain()

    def close(self) -> None:
        """See `RecordCore`."""
        if not self._is_closed and self.failure is None and self._pipe is not None:
            self._is_closed = True
            self._pipe.shut_down()

    def rest(self) -> None:
        """See `RecordCore`; OpenSSL keeps its ciphers."""

    def release(self) -> None:
        """See `RecordCore`; what OpenSSL holds is by far the most of a call's memory."""
        self._pipe = None
        if self.failure is not None:
            self.failure.__traceback__ = None  # whose frames hold this object

    def _writable(self) -> RecordPipe:
        if self.failure is not None:
            raise self.failure
        if self._is_closed:
            raise ApiMisuse("TLS: nothing can be sent after close()")
        return self._pipe or self._released()

    def _released(self) -> NoReturn:
        raise ApiMisuse("TLS: of a connection that was released nothing is known any more")

    def _reading_ended(self, outcome: Outcome, plaintext: bytes) -> None:
        if outcome is Outcome.CLOSED:
            self.closed_by_peer = True
            return
        failure = self._fail(self._describe())
        if not plaintext:
            raise failure

    def _describe(self) -> TlsError:
        """Name what OpenSSL has just refused."""
        return tls_error(take_fault(), self._pq)

    def _fail(self, failure: TlsError) -> TlsError:
        self.failure = failure
        return failure
