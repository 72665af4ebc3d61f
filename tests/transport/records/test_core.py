"""What an end makes of each thing that a peer may say, right or wrong."""

from collections.abc import Callable
from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import TlsError, TlsReason, TlsTruncated
from sottovoce.transport.records import Alert, KeyLimits, RecordCore
from tests.transport.records.ends import forged, verdict
from tests.transport.records.forge import ALERT, DATA, HANDSHAKE, NAMES, Direction, Opened
from tests.transport.test_tls import cuts

Say = Callable[[Direction], bytes]

TICKET: Final = b"\4\0\0\x0eany fourteen b"


def times(count: int, say: Say) -> Say:
    """Say it so often."""
    return lambda peer: b"".join(say(peer) for _ in range(count))


GOOD: Final[dict[str, Say]] = {
    "data": lambda peer: peer.record(b"heard"),
    "padding": lambda peer: peer.record(b"heard", padding=300),
    "the most content": lambda peer: peer.record(b"heard") + peer.record(bytes(16_384)),
    "padding up to the most": lambda peer: peer.record(b"heard") + peer.record(bytes(16_000), padding=384),
    "32 empty records": lambda peer: times(32, lambda peer: peer.record(b""))(peer) + peer.record(b"heard"),
    "4 alerts that end nothing": lambda peer: times(4, lambda peer: peer.alert(90, 1))(peer) + peer.record(b"heard"),
    "one of them as fatal": lambda peer: peer.alert(90, 2) + peer.record(b"heard"),
    "another key": lambda peer: peer.key_update() + peer.record(b"heard"),
    "two more keys": lambda peer: peer.key_update() + peer.key_update(1) + peer.record(b"heard"),
    "32 keys in a row": lambda peer: times(32, Direction.key_update)(peer) + peer.record(b"heard"),
}


@pytest.mark.parametrize("is_server", [True, False])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", GOOD)
def test_what_is_good(what: str, name: str, is_server: bool) -> None:  # noqa: FBT001  a parameter of pytest
    core, says, _ = forged(name, is_server=is_server)
    plaintext, failure = verdict(core, [GOOD[what](says)])
    assert plaintext[:5] == b"heard"
    assert failure is None
    assert core.to_send() == b""


