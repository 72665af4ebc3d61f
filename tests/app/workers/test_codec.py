"""Frames of a desk: cut anywhere they are the same, and what another version adds is passed over."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.app.workers.desk import codec, messages
from sottovoce.app.workers.desk.codec import MAX_FRAME_BYTES, DeskBroken, FrameReader, encode_frame
from sottovoce.identity import ClientsSources
from sottovoce.identity.clients.contents import MAX_FILE_BYTES
from sottovoce.pki import PackedIdentity
from sottovoce.primitives import Secret, wipe_bytes

SAID = (
    messages.Resume(),
    messages.Drain(1.5, 6.0),
    messages.Ask("sign_root", {"a": b"question", "b": b""}, 2.5),
    messages.Answer("a", b"answer"),
    messages.Refused("HsmTimeout", "too late"),
    messages.Voice(({"a": b"certificate"},)),
)


@given(st.lists(st.tuples(st.sampled_from(SAID), st.integers(0, 1 << 40))), st.data())
def test_however_a_stream_is_cut_the_same_messages_come_in_the_same_order(
    said: list[tuple[msgspec.Struct, int]], data: st.DataObject
) -> None:
    stream = b"".join(encode_frame(type(message).__name__, number, message) for message, number in said)
    reader, heard = FrameReader(), []
    while stream:
        piece = data.draw(st.integers(1, len(stream)))
        heard += reader.receive(stream[:piece])
        stream = stream[piece:]
    assert [(messages.decode_body(messages.KINDS[frame.kind], frame.body), frame.number) for frame in heard] == said


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    try:
        frames = FrameReader().receive(data)
    except DeskBroken:
        return
    assert len(frames) * 5 <= len(data)


@given(st.sampled_from(list(messages.KINDS.values())), st.binary(max_size=60))
def test_a_body_that_is_none_is_refused(kind: type[msgspec.Struct], body: bytes) -> None:
    try:
        message = messages.decode_body(kind, body)
    except DeskBroken:
        return
    assert type(message) is kind


def test_a_frame_that_is_announced_too_large_is_refused() -> None:
    with pytest.raises(DeskBroken, match="announced"):
        FrameReader().receive((codec.MAX_FRAME_BYTES + 1).to_bytes(4))


class DrainOfNextYear(msgspec.Struct, frozen=True):
    """A message that has one more field by then."""

    spread_seconds: float
    stop_seconds: float
    why: str = "because"


def test_what_a_later_version_adds_is_passed_over() -> None:
    body = msgspec.msgpack.encode(DrainOfNextYear(1.0, 2.0))
    assert messages.decode_body(messages.Drain, body) == messages.Drain(1.0, 2.0)
    packed = msgspec.msgpack.encode(["Drain", 0, msgspec.Raw(body), "more"])
    (frame,) = FrameReader().receive(len(packed).to_bytes(4) + packed)
    assert (frame.kind, frame.number, bytes(frame.body)) == ("Drain", 0, body)


def test_a_secret_crosses_and_no_copy_stays_in_the_reader() -> None:
    leaf = messages.Leaf(PackedIdentity(Secret("key", b"private bytes"), (b"certificate",)))
    frame_bytes = encode_frame("Leaf", 0, leaf)
    reader = FrameReader()
    (frame,) = reader.receive(frame_bytes)
    assert reader.is_between_frames
    message = messages.decode_body(messages.Leaf, frame.body)
    assert message.leaf.key == Secret("key", b"private bytes")
    assert "private" not in repr(message)
    wipe_bytes(frame.body)
    assert not any(frame.body), "what its reader overwrites is all there is of it"


def test_a_frame_that_is_too_large_is_overwritten_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_FRAME_BYTES", 10)
    with pytest.raises(DeskBroken, match="larger than a frame may be") as caught:
        encode_frame("Answer", 1, messages.Answer("a", b"private bytes"))
    variables = caught.traceback[-1].frame.f_locals
    assert not any(variables["body"])
    assert not any(variables["packed"])


def test_all_that_is_read_of_who_may_call_goes_into_one_frame() -> None:
    files = [name for name, kind in ClientsSources.__annotations__.items() if "bytes" in str(kind)]
    assert len(files) == 4
    assert 2 * len(files) * MAX_FILE_BYTES <= MAX_FRAME_BYTES, "and as much of everything else"


def test_what_came_of_a_frame_is_overwritten_where_no_more_comes() -> None:
    reader = FrameReader()
    reader.receive(encode_frame("Answer", 1, messages.Answer("a", b"private bytes"))[:-1])
    buffer = reader._buffer
    assert buffer is not None
    assert b"private" in buffer
    reader.forget()
    assert not any(buffer)


def test_a_frame_that_comes_in_pieces_stands_in_one_place_until_it_is_overwritten() -> None:
    reader, frame_bytes = (
        FrameReader(),
        encode_frame("Answer", 1, messages.Answer("a", bytes(1_000) + b"private bytes")),
    )
    reader.receive(frame_bytes[:5])
    buffer = reader._buffer
    assert buffer is not None
    assert len(buffer) == len(frame_bytes) - 4
    for place in range(5, len(frame_bytes) - 1):
        reader.receive(frame_bytes[place : place + 1])
        assert reader._buffer is buffer
    assert b"private" in buffer
    (frame,) = reader.receive(frame_bytes[-1:])
    assert b"private" in frame.body
    assert not any(buffer), "and what is read then is all there is of it"
    assert reader.is_between_frames


@pytest.mark.parametrize("kind", ["HsmTimeout", "HsmBusy", "HsmSealed", "AuditFailed", "QuorumMissing", "KeyAbsent"])
def test_an_error_arrives_as_what_it_was_raised_as(kind: str) -> None:
    error = messages.Refused(kind, "text").to_error()
    assert type(error).__name__ == kind
    assert messages.refusal_of(error) == messages.Refused(kind, "text")


def test_any_other_error_keeps_its_text() -> None:
    refused = messages.refusal_of(DeskBroken("of another kind"))
    assert refused == messages.Refused("WorkerFault", "of another kind")
    assert isinstance(refused.to_error(), messages.WorkerFault)
