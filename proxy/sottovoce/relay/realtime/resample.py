"""Linear samples from one rate to another: a polyphase FIR filter, worked out by multiplying large integers.  Pure.

Rates here are in proportions L:M of small numbers (8 to 24 kHz is 3:1, 16 to 24 kHz 3:2).  The filter is a windowed
sinc (Kaiser) that passes 85 % of the narrower band and keeps what would be mirrored 60 dB down; of its L times as many
samples only those that come out are worked out, and of its taps only those that meet a sample that was there
(A. Oppenheim, R. Schafer, Discrete-Time Signal Processing, §4.6 and §7.5.3).

**How.**  A convolution of samples with taps is the product of two polynomials; a polynomial whose coefficients fit is
an integer in base 2^40 (Kronecker substitution).  So one multiplication in C takes the place of thousands in Python:
samples, biased to be positive, are put into every fifth byte by slices, and the sums are taken out of the product the
same way.  Taps are scaled by 2^16, so a sum's whole part begins at a byte, and the topmost byte of five says whether it
is beyond 16 bits; then, and only then, samples are looked at one by one.

Each phase's taps add up to exactly 1: silence stays silence, and a constant itself.  A filter delays by half its
length, 12 samples of the lower rate.
"""

import math
from functools import lru_cache
from typing import Final

_LIMB_BYTES: Final = 5
_BASE: Final = 1 << 8 * _LIMB_BYTES
_UNIT: Final = 1 << 16
"""What a tap of 1 is; so the whole part of a sum begins at the third byte."""
_TAPS: Final = 24
"""For each sample of the lower rate."""
_PASSED: Final = 0.85
_KAISER_BETA: Final = 5.65326
"""For 60 dB (Oppenheim and Schafer, equation 7.75): 0.1102 (60 - 8.7)."""
_IN_RANGE: Final = 0x80
"""The topmost byte of a sum that is a sample of 16 bits."""
_BIAS: Final = _UNIT // 2 + _IN_RANGE * _UNIT**2
"""Added to every sum: half, to round; and enough to keep the rest positive."""
_FLIP_SIGN: Final = bytes(byte ^ 0x80 for byte in range(256))
"""For a sample's high byte: between two's complement and a bias of 32 768."""


class Resampler:
    """One direction of one call: it remembers the last samples, which the next ones are heard with."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        """Both in samples a second."""
        common = math.gcd(from_rate, to_rate)
        self._up, self._down = to_rate // common, from_rate // common
        self._phases, self._history_blocks = _phases(self._up, self._down)
        self._history = bytes(2 * self._down * self._history_blocks)

    def convert(self, pcm16: bytes) -> bytes:
        """Resample little-endian samples; what is no whole block (L samples out for M in) is filled up with zeros.

        Half a sample at the end is left out.
        """
        block = 2 * self._down
        pcm16 = pcm16[: len(pcm16) & ~1]
        pcm16 += bytes(-len(pcm16) % block)
        if self._up == self._down or not pcm16:
            return pcm16
        heard = self._history + pcm16
        self._history = heard[len(pcm16) :]
        samples = [_packed(heard, index, self._down) for index in range(self._down)]
        blocks = len(pcm16) // block
        limbs = blocks + 2 * self._history_blocks
        bias = int.from_bytes(_BIAS.to_bytes(_LIMB_BYTES, "little") * limbs, "little")
        resampled = bytearray(2 * self._up * blocks)
        start = _LIMB_BYTES * self._history_blocks
        for phase, filters in enumerate(self._phases):
            product = sum(map(int.__mul__, samples, filters), bias)
            sums = product.to_bytes(_LIMB_BYTES * limbs, "little")[start : start + _LIMB_BYTES * blocks]
            low, high = _sixteen_bits(sums)
            resampled[2 * phase :: 2 * self._up] = low
            resampled[2 * phase + 1 :: 2 * self._up] = high
        return bytes(resampled)


def _packed(heard: bytes, index: int, step: int) -> int:
    """Make an integer of every `step`th sample, from the one at `index` on, with 32 768 added."""
    high = heard[2 * index + 1 :: 2 * step]
    limbs = bytearray(_LIMB_BYTES * len(high))
    limbs[0::_LIMB_BYTES] = heard[2 * index :: 2 * step]
    limbs[1::_LIMB_BYTES] = high.translate(_FLIP_SIGN)
    return int.from_bytes(limbs, "little")


def _sixteen_bits(sums: bytes) -> tuple[bytes, bytes]:
    """Take samples out of sums, low bytes and high; what is beyond 16 bits becomes the last value there is."""
    low, high, beyond = sums[2::_LIMB_BYTES], sums[3::_LIMB_BYTES], sums[4::_LIMB_BYTES]
    if beyond.count(_IN_RANGE) == len(beyond):
        return low, high.translate(_FLIP_SIGN)
    limits = [None if byte == _IN_RANGE else 0xFF * (byte > _IN_RANGE) for byte in beyond]
    clipped = [
        bytes(byte if limit is None else limit for byte, limit in zip(column, limits, strict=True))
        for column in (low, high)
    ]
    return clipped[0], clipped[1].translate(_FLIP_SIGN)


@lru_cache(maxsize=16)
def _phases(up: int, down: int) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Work out, for each sample that a block gives, a filter for each sample of a block; and how many blocks before.

    With h the filter at `up` times the rate, sample kL + r that comes out is the sum over t of h[rM mod L + tL] times
    sample kM + ⌊rM / L⌋ - t that goes in.  Those are taken by what is left of their number when divided by M.
    """
    taps = _windowed_sinc(up, down)
    found: list[list[dict[int, int]]] = []
    for phase in range(up):
        chosen = _summing_to_one(taps[phase * down % up :: up])
        filters: list[dict[int, int]] = [{} for _ in range(down)]
        for index, tap in enumerate(chosen):
            block, place = divmod(phase * down // up - index, down)
            filters[place][-block] = tap
        found.append(filters)
    history = max(max(each, default=0) for filters in found for each in filters)
    return tuple(
        tuple(sum(tap * _BASE**place for place, tap in each.items()) for each in filters) for filters in found
    ), history


def _windowed_sinc(up: int, down: int) -> list[float]:
    """Give the filter at `up` times the rate that goes in; its cut-off is half the lower rate.

    What lies above 85 % of that band is passed in part, and so is its mirror image.
    """
    length = _TAPS * max(up, down)
    middle = (length - 1) / 2
    cut_off = 1 / max(up, down)
    return [
        _sinc(cut_off * (index - middle)) * _bessel(_KAISER_BETA * math.sqrt(1 - ((index - middle) / middle) ** 2))
        for index in range(length)
    ]


def _sinc(value: float) -> float:
    return math.sin(math.pi * value) / (math.pi * value) if value else 1.0


def _bessel(value: float) -> float:
    """Work out the modified Bessel function of order zero, of which Kaiser's window is made, by its series."""
    return sum((value / 2) ** (2 * index) / math.factorial(index) ** 2 for index in range(30))


def _summing_to_one(taps: list[float]) -> list[int]:
    """Scale to integers; what rounding leaves over goes to the largest."""
    total = sum(taps)
    scaled = [round(_UNIT * tap / total) for tap in taps]
    scaled[max(range(len(scaled)), key=scaled.__getitem__)] += _UNIT - sum(scaled)
    return scaled
