"""A target for the records of TLS, differential: the same bytes into OpenSSL's and into ours, which must agree.

An insider who has the keys says what it likes behind a handshake, in either role: records of any type with any content,
padding and length, changed ones, and what is no record.  After each of them both ends have given the same plaintext,
and ended, or not, by the same alert; at the end both say the same.  Where they differ on purpose, because OpenSSL is
laxer than RFC 8446 or names another alert, `_Insider.excuse` says how.  Ours hears the same a second time, cut anyhow.

Three bytes of an input can say forty records of 16 KiB: what is said in all is bounded, so that no input takes long.
"""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import accumulate
from typing import Final, NamedTuple

from sottovoce.transport import PqPolicy, RecordLayer, TlsContext, TlsCore, TlsError
from sottovoce.transport.openssl.binding import set_groups
from sottovoce.transport.records import RecordCore
from tests.fuzz.choices import Choices
from tests.transport.ends import server
from tests.transport.records.ends import count_records, forged, only, secrets_in
from tests.transport.records.forge import ALERT, DATA, HANDSHAKE, NAMES, Direction, Opened

_RAW: Final = -1
"""Stands for a type: what was said is no record that both ends can open."""
_SIZES: Final = (0, 1, 2, 150, 1_460, 1_461, 16_383, 16_384, 16_385)
_PADDINGS: Final = (0, 0, 0, 1, 100, 384)
_KINDS: Final = (DATA, HANDSHAKE, ALERT, 20, 24, 0, 99)
_MESSAGES: Final = (b"\x18\0\0\1\0", b"\x18\0\0\1\1", b"\4\0\0\x0e\0\0\1\0abcd\0\0\1t\0\0")
_ALERTS: Final = (b"\1\x5a", b"\2\x5a", b"\1\0", b"\1\x28", b"\2\x28", b"\2\xff", b"\x09\x14")
_PLAIN: Final = (b"\x14\x03\x03\0\1\1", b"\x15\x03\x03\0\2\2\x28", b"\x16\x03\x03\0\4\x18\0\0\0", b"GET / HTTP/1.1\r\n")
_UPDATE: Final = Opened(HANDSHAKE, b"\x18\0\0\1\0")
"""The answer to a request: when OpenSSL gives it depends on how it is called, ours waits for the next data."""
_ANY: Final = -1
_ENOUGH_BYTES: Final = 150_000
"""Then nobody says anything more: as much as nine of the longest records, and all that is counted comes sooner."""

Difference = tuple[int | None, int | None]
"""By which alerts ours and OpenSSL's end; None: it goes on."""


class _Said(NamedTuple):
    data: bytes
    kind: int = _RAW
    content: bytes = b""
    padding: int = 0


class _Outcome(NamedTuple):
    plaintext: bytes
    alert: int | None
    """By which it ended, the peer's or its own."""
    is_closed: bool