BAD: Final[dict[str, tuple[Say, Alert]]] = {
    "a change of cipher": (lambda _: b"\x14\x03\x03\0\1\1", Alert.UNEXPECTED_MESSAGE),
    "an alert that is not encrypted": (lambda _: b"\x15\x03\x03\0\2\2\x28", Alert.UNEXPECTED_MESSAGE),
    "a handshake that is not encrypted": (lambda _: b"\x16\x03\x01\0\4\1\0\0\0", Alert.UNEXPECTED_MESSAGE),
    "no TLS": (lambda _: b"GET / HTTP/1.1\r\n\r\n", Alert.UNEXPECTED_MESSAGE),
    "another version": (lambda peer: peer.record(b"x", first=b"\x17\x03\x01"), Alert.DECODE_ERROR),
    "too long, by its header": (lambda _: b"\x17\x03\x03\x41\x01", Alert.RECORD_OVERFLOW),
    "forged, as long as may be": (lambda _: b"\x17\x03\x03\x41\x00" + bytes(16_640), Alert.BAD_RECORD_MAC),
    "forged": (lambda _: b"\x17\x03\x03\0\x20" + bytes(32), Alert.BAD_RECORD_MAC),
    "shorter than a tag": (lambda _: b"\x17\x03\x03\0\x0f" + bytes(15), Alert.BAD_RECORD_MAC),
    "nothing behind the header": (lambda _: b"\x17\x03\x03\0\0", Alert.BAD_RECORD_MAC),
    "a record twice": (lambda peer: 2 * peer.record(b""), Alert.BAD_RECORD_MAC),
    "too much content": (lambda peer: peer.record(bytes(16_385)), Alert.RECORD_OVERFLOW),
    "too much padding": (lambda peer: peer.record(bytes(16_000), padding=385), Alert.RECORD_OVERFLOW),
    "nothing but padding": (lambda peer: peer.sealed(bytes(20)), Alert.UNEXPECTED_MESSAGE),
    "one byte of padding": (lambda peer: peer.sealed(b"\0"), Alert.UNEXPECTED_MESSAGE),
    "nothing at all": (lambda peer: peer.sealed(b""), Alert.UNEXPECTED_MESSAGE),
    "a type that there is not": (lambda peer: peer.record(b"x", 99), Alert.UNEXPECTED_MESSAGE),
    "a change of cipher, encrypted": (lambda peer: peer.record(b"\1", 20), Alert.UNEXPECTED_MESSAGE),
    "a heartbeat": (lambda peer: peer.record(b"\1\0\0", 24), Alert.UNEXPECTED_MESSAGE),
    "33 empty records": (times(33, lambda peer: peer.record(b"")), Alert.UNEXPECTED_MESSAGE),
    "an empty handshake": (lambda peer: peer.record(b"", HANDSHAKE), Alert.UNEXPECTED_MESSAGE),
    "an empty alert": (lambda peer: peer.record(b"", ALERT), Alert.UNEXPECTED_MESSAGE),
    "half an alert": (lambda peer: peer.record(b"\2", ALERT), Alert.DECODE_ERROR),
    "two alerts in one": (lambda peer: peer.record(b"\1\x5a\1\x5a", ALERT), Alert.DECODE_ERROR),
    "5 alerts that end nothing": (times(5, lambda peer: peer.alert(90, 1)), Alert.UNEXPECTED_MESSAGE),
    "33 keys in a row": (times(33, Direction.key_update), Alert.UNEXPECTED_MESSAGE),
    "a key that is not changed": (
        lambda peer: peer.record(b"\x18\0\0\1\0", HANDSHAKE) + peer.record(b""),
        Alert.BAD_RECORD_MAC,
    ),
    "a handshake behind a change of keys": (
        lambda peer: peer.record(b"\x18\0\0\1\0\x18", HANDSHAKE),
        Alert.UNEXPECTED_MESSAGE,
    ),
    "data within a message": (
        lambda peer: peer.record(b"\x18\0", HANDSHAKE) + peer.record(b"x"),
        Alert.UNEXPECTED_MESSAGE,
    ),
    "no data within a message": (
        lambda peer: peer.record(b"\x18\0\0\1", HANDSHAKE) + peer.record(b""),
        Alert.UNEXPECTED_MESSAGE,
    ),
    "an alert within a message": (
        lambda peer: peer.record(b"\x18\0\0\1", HANDSHAKE) + peer.alert(0, 1),
        Alert.UNEXPECTED_MESSAGE,
    ),
    "a wrong request": (lambda peer: peer.record(b"\x18\0\0\1\2", HANDSHAKE), Alert.ILLEGAL_PARAMETER),
    "a wrong length": (lambda peer: peer.record(b"\x18\0\0\2\0\0", HANDSHAKE), Alert.DECODE_ERROR),
    "a second handshake": (lambda peer: peer.record(b"\1\0\0\0", HANDSHAKE), Alert.UNEXPECTED_MESSAGE),
    "a wish for a certificate": (lambda peer: peer.record(b"\x0d\0\0\3\0\0\0", HANDSHAKE), Alert.UNEXPECTED_MESSAGE),
}


@pytest.mark.parametrize("is_server", [True, False])
@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(what: str, is_server: bool) -> None:  # noqa: FBT001  a parameter of pytest
    say, alert = BAD[what]
    core, says, hears = forged(is_server=is_server)
    with pytest.raises(TlsError) as refused:
        core.receive(say(says))
    assert core.failure is refused.value
    assert refused.value.alert is None
    assert refused.value.reason is (TlsReason.BAD_RECORD if alert is Alert.BAD_RECORD_MAC else TlsReason.PROTOCOL)
    assert hears.read(core.to_send()) == [Opened(ALERT, bytes((2, alert)))]
    for call in (core.receive, core.send, core.seal):
        with pytest.raises(TlsError) as again:
            call(b"x")
        assert again.value is refused.value
    with pytest.raises(TlsError):
        core.receive_eof()
    with pytest.raises(ApiMisuse):
        core.receive_record(b"x")
    core.close()
    assert core.to_send() == b""


