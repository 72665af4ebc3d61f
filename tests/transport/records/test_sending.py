import pytest

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.records import KeyLimits
from tests.transport.records.ends import forged
from tests.transport.records.forge import ALERT, DATA, HANDSHAKE, NAMES, Opened

SIZES = (1, 2, 150, 1_459, 1_460, 1_461, 16_384)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_one_piece_is_one_record(name: str, size: int) -> None:
    core, _, hears = forged(name)
    for _ in range(2):
        record = core.seal(bytes(size))
        assert record[:3] == b"\x17\x03\x03"
        core.send(bytes(size))
        assert hears.read(record + core.to_send()) == 2 * [Opened(DATA, bytes(size))]
    assert core.to_send() == b""


def test_longer_pieces_are_cut() -> None:
    core, _, hears = forged()
    assert [len(opened.content) for opened in hears.read(core.seal(bytes(40_000)))] == [16_384, 16_384, 7_232]
    assert core.seal(b"") == b""
    core.send(b"")
    assert core.to_send() == b""


def test_what_waits_goes_first() -> None:
    core, _, hears = forged()
    core.send(b"one")
    core.send(b"two")
    assert [opened.content for opened in hears.read(core.seal(b"three"))] == [b"one", b"two", b"three"]
    assert [opened.content for opened in hears.read(core.seal(b"four"))] == [b"four"]


def test_no_number_is_used_twice() -> None:
    core, says, hears = forged(limits=KeyLimits(sent=4, asked=8, received=12))
    records = [core.seal(b"same") for _ in range(3)]
    core.send(bytes(40_000))
    records.append(core.to_send())
    core.receive(says.key_update(1))
    records += [core.seal(b"same") for _ in range(9)]
    core.close()
    records.append(core.to_send())
    assert len(set(records)) == len(records)
    read = [opened for record in records for opened in hears.read(record)]
    assert [opened.content for opened in read if opened.kind == DATA and len(opened.content) == 4] == [b"same"] * 12
    assert sum(opened.kind == HANDSHAKE for opened in read) == 4


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_changed_when_it_has_served_long_enough(name: str) -> None:
    core, _, hears = forged(name, limits=KeyLimits(sent=3, asked=8, received=12))
    kinds = [opened.kind for _ in range(7) for opened in hears.read(core.seal(b"x"))]
    assert kinds == [DATA, DATA, DATA, HANDSHAKE, DATA, DATA, DATA, HANDSHAKE, DATA]


def test_the_answer_to_a_request_goes_before_the_next_data_and_answers_all() -> None:
    core, says, hears = forged()
    for _ in range(3):
        assert core.receive(says.key_update(1)) == b""
        assert core.to_send() == b""
    update = Opened(HANDSHAKE, b"\x18\0\0\1\0")
    assert hears.read(core.seal(b"data")) == [update, Opened(DATA, b"data")]
    assert hears.read(core.seal(b"more")) == [Opened(DATA, b"more")]
    assert core.receive(says.record(b"under the third key")) == b"under the third key"


def test_it_is_closed_once_and_nothing_follows() -> None:
    core, says, hears = forged()
    core.send(b"last")
    core.close()
    core.close()
    assert hears.read(core.to_send()) == [Opened(DATA, b"last"), Opened(ALERT, b"\1\0")]
    for send in (core.send, core.seal):
        with pytest.raises(ApiMisuse, match=r"after close\(\)"):
            send(b"x")
    assert core.receive(says.key_update(1) + says.record(b"still heard")) == b"still heard"
    core.receive(says.alert(0, 1))
    core.close()
    assert core.to_send() == b""


def test_after_its_own_end_not_even_an_alert_is_sent() -> None:
    core, _, hears = forged()
    core.close()
    hears.read(core.to_send())
    with pytest.raises(Exception, match="not encrypted"):
        core.receive(b"\x16\x03\x03\0\1\0")
    assert core.to_send() == b""


def test_released_it_holds_no_keys() -> None:
    core, says, _ = forged()
    core.send(b"never leaves")
    core.release()
    core.release()
    assert core._secret.is_wiped
    assert core._rx_secret.is_wiped
    assert core._aead is core._rx_aead is None
    assert core.to_send() == b""
    core.close()
    record = says.record(b"x")
    for use in (core.receive, core.receive_record, core.send, core.seal):
        with pytest.raises(ApiMisuse, match="released"):
            use(record)
    assert "a5a5" not in repr(core._secret)
