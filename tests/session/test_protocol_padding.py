"""Protocol §9: what lengths tell under padding classes 0 and 1."""

import random

import pytest

from sottovoce.session.session import Session
from sottovoce.wire import Codec, frames
from tests.session.dialogue import talking
from tests.session.foreign_bytes import AUDIO, CLOSE, HANDSHAKE, JSON, PING, SWITCH, split
from tests.session.meeting import AtClient, AtServer

BUCKETS = [88, 128, 168, 248, 328, 408, 648, 968, *(320 * n + 8 for n in range(4, 51))]
TAG = 16


def bucket(length: int) -> int:
    """The next bucket, from the text."""
    return next(size for size in BUCKETS if size >= length)


def plaintext_bytes(record: bytes) -> int:
    """Without header and tag, for the headers of the first epochs."""
    config = record[0]
    header = 1 + (config >> 4 & 7) + 1 + ((config & 7) + 1 if config & 8 else 0)
    return len(record) - header - TAG


def audio_lengths(session: Session, sizes: range, padding_class: int) -> None:
    for size in sizes:
        record = session.seal_audio(b"\xff" * size, 0.0)
        assert record is not None
        expected = size + 2 if padding_class == 0 else bucket(size + 2)
        assert plaintext_bytes(record) == expected, size


@pytest.mark.protocol("P9.28")
def test_class_0_pads_nothing() -> None:
    pair = talking(padding=0)
    for session in (pair.client, pair.server):
        audio_lengths(session, range(400), 0)


@pytest.mark.protocol("P9.29")
def test_class_1_pads_every_length_to_its_bucket() -> None:
    pair = talking(padding=1)
    for session in (pair.client, pair.server):
        audio_lengths(session, range(3000), 1)
    assert [frames.padded_bytes(size) for size in range(1, 8200)] == [bucket(size) for size in range(1, 8200)]


@pytest.mark.protocol("P9.29")
def test_class_1_is_the_default_and_covers_every_type_of_frame() -> None:
    meeting = AtServer()
    session = meeting.server
    session.send_dtmf(1, 1, 0.0)
    session.send_ping(bytes(8), 0.0)
    session.send_json(b'{"a":"' + b"x" * 200 + b'"}', 0.0)
    session.send_mark("m", 0.0)
    session.send_clear(0.0)
    session.send_cover(100, 0.0)
    session.request_rekey()
    meeting.say(PING, bytes(8))
    session.close(1000, 0.0)
    records = session.to_send()
    assert [plaintext_bytes(record) for record in records] == [88, 88, 248, 88, 88, 128, 88, 88, 88]


@pytest.mark.protocol("P9.29", "P7.20")
def test_the_root_steps_frames_are_padded_too() -> None:
    client, server = AtClient(), AtServer()
    client.answer()
    client.hear()
    server.answered()
    server.switch()
    server.say(AUDIO, b"\0x")
    server.hear()
    for meeting in (client, server):
        assert {plaintext_bytes(record) for record in meeting.raw} <= set(BUCKETS)
    assert (HANDSHAKE, SWITCH, CLOSE, JSON) == (6, 2, 7, 8)
    assert split(b"") == []


@pytest.mark.protocol("P9.31", "P2.18", "P2.19")
@pytest.mark.parametrize("padding", [0, 1])
def test_padding_never_exceeds_the_record_limit(padding: int) -> None:
    pair = talking(padding=padding)
    for size in range(7700, 8150, 3):
        record = pair.client.seal_audio(b"\xff" * size, 0.0)
        assert record is not None
        assert len(record) <= 8192
        assert pair.server.open_audio(record, 0.0) == b"\0" + b"\xff" * size
    pair.client.send_json(b'{"a":"' + b"x" * 3992 + b'"}', 0.0)
    pair.run()
    assert pair.server.is_open


@pytest.mark.protocol("P9.32")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_receivers_do_not_check_padding(role: type[AtServer] | type[AtClient]) -> None:
    """Under class 1, frames of any length: none of these is a bucket's."""
    meeting = role()
    for padding in range(0, 90, 7):
        meeting.say(AUDIO, b"\0x", padding=padding)
    assert meeting.ours.is_open


@pytest.mark.protocol("P11.38")
def test_the_lengths_of_padded_opus() -> None:
    """Variable bit rate, 24 to 64 kbit/s at 20 ms, bursts and silence: few lengths, and none says an exact size."""
    chance = random.Random(7)  # noqa: S311  sizes of made-up frames
    pair = talking(codecs=(Codec.OPUS_48K_MONO, Codec.PCM16_16K))
    lengths: dict[int, set[int]] = {}
    for _ in range(5_000):
        size = chance.choice([3, chance.randint(20, 60), chance.randint(60, 160), chance.randint(160, 400)])
        record = pair.client.seal_audio(bytes(chance.getrandbits(8) | 1 for _ in range(size)), 0.0)
        assert record is not None
        lengths.setdefault(plaintext_bytes(record), set()).add(size)
    assert set(lengths) == {88, 128, 168, 248, 328, 408}
    assert min(len(sizes) for sizes in lengths.values()) >= 38