@pytest.mark.parametrize("what", BAD)
def test_what_came_before_is_given_first(what: str) -> None:
    core, says, hears = forged()
    assert core.receive(says.record(b"be") + says.record(b"fore") + BAD[what][0](says)) == b"before"
    assert core.failure is not None
    for _ in range(2):
        with pytest.raises(TlsError):
            core.receive(b"")
    assert len(hears.read(core.to_send())) == 1


@given(st.sampled_from([*BAD, *GOOD]), cuts())
def test_how_it_is_cut_changes_nothing(what: str, cut: Callable[[bytes], list[bytes]]) -> None:
    say = GOOD[what] if what in GOOD else BAD[what][0]
    seen: list[object] = []
    for pieces in (lambda data: [data], cut):
        core, says, hears = forged()
        data = says.record(b"first") + say(says)
        plaintext, failure = verdict(core, pieces(data))
        seen.append((plaintext, str(failure), hears.read(core.to_send()), core.closed_by_peer))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("number", "level"), [(40, 2), (40, 1), (20, 2), (255, 2), (1, 1), (0x5B, 7)])
def test_any_other_alert_is_the_end_whatever_its_level(number: int, level: int) -> None:
    core, says, _ = forged()
    assert core.receive(says.record(b"before") + says.alert(number, level) + says.record(b"behind")) == b"before"
    with pytest.raises(TlsError) as ended:
        core.receive(b"")
    assert (ended.value.reason, ended.value.alert) == (TlsReason.ALERT, number)
    assert core.to_send() == b""  # to a fatal alert nothing is answered (RFC 8446 §6.2)


def test_behind_close_notify_everything_is_ignored() -> None:
    core, says, hears = forged()
    assert core.receive(says.record(b"last") + says.alert(0, 1) + b"whatever") == b"last"
    assert core.closed_by_peer
    assert core.receive(bytes(100)) == b""
    assert core.receive_record(says.record(b"x")) is None
    assert core.receive(b"") == b""
    core.receive_eof()
    assert core.failure is None
    assert hears.read(core.seal(b"the other way is open still")) == [Opened(DATA, b"the other way is open still")]


@pytest.mark.parametrize("rest", [0, 1, 5, 20])
def test_an_end_without_close_notify_is_a_truncation(rest: int) -> None:
    core, says, _ = forged()
    assert core.receive(says.record(b"heard") + says.record(b"cut")[:rest]) == b"heard"
    for _ in range(2):
        with pytest.raises(TlsTruncated):
            core.receive_eof()
    for call in (core.receive, core.send):
        with pytest.raises(TlsTruncated):
            call(b"x")
    core.close()
    assert core.to_send() == b""


# The short way for one record.


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 150, 1_460, 1_461, 16_384])
def test_one_record_of_data(name: str, size: int) -> None:
    core, says, _ = forged(name)
    for _ in range(2):
        assert taken(core.receive_record, core.receive, says.record(bytes(size))) == (bytes(size), size <= 1_460)


def taken(short: Callable[[bytes], bytes | None], long: Callable[[bytes], bytes], data: bytes) -> tuple[bytes, bool]:
    """Take bytes as a line does; say whether the short way did."""
    plaintext = short(data)
    return (long(b""), False) if plaintext is None else (plaintext, True)


@given(
    st.lists(st.sampled_from(["data", "empty", "padded", "key", "ticket", "long", "cancel"]), max_size=12),
    cuts(),
    st.booleans(),
)
def test_the_short_way_and_the_long_say_the_same(
    said: list[str],
    cut: Callable[[bytes], list[bytes]],
    by_record: bool,  # noqa: FBT001  from hypothesis
) -> None:
    core, says, _ = forged(is_server=False)
    sayings: dict[str, Callable[[], bytes]] = {
        "data": lambda: says.record(b"data"),
        "empty": lambda: says.record(b""),
        "padded": lambda: says.record(b"padded", padding=7),
        "key": says.key_update,
        "ticket": lambda: says.record(TICKET, HANDSHAKE),
        "long": lambda: says.record(bytes(3_000)),
        "cancel": lambda: says.alert(90, 1) + says.record(b"on"),
    }
    records = [sayings[each]() for each in said]
    pieces = records if by_record else cut(b"".join(records))
    heard = b"".join(taken(core.receive_record, core.receive, piece)[0] for piece in pieces)
    content = {"data": b"data", "padded": b"padded", "long": bytes(3_000), "cancel": b"on"}
    assert heard == b"".join(content.get(each, b"") for each in said)
    assert core.to_send() == b""


