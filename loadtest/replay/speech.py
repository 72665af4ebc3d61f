"""What calls say, cut into frames: recordings, or for a codec that has none here, bytes of its size.

Nobody listens: a frame is held against what was sent, byte for byte.  So G.711's frames are a recording's bytes, and
Opus packets are of the sizes that speech has, which vary.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from loadtest.replay.streams import NUMBER_BYTES
from sottovoce.app.wav import Recording, read_wav
from sottovoce.wire import Codec

_BUNDLED = Path(__file__).parents[1] / "audio"
_OPUS_SIZES = (40, 120)
"""Bytes of a packet at 16 to 48 kbit/s; TOC byte of 20 ms CELT, mono (RFC 6716 §3.1)."""
_OPUS_PACKETS = 500
_OPUS_TOC = b"\xf8"


class Speech(msgspec.Struct, frozen=True):
    """What one call says."""

    codec: Codec
    tails: tuple[bytes, ...]
    """Its frames in turn, without the bytes that a frame's number takes the place of."""


def bundled(rate: int) -> Recording:
    """Give the speech that comes with this, at 8, 16, 24 or 48 kHz."""
    return read_wav(_BUNDLED / f"speech-{rate // 1000}k.wav")


def speeches(codec: Codec | None, milliseconds: int, recordings: Sequence[Recording]) -> tuple[Speech, ...]:
    """Give what calls say in turn: in a codec of their own, or that of each recording; none: the bundled speech."""
    if codec is None:
        found = recordings or (bundled(16_000),)
        return tuple(Speech(each.codec, _tails(each.frames(milliseconds), each.codec, milliseconds)) for each in found)
    if not codec.bytes_per_sample:
        chance = Random(1)  # noqa: S311  sizes, not secrets
        packets = [_OPUS_TOC + chance.randbytes(chance.randint(*_OPUS_SIZES)) for _ in range(_OPUS_PACKETS)]
        return (Speech(codec, tuple(packet[NUMBER_BYTES:] for packet in packets)),)
    rate = codec.sample_rate
    size = codec.frame_bytes(milliseconds)
    samples = bundled(rate).samples
    frames = [samples[start : start + size] for start in range(0, len(samples), size)]
    return (Speech(codec, _tails(frames, codec, milliseconds)),)


def _tails(frames: Sequence[bytes], codec: Codec, milliseconds: int) -> tuple[bytes, ...]:
    size = codec.frame_bytes(milliseconds)
    return tuple(frame.ljust(size, b"\0")[NUMBER_BYTES:] for frame in frames)