class _Insider:
    """Says things of all kinds, and knows where the handshake's messages stand."""

    def __init__(self, choices: Choices, says: Direction, *, to_server: bool) -> None:
        self._choices = choices
        self._says = says
        self._to_server = to_server
        self._begun = b""  # of a message
        self._records = 0  # under this key
        self._hasty_keys = 0
        self._is_lost = False
        self._last, self._repeats = (DATA, b"", 0), 0
        self.has_asked = False
        """For a change of keys in return."""

    @property
    def is_within(self) -> bool:
        """Whether a message has begun, or may have."""
        return bool(self._begun) or self._is_lost

    @property
    def is_repeating(self) -> bool:
        """Whether it will say the same again."""
        return bool(self._repeats)

    def say(self) -> _Said:
        """Say something, perhaps what was said before."""
        choices, says = self._choices, self._says
        if self._repeats:
            self._repeats -= 1
            return self._made(*self._last)
        match choices.below(8):
            case 0 | 1:
                return self._record(DATA, bytes(choices.pick(_SIZES)))
            case 2:
                message = choices.pick(_MESSAGES)
                return self._record(HANDSHAKE, message[choices.below(3) : len(message) - choices.below(3)])
            case 3:
                return self._record(ALERT, choices.pick(_ALERTS))
            case 4:
                return self._record(choices.pick(_KINDS), choices.piece())
            case 5:
                record = bytearray(says.record(bytes(choices.pick((1, 20, 150)))))
                record[choices.below(len(record))] ^= 1 << choices.below(8)
                return _Said(bytes(record))
            case 6:
                self._repeats = choices.below(40)
                return self._made(*self._last)
            case _:
                return _Said(choices.pick(_PLAIN)) if choices.flag() else _Said(says.sealed(b""), 0)

    def _record(self, kind: int, content: bytes) -> _Said:
        self._last = kind, content, self._choices.pick(_PADDINGS)
        return self._made(*self._last)

    def _made(self, kind: int, content: bytes, padding: int) -> _Said:
        data = self._says.record(content, kind, padding=padding)
        if not kind:  # all of it may be padding
            inner = content.rstrip(b"\0")
            padding += len(content) - len(inner)
            kind, content = (inner[-1], inner[:-1]) if inner else (0, b"")
        return _Said(data, kind, content, padding)

    def excuse(self, said: _Said) -> Difference | None:
        """Say in what both may differ."""
        match said.kind:
            case _ if len(said.content) <= 16_384 < len(said.content) + said.padding:
                return 22, _ANY  # padding beyond 2^14 + 1: OpenSSL looks at the content alone (§5.4)
            case 0 if not said.content:
                return 10, 20  # an empty inner plaintext has no type: unexpected_message (§5.4)
            case 21 if self._begun:
                return 10, _ANY  # between parts of a message (§5.1)
            case 21:
                return 50, 10  # an alert that cannot be parsed: decode_error (§6)
            case 22 if self.has_asked:
                return _ANY, _ANY  # OpenSSL answers now, and reads the message's header when more comes
            case 22 if self._hasty_keys >= 32:
                return 10, None  # OpenSSL has no limit
            case 22 if (self._begun + said.content)[:1] == b"\4":
                return _ANY, _ANY  # a ticket, which we do not read
            case 22:
                return 50, _ANY  # a KeyUpdate that cannot be parsed (§6)
            case _ if said.data[:1] == b"\x14" and not self._to_server:
                return 10, None  # OpenSSL's client ignores a late change_cipher_spec (§5)
            case _:
                return None

    def follow(self, said: _Said) -> None:
        """Do as the two ends do when both have taken it."""
        self._records += 1
        if said.kind != HANDSHAKE:
            self._is_lost = self._is_lost or said.kind == _RAW  # of another length, so what follows is part of it
            return
        self._begun += said.content
        while len(self._begun) >= 4 and len(self._begun) >= (size := 4 + int.from_bytes(self._begun[1:4])):
            if self._begun[0] == 24:
                self._says.update()
                self._hasty_keys = self._hasty_keys + 1 if self._records <= 32 else 0
                self._records = 0
                self.has_asked = self.has_asked or self._begun[4:5] == b"\1"
            self._begun = self._begun[size:]


@cache
def _contexts(name: str) -> tuple[TlsContext, TlsContext, list[bytes]]:
    """Give settings of OpenSSL's for both ends with one suite, and where their secrets are told."""
    lines: list[bytes] = []
    ours, theirs = only(name), server(PqPolicy.OFF, records=RecordLayer.OPENSSL, key_log=lines.append)
    set_groups(ours._openssl, "X25519")
    return ours, theirs, lines


def _openssl(name: str, *, is_server: bool) -> tuple[TlsCore, tuple[bytes, bytes], int]:
    """Give OpenSSL's end, the secrets, and how many records it has sent."""
    ours, theirs, lines = _contexts(name)
    lines.clear()
    client_end, server_end = TlsCore(ours), TlsCore(theirs)
    server_end.receive(client_end.to_send())
    client_end.receive(server_end.to_send())
    server_end.receive(client_end.to_send())  # even for the client's part: now it tells the client's secret
    if is_server:
        return server_end, secrets_in(lines), count_records(server_end.to_send())
    return client_end, secrets_in(lines), 0


