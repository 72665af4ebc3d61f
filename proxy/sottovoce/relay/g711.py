"""G.711: µ-law and A-law from and to 16-bit linear samples, little-endian, by table.  Pure.

The tables are worked out from the standard's definition when the module is loaded:

- Both laws have eight segments of sixteen steps for each sign; from the second segment on, a step is twice as long as
  in the segment before (ITU-T G.711 (11/88), tables 1 and 2).  A code word stands for the middle of its step, scaled to
  16 bits: by 4 from µ-law's 14 bits, by 8 from A-law's 13.
- A sample becomes the code word of the step that its magnitude falls into; what lies beyond the last step has the last
  code word.  16 bits are cut to the law's by an arithmetic shift, as telephone software does it since Sun's: a negative
  sample between two of the law's values counts as the lower one.

Decoding, and going from one law to the other, costs no Python work a sample: `bytes.translate` does it.
"""

import sys
from array import array
from operator import itemgetter
from typing import Final

MULAW_SILENCE: Final = 0xFF
"""µ-law's positive zero."""

_SEGMENTS = 8
_STEPS = 16
_SIGN = 0x80
_MULAW_BITS = 13
_MULAW_BIAS = 33
_MULAW_INVERTED = 0xFF
"""µ-law is sent with all bits inverted (table 2, note 2)."""
_ALAW_BITS = 12
_ALAW_INVERTED = 0xD5
"""A-law with the even ones, and its sign is 1 for positive values (table 1, note 2)."""


def mulaw_to_pcm16(data: bytes) -> bytes:
    """Decode µ-law."""
    return _interleaved(data, *_MULAW_TO_PCM16)


def alaw_to_pcm16(data: bytes) -> bytes:
    """Decode A-law."""
    return _interleaved(data, *_ALAW_TO_PCM16)


def pcm16_to_mulaw(data: bytes) -> bytes:
    """Encode whole samples; half of one at the end is left out."""
    return _looked_up(data, _PCM16_TO_MULAW)


def pcm16_to_alaw(data: bytes) -> bytes:
    """Encode whole samples; half of one at the end is left out."""
    return _looked_up(data, _PCM16_TO_ALAW)


def mulaw_to_alaw(data: bytes) -> bytes:
    """Go through linear samples, as two gateways in a row would."""
    return data.translate(_MULAW_TO_ALAW)


def alaw_to_mulaw(data: bytes) -> bytes:
    """Go through linear samples, as two gateways in a row would."""
    return data.translate(_ALAW_TO_MULAW)


def _looked_up(data: bytes, table: bytes) -> bytes:
    """Encode by a table for all samples.  `itemgetter` is the quickest loop there is: 5 µs for 160 samples."""
    samples = array("H", data[: len(data) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(itemgetter(0, 0, *samples)(table)[2:])  # two more, since of a single one it makes no tuple


def _interleaved(data: bytes, low: bytes, high: bytes) -> bytes:
    pcm16 = bytearray(2 * len(data))
    pcm16[0::2] = data.translate(low)
    pcm16[1::2] = data.translate(high)
    return bytes(pcm16)


def _mulaw_value(bits: int) -> int:
    segment, step = bits >> 4 & 7, bits & 15
    return (((2 * step + _MULAW_BIAS) << segment) - _MULAW_BIAS) << 2


def _alaw_value(bits: int) -> int:
    segment, step = bits >> 4 & 7, bits & 15
    return (2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)) << 3


def _decoding(values: list[int], inverted: int) -> tuple[bytes, bytes]:
    """Build the tables of the low and the high byte from the values of one sign's code words."""
    signed = [values[bits & ~_SIGN] * (-1 if bits & _SIGN else 1) for bits in range(256)]
    samples = b"".join(signed[code ^ inverted].to_bytes(2, "little", signed=True) for code in range(256))
    return samples[0::2], samples[1::2]


def _encoding(lengths: list[int], negative_lengths: list[int], shift: int, inverted: int) -> bytes:
    """Build the code word of each 16-bit sample, by its two's complement, from the lengths of the steps."""
    positive = b"".join(bytes([bits ^ inverted]) * (length << shift) for bits, length in enumerate(lengths))
    negative = b"".join(
        bytes([bits ^ inverted ^ _SIGN]) * (length << shift) for bits, length in enumerate(negative_lengths)
    )
    return positive + negative[::-1]


def _mulaw_encoding() -> bytes:
    """Zero has half a step of its own for each sign; the last step goes on to the end of the scale."""
    lengths = [2 << segment for segment in range(_SEGMENTS) for _ in range(_STEPS)]
    lengths[0] = 1
    lengths[-1] += (1 << _MULAW_BITS) - sum(lengths)
    negative = [0, *lengths[1:-1], lengths[-1] + 1]  # from -1 to -8192: no negative zero
    return _encoding(lengths, negative, 15 - _MULAW_BITS, _MULAW_INVERTED)


def _alaw_encoding() -> bytes:
    lengths = [2 << max(segment - 1, 0) for segment in range(_SEGMENTS) for _ in range(_STEPS)]
    return _encoding(lengths, lengths, 15 - _ALAW_BITS, _ALAW_INVERTED)


_MULAW_TO_PCM16 = _decoding([_mulaw_value(bits) for bits in range(128)], _MULAW_INVERTED)
_ALAW_TO_PCM16 = _decoding([_alaw_value(bits) for bits in range(128)], _ALAW_INVERTED)
_PCM16_TO_MULAW = _mulaw_encoding()
_PCM16_TO_ALAW = _alaw_encoding()
_MULAW_TO_ALAW = pcm16_to_alaw(mulaw_to_pcm16(bytes(range(256))))
_ALAW_TO_MULAW = pcm16_to_mulaw(alaw_to_pcm16(bytes(range(256))))
