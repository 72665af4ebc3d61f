"""One TLS 1.3 connection whose handshake is over, both roles: records in, plaintext out, and the reverse.

It is used as `TlsCore` is (see there), of which it is the second half.  Nothing here knows the network, a clock or
chance.

A fault never takes back plaintext that came before it: such plaintext is returned first, and the next call raises.  So
what a caller sees does not depend on how the bytes were cut.
"""

from typing import Final, NamedTuple

from sottovoce.primitives import Aead, ApiMisuse, TagError
from sottovoce.transport.errors import TlsError, TlsTruncated
from sottovoce.transport.records.alerts import Alert, RecordRefused, ended_by_alert
from sottovoce.transport.records.keys import TlsSuite, TrafficKey, cipher_of, following
from sottovoce.transport.records.limits import (
    CIPHERTEXT_BYTES,
    EMPTY_RECORDS,
    HASTY_KEYS,
    INNER_BYTES,
    KEY_LIMITS,
    MILD_ALERTS,
    RECORDS_OF_A_KEY,
    RESTING_RECORDS,
    KeyLimits,
)
from sottovoce.transport.records.messages import UPDATE_REQUESTED, MessageReader
from sottovoce.transport.records.sending import (
    ALERT,
    DATA,
    DATA_BYTE,
    FIRST_THREE,
    HANDSHAKE,
    HEADER_BYTES,
    SHORT_HEADERS,
    RecordSender,
)

_ALERT_BYTES: Final = 2


class Traffic(NamedTuple):
    """Where two ends stand when a handshake is over."""

    suite: TlsSuite
    sending: TrafficKey
    """Of what is sent; it becomes the connection's own."""
    receiving: TrafficKey
    """Likewise of what is received, of which nothing was opened yet."""
    sent: int = 0
    """Records that were encrypted under it already."""
    outgoing: bytes = b""
    """What is encrypted and has not left: it goes before all else."""


