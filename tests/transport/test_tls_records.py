"""The short way for one record, beside the way that takes any bytes: what comes out is the same."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import RecordLayer, TlsCore, TlsError
from sottovoce.transport.openssl import RecordPipe
from tests.transport.ends import Cut, client, connected, server
from tests.transport.test_tls import cuts

pytestmark = pytest.mark.usefixtures("each_word")


def taken(core: TlsCore, data: bytes) -> bytes:
    """Take bytes the short way first, as a line does."""
    plaintext = core.receive_record(data)
    return core.receive(b"") if plaintext is None else plaintext


@given(st.lists(st.binary(max_size=400), max_size=8), cuts())
def test_however_records_are_cut_the_plaintext_is_the_same(said: list[bytes], cut: Cut) -> None:
    ours, theirs = connected()
    theirs.to_send()
    for message in said:
        ours.send(message)
    heard = b"".join(taken(theirs, piece) for piece in cut(ours.to_send()))
    assert heard == b"".join(said)
    assert theirs.to_send() == b""


@given(st.lists(st.sampled_from([0, 1, 160, 16_384, 16_385, 40_000]), max_size=5))
def test_what_is_sealed_is_what_was_sent(sizes: list[int]) -> None:
    ours, theirs = connected()
    for size in sizes:
        message = bytes([size % 251]) * size
        assert theirs.receive(ours.seal(message)) == message


def test_one_record_costs_no_second_look_and_two_are_both_read() -> None:
    ours, theirs = connected()
    assert theirs.receive_record(ours.seal(b"one")) == b"one"
    assert theirs.receive_record(ours.seal(b"two") + ours.seal(b"three")) is None
    assert theirs.receive(b"") == b"twothree"
    assert theirs.receive_record(ours.seal(b"four")) == b"four"


def test_a_record_that_is_none_of_data_is_left_to_the_long_way() -> None:
    ours, theirs = connected()
    ours.close()
    assert theirs.receive_record(ours.to_send()) is None
    assert theirs.receive(b"") == b""
    assert theirs.closed_by_peer


def test_a_forged_record_is_told_as_by_the_long_way() -> None:
    reasons: list[object] = []
    for short in (False, True):
        ours, theirs = connected()
        record = bytearray(ours.seal(b"audio"))
        record[-1] ^= 1
        with pytest.raises(TlsError) as refused:
            taken(theirs, bytes(record)) if short else theirs.receive(bytes(record))
        reasons.append((refused.value.reason, str(refused.value)))
        assert theirs.failure is refused.value
        with pytest.raises(TlsError):
            theirs.seal(b"more")
        with pytest.raises(ApiMisuse):
            theirs.receive_record(b"")
    assert reasons[0] == reasons[1]


def test_neither_is_for_a_handshake() -> None:
    core = TlsCore(client())
    with pytest.raises(ApiMisuse):
        core.receive_record(b"")
    with pytest.raises(ApiMisuse):
        core.seal(b"too early")


def test_after_close_nothing_is_sealed() -> None:
    ours, _ = connected()
    ours.close()
    with pytest.raises(ApiMisuse):
        ours.seal(b"too late")


def test_an_end_that_was_released_is_used_no_more() -> None:
    ours, theirs = connected()
    record = bytearray(ours.seal(b"audio"))
    record[-1] ^= 1
    with pytest.raises(TlsError) as refused:
        theirs.receive(bytes(record))
    for end in (ours, theirs):
        end.release()
        end.release()
        assert end.to_send() == b""
    assert theirs.failure is refused.value
    assert refused.value.__traceback__ is None
    for use in (ours.receive, ours.receive_record, ours.send, ours.seal):
        with pytest.raises(ApiMisuse, match="released"):
            use(b"x")
    ours.close()


def test_a_handshake_that_was_released_goes_no_further() -> None:
    core = TlsCore(server())
    core.release()
    with pytest.raises(ApiMisuse, match="within its handshake"):
        core.receive(b"x")
    assert core.to_send() == b""


def test_nothing_is_sealed_when_openssl_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = connected(client(records=RecordLayer.OPENSSL))
    monkeypatch.setattr(RecordPipe, "seal", lambda _pipe, _plaintext: b"")
    with pytest.raises(TlsError) as refused:
        ours.seal(b"audio")
    assert ours.failure is refused.value


def test_after_a_handshake_that_failed_every_call_says_so() -> None:
    core = TlsCore(server())
    with pytest.raises(TlsError) as refused:
        core.receive(bytes(50))
    for use in (core.receive, core.send, core.seal):
        with pytest.raises(TlsError) as again:
            use(b"x")
        assert again.value is refused.value
    with pytest.raises(TlsError):
        core.receive_eof()
