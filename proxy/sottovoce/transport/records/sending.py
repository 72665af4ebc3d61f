"""The sending half of a connection: plaintext into records (RFC 8446 §5), and the changes of its key.

`seal` of a piece that fits one packet is the way of every voice frame: its few steps are written out, and all that can
stand in its way is kept in one number, `_ready_below`: record numbers below it may be used without a look at anything
else.

A keyed cipher is 2.7 KiB.  So a direction of which little is wanted *rests*: it has none, keys one for each record from
its traffic secret and drops it, until records come one after the other.
"""

from typing import Final

from sottovoce.primitives import Aead, ApiMisuse
from sottovoce.transport.errors import TlsError
from sottovoce.transport.records.alerts import FATAL, WARNING, Alert
from sottovoce.transport.records.keys import TlsSuite, TrafficKey, cipher_of, following
from sottovoce.transport.records.limits import CONTENT_BYTES, RESTING_RECORDS, KeyLimits
from sottovoce.transport.records.messages import key_update

HEADER_BYTES: Final = 5
OVERHEAD_BYTES: Final = 17
"""Of a record without padding: the content's type, and the tag."""

ALERT: Final = 21
HANDSHAKE: Final = 22
DATA: Final = 23
DATA_BYTE: Final = bytes((DATA,))
FIRST_THREE: Final = b"\x17\x03\x03"
"""Of every record: it says that it holds application data of TLS 1.2, whatever it holds (RFC 8446 §5.2)."""

_SHORT_BYTES: Final = 1_460
"""More than a packet takes; longer pieces go the general way, which costs half a microsecond more."""

_SHORT_RECORD: Final = HEADER_BYTES + OVERHEAD_BYTES

SHORT_HEADERS: Final = tuple(
    FIRST_THREE + size.to_bytes(2) if size > OVERHEAD_BYTES else bytes(_SHORT_RECORD + 1)
    for size in range(-HEADER_BYTES, _SHORT_BYTES + OVERHEAD_BYTES + 1)
)
"""By the length of a whole record: its header, if it has content; for those that are too short for any, what no record
of that length begins with.  Looking them up costs half of making them."""

_CONTENT_HEADERS: Final = SHORT_HEADERS[_SHORT_RECORD:]
"""The same by the length of the content; the first is that of a record without any, which is never sent."""


class RecordSender:
    """Encrypts; `RecordCore` adds the way back.

    A record's number is taken before it is encrypted and none is ever taken twice: the key is changed long before the
    numbers end.
    """

    __slots__ = (
        "_aead",
        "_is_closed",
        "_is_released",
        "_iv",
        "_limits",
        "_looked_at",
        "_number",
        "_outgoing",
        "_owes_update",
        "_ready_below",
        "_secret",
        "_suite",
        "failure",
    )

    def __init__(self, suite: TlsSuite, key: TrafficKey, number: int, outgoing: bytes, limits: KeyLimits) -> None:
        """Go on with the record `number` under `key`, behind `outgoing`, which is encrypted and has not left."""
        self._suite = suite
        self._secret = key.secret
        self._aead: Aead | None = key.aead
        self._iv = key.iv
        self._number = self._looked_at = number
        self._limits = limits
        self._outgoing = outgoing
        self._owes_update = False
        self._is_closed = False
        self._is_released = False
        self.failure: TlsError | None = None
        """Why the connection is over; None while it is not."""
        self._ready_below = 0
        self._settle()

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt a piece of plaintext and give all bytes that the network should carry now."""
        number, size, aead = self._number, len(plaintext), self._aead
        if number < self._ready_below and size and size <= _SHORT_BYTES and aead is not None:
            self._number = number + 1
            header = _CONTENT_HEADERS[size]
            return header + aead.encrypt((self._iv ^ number).to_bytes(12), plaintext + b"\x17", header)
        self.send(plaintext)
        return self.to_send()

    def send(self, plaintext: bytes) -> None:
        """Encrypt a piece of plaintext of any length.  Many pieces may be sent before one `to_send`."""
        if self.failure is not None:
            raise self.failure
        self._check_is_held()
        if self._is_closed:
            raise ApiMisuse("TLS: nothing can be sent after close()")
        if not plaintext:
            return
        records: list[bytes] = []
        for start in range(0, len(plaintext), CONTENT_BYTES):
            if self._owes_update or self._number >= self._limits.sent:
                records.append(self._update(requests=False))
            records.append(self._sealed(plaintext[start : start + CONTENT_BYTES], DATA_BYTE))
        self._queue(b"".join(records))

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        outgoing = self._outgoing
        if outgoing:
            self._outgoing = b""
            self._settle()
        return outgoing

    def close(self) -> None:
        """Queue close_notify, once: nothing can be sent after it.  Reading goes on (RFC 8446 §6.1)."""
        if not self._is_closed and self.failure is None:
            self._queue(self._sealed(bytes((WARNING, Alert.CLOSE_NOTIFY)), bytes((ALERT,))))
            self._is_closed = True
            self._settle()

    def rest(self) -> None:
        """Drop a cipher that few records have wanted since this was last called; to be called every now and then.

        Records go on passing, of which the first few cost more.
        """
        passed, self._looked_at = self._number - self._looked_at, self._number
        if 0 <= passed <= RESTING_RECORDS:
            self._aead = None
            self._settle()

    def _check_is_held(self) -> None:
        """Refuse use behind `release`."""
        if self._is_released:
            raise ApiMisuse("TLS: of a connection that was released nothing is known any more")

    def _say(self, alert: Alert) -> None:
        """Queue a fatal alert, unless nothing may be sent any more."""
        if not self._is_closed:
            self._queue(self._sealed(bytes((FATAL, alert)), bytes((ALERT,))))

    def _ask_for_update(self) -> None:
        """Change our key and have the peer change its own (RFC 8446 §4.6.3)."""
        if not self._is_closed:
            self._queue(self._update(requests=True))

    def _owe_update(self) -> None:
        """Change our key before the next data: so one change answers any number of requests (RFC 8446 §4.6.3)."""
        self._owes_update = True
        self._settle()

    def _end(self, failure: TlsError) -> None:
        self.failure = failure
        self._settle()

    def _release(self) -> None:
        self._secret.wipe()
        self._aead = None  # and with it the key
        self._is_released = True
        self._outgoing = b""
        self._is_closed = True
        self._settle()

    def _update(self, *, requests: bool) -> bytes:
        record = self._sealed(key_update(requests=requests), bytes((HANDSHAKE,)))
        self._secret, self._aead, self._iv = following(self._suite, self._secret)
        self._number = 0
        self._owes_update = self._owes_update and requests  # a request is no answer
        return record

    def _sealed(self, content: bytes, kind: bytes) -> bytes:
        number = self._number
        self._number = number + 1
        header = FIRST_THREE + (len(content) + OVERHEAD_BYTES).to_bytes(2)
        aead = self._aead
        if aead is None:
            aead = cipher_of(self._suite, self._secret)
            if number - self._looked_at >= RESTING_RECORDS:
                self._aead = aead
        return header + aead.encrypt((self._iv ^ number).to_bytes(12), content + kind, header)

    def _queue(self, records: bytes) -> None:
        self._outgoing += records
        self._settle()

    def _settle(self) -> None:
        """Say up to which number `seal` need not look at anything."""
        is_busy = self._outgoing or self._owes_update or self._is_closed or self.failure is not None
        self._ready_below = 0 if is_busy or self._aead is None else self._limits.sent