class RecordCore(RecordSender):
    """One connection.

    After a raised `TlsError` it is over: every further call but `to_send` raises the same error again.
    """

    __slots__ = (
        "_empty_records",
        "_has_asked",
        "_hasty_keys",
        "_messages",
        "_mild_alerts",
        "_pq",
        "_rest",
        "_rx_aead",
        "_rx_iv",
        "_rx_looked_at",
        "_rx_number",
        "_rx_ready_below",
        "_rx_secret",
        "closed_by_peer",
    )

    def __init__(self, traffic: Traffic, *, is_server: bool, pq: str, limits: KeyLimits = KEY_LIMITS) -> None:
        """Go on from `traffic`; `pq` is the policy of this side, for the words of an error."""
        super().__init__(traffic.suite, traffic.sending, traffic.sent, traffic.outgoing, limits)
        self._rx_secret = traffic.receiving.secret
        self._rx_aead: Aead | None = traffic.receiving.aead
        self._rx_iv = traffic.receiving.iv
        self._rx_number = self._rx_looked_at = 0
        self._rest = b""  # of a record, as far as it has come
        self._messages = MessageReader(takes_tickets=not is_server)
        self._empty_records = 0
        self._mild_alerts = 0
        self._hasty_keys = 0
        self._has_asked = False
        self._pq = pq
        self.closed_by_peer = False
        """Whether the peer's close_notify has been read: what came before it is all there was."""
        self._rx_ready_below = limits.asked

    def receive_record(self, data: bytes) -> bytes | None:
        """Take bytes as `receive` does, more cheaply where they are one record of data, as they are in a call.

        None: they were something else; call `receive` with nothing, and `to_send`.  Otherwise there is nothing to send.
        """
        number, aead = self._rx_number, self._rx_aead
        try:
            header = SHORT_HEADERS[len(data)]
            body = data.removeprefix(header)
            if number < self._rx_ready_below and body is not data and aead is not None:
                inner = aead.decrypt((self._rx_iv ^ number).to_bytes(12), body, header)
                content = inner.removesuffix(DATA_BYTE)
                if content is not inner:
                    self._rx_number = number + 1
                    return content
        except (IndexError, TagError):
            pass  # long, or forged: `receive` finds out
        if self.failure is not None:
            raise ApiMisuse("TLS: the connection is over")
        self._check_is_held()
        self._rx_ready_below = 0
        if not self.closed_by_peer:
            self._rest += data
        return None

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the network and give the plaintext that they complete, perhaps none.

        Raises `TlsError`; the connection is then over.
        """
        if self.failure is not None:
            raise self.failure
        self._check_is_held()
        if self.closed_by_peer:
            return b""  # what comes behind the end is ignored (RFC 8446 §6.1)
        parts: list[bytes] = []
        try:
            self._take(self._rest + data, parts)
        except RecordRefused as refused:
            self._say(refused.alert)
            self._end(refused.told())
        except TlsError as ended:
            self._end(ended)
        if self.failure is not None and not parts:
            raise self.failure
        return b"".join(parts)

    def receive_eof(self) -> None:
        """Say that the network has no more bytes; raises `TlsTruncated` unless the peer had said so first."""
        if self.failure is not None:
            raise self.failure
        if not self.closed_by_peer:
            self._end(TlsTruncated())
            self.receive_eof()

    def rest(self) -> None:
        """Drop a cipher, of either direction, that few records have wanted since this was last called."""
        super().rest()
        passed, self._rx_looked_at = self._rx_number - self._rx_looked_at, self._rx_number
        if 0 <= passed <= RESTING_RECORDS:
            self._rx_aead, self._rx_ready_below = None, 0

    def release(self) -> None:
        """Drop the keys of a connection that is over, and wipe the secrets that they came from.

        `failure` and `closed_by_peer` stay; there is nothing to send.
        """
        self._rx_secret.wipe()
        self._rx_aead = None
        self._rest, self._rx_ready_below = b"", 0
        self._release()
        if self.failure is not None:
            self.failure.__traceback__ = None  # whose frames hold this object

    def _end(self, failure: TlsError) -> None:
        self._rx_ready_below = 0
        super()._end(failure)

    def _take(self, data: bytes, parts: list[bytes]) -> None:
        """Open all whole records and put what they say into `parts`; keep the rest."""
        at = 0
        self._rest = b""
        while len(data) - at >= HEADER_BYTES and not self.closed_by_peer:
            body = at + HEADER_BYTES
            header = data[at:body]
            end = body + _body_bytes(header)
            if end > len(data):
                break
            kind, content = self._open(header, data[body:end])
            at = end
            if kind == DATA and not self._messages.is_within:
                if content:
                    parts.append(content)
            else:
                self._take_other(kind, content)
        is_counting = self._empty_records or self._mild_alerts  # up to the next data, which the short way does not tell
        is_free = not (self.closed_by_peer or self._messages.is_within or is_counting)
        self._rest = b"" if self.closed_by_peer else data[at:]
        is_free = is_free and not self._rest and self._rx_aead is not None
        self._rx_ready_below = self._rx_limit if is_free else 0

    @property
    def _rx_limit(self) -> int:
        return self._limits.received if self._has_asked else self._limits.asked

    def _open(self, header: bytes, ciphertext: bytes) -> tuple[int, bytes]:
        """Open one record; give its content's type and its content (RFC 8446 §5.2)."""
        number = self._rx_number
        if number >= self._rx_limit:
            self._key_is_worn()
        aead = self._rx_aead
        if aead is None:
            aead = cipher_of(self._suite, self._rx_secret)
            if number - self._rx_looked_at >= RESTING_RECORDS:
                self._rx_aead = aead
        try:
            inner = aead.decrypt((self._rx_iv ^ number).to_bytes(12), ciphertext, header)
        except (TagError, ValueError):  # ValueError: shorter than a tag
            raise RecordRefused(Alert.BAD_RECORD_MAC, "decryption failed or bad record mac") from None
        self._rx_number = number + 1
        if len(inner) > INNER_BYTES:
            raise RecordRefused(Alert.RECORD_OVERFLOW, "a record with too much in it")
        content = inner.rstrip(b"\0")
        if not content:
            raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "a record of nothing but padding")
        kind, content = content[-1], content[:-1]
        if content:
            self._empty_records = 0
        else:
            self._is_empty(kind)
        if kind != ALERT and content:
            self._mild_alerts = 0
        return kind, content

    def _is_empty(self, kind: int) -> None:
        """Let only so many records of data be empty in a row, and no others (RFC 8446 §5.4)."""
        self._empty_records += 1
        if kind in {ALERT, HANDSHAKE} or self._empty_records > EMPTY_RECORDS:
            raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "a record without content")

    def _take_other(self, kind: int, content: bytes) -> None:
        if kind == HANDSHAKE:
            request = self._messages.read(content)
            if request is not None:
                self._follow(request)
        elif self._messages.is_within:
            raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "something else within a message of the handshake")
        elif kind == ALERT:
            self._take_alert(content)
        else:
            raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "a record of a type that there is not")

    def _take_alert(self, content: bytes) -> None:
        """See what the peer ends by: any alert but one is the end, whatever level it has (RFC 8446 §6)."""
        if len(content) != _ALERT_BYTES:
            raise RecordRefused(Alert.DECODE_ERROR, "an alert of a wrong length")
        number = content[1]
        if number == Alert.CLOSE_NOTIFY:
            self.closed_by_peer = True
        elif number != Alert.USER_CANCELED:
            raise ended_by_alert(number, self._pq)
        else:
            self._mild_alerts += 1
            if self._mild_alerts > MILD_ALERTS:
                raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "too many alerts")

    def _follow(self, request: int) -> None:
        """Change the key of what is received with the peer (RFC 8446 §4.6.3)."""
        self._hasty_keys = self._hasty_keys + 1 if self._rx_number <= RECORDS_OF_A_KEY else 0
        if self._hasty_keys > HASTY_KEYS:
            raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "too many changes of keys")
        self._rx_secret, self._rx_aead, self._rx_iv = following(self._suite, self._rx_secret)
        self._rx_number = 0
        self._has_asked = False
        if request == UPDATE_REQUESTED:
            self._owe_update()

    def _key_is_worn(self) -> None:
        """Ask for another key; refuse a peer that goes on without one (RFC 8446 §5.5)."""
        if self._has_asked:
            raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "the peer does not change its key when it must")
        self._has_asked = True
        self._ask_for_update()


def _body_bytes(header: bytes) -> int:
    """Give the length of a record behind its header, which says what it must (RFC 8446 §5.1, §5.2)."""
    if header[0] != DATA:
        raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "a record that is not encrypted")
    if not header.startswith(FIRST_THREE):
        raise RecordRefused(Alert.DECODE_ERROR, "a record of another version")
    size = int.from_bytes(header[3:])
    if size > CIPHERTEXT_BYTES:
        raise RecordRefused(Alert.RECORD_OVERFLOW, "a record that is too long")
    return size
