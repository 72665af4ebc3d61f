"""The frames between the proxy and its token process."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm import HsmUnavailable, HsmWrongPin, OperationRefused, TokenProcessFailed
from sottovoce.hsm.errors import KINDS
from sottovoce.hsm.messages import (
    MAX_FRAME_BYTES,
    FrameReader,
    Reply,
    Request,
    Started,
    decode_answer,
    decode_message,
    encode_answer,
    encode_frame,
    failure_from,
)
from sottovoce.primitives import Secret, SottovoceError


@given(st.lists(st.binary(max_size=200), max_size=8), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(fields: list[bytes], data: st.DataObject) -> None:
    requests = [Request(i, "sign", msgspec.Raw(msgspec.msgpack.encode(field))) for i, field in enumerate(fields)]
    stream = b"".join(encode_frame(request) for request in requests)
    reader, out = FrameReader(), []
    while stream:
        length = data.draw(st.integers(1, len(stream)))
        out += [decode_message(body, Request) for body in reader.receive(stream[:length])]
        stream = stream[length:]
    assert [(r.id, bytes(r.fields)) for r in out] == [(r.id, bytes(r.fields)) for r in requests]


def test_a_huge_frame_is_refused_at_both_ends() -> None:
    with pytest.raises(OperationRefused, match="larger than a frame"):
        encode_frame(Request(1, "x" * MAX_FRAME_BYTES, msgspec.Raw(b"\xc0")))
    with pytest.raises(TokenProcessFailed, match="announced a frame of"):
        FrameReader().receive(b"\xff\xff\xff\xff")


def test_what_is_no_message_is_the_other_ends_fault() -> None:
    with pytest.raises(TokenProcessFailed, match="sent no Reply"):
        decode_message(b"\xc1 nonsense", Reply)


@pytest.mark.parametrize("kind", KINDS.values())
def test_an_error_arrives_as_what_it_was_raised_as(kind: type[SottovoceError]) -> None:
    answer = decode_message(encode_frame(Started(1, failure_from(kind("a line"))))[4:], Started)
    assert answer.failure is not None
    error = answer.failure.to_error()
    assert (type(error), str(error)) == (kind, "a line")


def test_other_errors_arrive_without_a_value() -> None:
    class Elsewhere(SottovoceError):
        """An error of a package above: its text is fit to be shown."""

    assert type(failure_from(Elsewhere("a line")).to_error()) is OperationRefused
    assert failure_from(ValueError("planted")).text == "ValueError at an unknown place"
    assert {HsmUnavailable, HsmWrongPin} <= set(KINDS.values())


class Key(msgspec.Struct, frozen=True):
    name: str
    key: Secret


def test_a_secret_crosses_as_its_bytes_and_is_wiped_where_it_came_from() -> None:
    secret = Secret("key", bytes(range(32)))
    fields = encode_answer(Key("one", secret))
    assert secret.is_wiped
    assert bytes(range(32)) in fields
    answer = decode_answer(msgspec.Raw(fields), Key)
    assert (answer.name, answer.key) == ("one", Secret("key", bytes(range(32))))


@pytest.mark.parametrize("value", [{"name": "one", "key": "planted"}, {"name": 7, "key": b"planted"}, "planted"])
def test_an_answer_of_another_kind_is_a_fault_of_the_process_and_not_repeated(value: object) -> None:
    with pytest.raises(TokenProcessFailed, match=r"^the token process answered with something that is no Key$"):
        decode_answer(msgspec.Raw(msgspec.msgpack.encode(value)), Key)
