"""Messages of the handshake that come when it is over: taken apart, however they are cut and put together.

A message may lie in several records and a record may hold several; but none may reach over a change of keys, and
nothing else may come in between (RFC 8446 §5.1).  What may come at all: KeyUpdate, and NewSessionTicket to a client,
which drops it unread, as it resumes no session.  The rest was not agreed on: unexpected_message (RFC 8446 §4.6).
"""

from typing import Final

from sottovoce.transport.records.alerts import Alert, RecordRefused

_HEADER_BYTES: Final = 4
_NEW_SESSION_TICKET: Final = 4
_KEY_UPDATE: Final = 24
_MAX_TICKET_BYTES: Final = 131_337
"""A ticket's message at its longest: each field as long as its length can say (RFC 8446 §4.6.1)."""

UPDATE: Final = 0
UPDATE_REQUESTED: Final = 1


def key_update(*, requests: bool) -> bytes:
    """Encode a KeyUpdate (RFC 8446 §4.6.3)."""
    return bytes((_KEY_UPDATE, 0, 0, 1, UPDATE_REQUESTED if requests else UPDATE))


class MessageReader:
    """Reads what records of type handshake hold."""

    __slots__ = ("_begun", "_takes_tickets", "_to_skip")

    def __init__(self, *, takes_tickets: bool) -> None:
        self._takes_tickets = takes_tickets
        self._begun = b""  # of a message: at most its header and one byte
        self._to_skip = 0  # of a ticket

    @property
    def is_within(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._begun or self._to_skip)

    def read(self, content: bytes) -> int | None:
        """Take one record's content; give the request of the KeyUpdate at its end, None if there is none.

        Raises `RecordRefused`.
        """
        while content:
            if self._to_skip:
                skipped = min(self._to_skip, len(content))
                self._to_skip -= skipped
                content = content[skipped:]
                continue
            message, content = self._begun + content, b""
            if len(message) < _HEADER_BYTES:
                self._begun = message
                break
            self._begun, kind, size = b"", message[0], int.from_bytes(message[1:_HEADER_BYTES])
            body = message[_HEADER_BYTES:]
            if kind == _NEW_SESSION_TICKET and self._takes_tickets and size <= _MAX_TICKET_BYTES:
                self._to_skip, content = size, body
            elif kind != _KEY_UPDATE:
                raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "a message that was not agreed on, behind the handshake")
            elif size != 1:
                raise RecordRefused(Alert.DECODE_ERROR, "a change of keys of a wrong length")
            elif not body:
                self._begun = message
            else:
                return _request(body)
        return None


def _request(body: bytes) -> int:
    if len(body) > 1:
        raise RecordRefused(Alert.UNEXPECTED_MESSAGE, "a message that reaches over a change of keys")
    if body[0] > UPDATE_REQUESTED:
        raise RecordRefused(Alert.ILLEGAL_PARAMETER, "a change of keys that asks for what there is not")
    return body[0]