def test_a_record_behind_part_of_another_is_not_taken_alone() -> None:
    core, says, _ = forged()
    first, second = says.record(b"first"), says.record(b"second")
    assert core.receive(first[:9]) == b""
    assert core.receive_record(first[9:]) is None
    assert core.receive(b"") == b"first"
    assert core.receive_record(second) == b"second"


@pytest.mark.parametrize("say", [lambda peer: peer.record(b""), lambda peer: peer.alert(90, 1)], ids=["empty", "alert"])
def test_what_is_counted_in_a_row_is_not_where_the_short_way_took_data_in_between(say: Say) -> None:
    core, says, _ = forged()
    for _ in range(99):
        assert taken(core.receive_record, core.receive, say(says)) == (b"", False)
        assert taken(core.receive_record, core.receive, says.record(b"x"))[0] == b"x"
    assert core.receive_record(says.record(b"as short as ever")) == b"as short as ever"


def test_behind_close_notify_nothing_is_kept() -> None:
    core, says, _ = forged()
    core.receive(says.alert(0, 1))
    for _ in range(9):
        assert taken(core.receive_record, core.receive, bytes(4_096)) == (b"", False)
    assert all(len(held) < 100 for held in bytes_in(core))


def bytes_in(core: RecordCore) -> list[bytes]:
    """Give the bytes that an end keeps."""
    slots = (name for kind in RecordCore.__mro__ for name in getattr(kind, "__slots__", ()))
    return [held for name in slots if isinstance(held := getattr(core, name), bytes)]


# How long a key may serve.


def test_a_peer_whose_key_has_served_long_is_asked_to_change_it() -> None:
    core, says, hears = forged(limits=KeyLimits(sent=100, asked=3, received=6))
    for _ in range(3):
        assert core.receive_record(says.record(b"x")) == b"x"
    assert core.receive_record(says.record(b"x")) is None
    assert core.receive(b"") == b"x"
    assert hears.read(core.to_send()) == [Opened(HANDSHAKE, b"\x18\0\0\1\1")]
    assert core.receive_record(says.record(b"x")) == b"x"
    assert core.receive(says.key_update() + says.record(b"under another")) == b"under another"
    assert core.to_send() == b""
    assert hears.read(core.seal(b"ours too")) == [Opened(DATA, b"ours too")]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_peer_that_does_not_is_refused(is_closed: bool) -> None:  # noqa: FBT001  a parameter of pytest
    core, says, hears = forged(limits=KeyLimits(sent=100, asked=3, received=6))
    if is_closed:
        core.close()  # so nothing can be asked any more
    assert core.receive(b"".join(says.record(b"x") for _ in range(6))) == b"xxxxxx"
    with pytest.raises(TlsError, match="does not change its key"):
        core.receive(says.record(b"x"))
    kinds = [(opened.kind, opened.content[-1]) for opened in hears.read(core.to_send())]
    assert kinds == ([(ALERT, 0)] if is_closed else [(HANDSHAKE, 1), (ALERT, Alert.UNEXPECTED_MESSAGE)])


def test_keys_that_have_served_may_be_changed_for_ever() -> None:
    core, says, _ = forged()
    for _ in range(99):
        assert core.receive(b"".join(says.record(b"x") for _ in range(32)) + says.key_update()) == b"x" * 32


def test_asking_for_a_key_is_no_answer_to_who_asked_for_one() -> None:
    core, says, hears = forged(limits=KeyLimits(sent=100, asked=3, received=6))
    assert core.receive(says.key_update(1) + b"".join(says.record(b"x") for _ in range(4))) == b"xxxx"
    assert hears.read(core.to_send()) == [Opened(HANDSHAKE, b"\x18\0\0\1\1")]
    assert hears.read(core.seal(b"x")) == [Opened(HANDSHAKE, b"\x18\0\0\1\0"), Opened(DATA, b"x")]
    assert hears.read(core.seal(b"x")) == [Opened(DATA, b"x")]