def _outcome(end: TlsCore | RecordCore, data: bytes, hears: Direction) -> _Outcome:
    plaintext, ended = b"", None
    try:
        plaintext = end.receive(data)
    except TlsError as error:
        ended = error
    sent = hears.read(end.to_send())
    if ended is None:
        assert all(opened == _UPDATE for opened in sent)
        return _Outcome(plaintext, None, end.closed_by_peer)
    alerts = [opened.content[1] for opened in sent if opened.kind == ALERT]
    if not alerts and ended.alert is None:  # so OpenSSL takes a close_notify behind a user_canceled of level fatal
        assert isinstance(end, TlsCore)
        return _Outcome(b"", None, is_closed=True)
    assert not alerts or ended.alert is None
    return _Outcome(b"", alerts[0] if alerts else ended.alert, is_closed=False)


def _cut(choices: Choices, sayings: list[bytes]) -> Iterator[bytes]:
    """Cut where one saying ends, which is the short way's, or anywhere."""
    data, ends = b"".join(sayings), list(accumulate(map(len, sayings)))
    at = 0
    while at < len(data):
        match choices.below(6):
            case 4:
                end = at + 1 + choices.below(30)
            case 5:
                end = at + 1 + choices.below(20_000)
            case _:
                end = ends[bisect_right(ends, at)]
        yield data[at:end]
        at = end


def fuzz_tls_records(data: bytes) -> None:
    """Let an insider speak to both."""
    choices = Choices(data)
    is_server, name = choices.flag(), choices.pick(NAMES)
    theirs, secrets, sent = _openssl(name, is_server=is_server)
    ours = forged(name, is_server=is_server, secrets=secrets, sent=sent)
    hears = Direction(name, ours.hears.secret, sent)
    insider = _Insider(choices, ours.says, to_server=is_server)
    heard, sayings, outcome, differ = b"", list[bytes](), _Outcome(b"", None, is_closed=False), False
    room = _ENOUGH_BYTES
    while not (differ or outcome.is_closed or outcome.alert is not None):
        if room <= 0 or not (choices.are_left or insider.is_repeating):
            break
        said = insider.say()
        excuse = insider.excuse(said)
        outcome, other = _outcome(ours.core, said.data, ours.hears), _outcome(theirs, said.data, hears)
        sayings.append(said.data)
        room -= len(said.data)
        heard += outcome.plaintext
        if outcome != other:
            assert excuse is not None, (said, outcome, other)
            for ended, may in ((outcome, excuse[0]), (other, excuse[1])):
                assert may in {ended.alert, _ANY}, (said, outcome, other)
            differ = True
        insider.follow(said)
    if not (differ or insider.is_within):  # within a message OpenSSL cannot send
        _compare_answers(ours.core, theirs, ours.hears, hears, has_asked=insider.has_asked)
    again = forged(name, is_server=is_server, secrets=secrets, sent=sent)
    _hear_again(again.core, _cut(Choices(data[::-1]), sayings), heard, ours.core)


def _compare_answers(
    ours: RecordCore, theirs: TlsCore, our_reader: Direction, reader: Direction, *, has_asked: bool
) -> None:
    """Have both say something: what they owe comes before it."""
    if ours.failure is theirs.failure is None:
        assert our_reader.read(ours.seal(b"bye")) == [*([_UPDATE] if has_asked else []), Opened(DATA, b"bye")]
        assert reader.read(theirs.seal(b"bye"))[-1] == Opened(DATA, b"bye")
        for end, reads in ((ours, our_reader), (theirs, reader)):
            end.close()
            assert reads.read(end.to_send()) == [Opened(ALERT, b"\1\0")]


def _hear_again(core: RecordCore, pieces: Iterator[bytes], heard: bytes, first: RecordCore) -> None:
    """Have another end hear all of it, cut in other places and by the short way where there is one."""
    plaintext = b""
    with suppress(TlsError):
        for piece in pieces:
            short = core.receive_record(piece) if core.failure is None else None
            plaintext += core.receive(b"") if short is None else short
        plaintext += core.receive(b"")
    assert str(core.failure) == str(first.failure)
    assert plaintext == heard
    assert core.closed_by_peer is first.closed_by_peer
