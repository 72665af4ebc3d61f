"""Tones, and how well one came through."""

import math
import sys
from array import array


def tone(hertz: float, rate: int, seconds: float, amplitude: float = 12_000) -> bytes:
    """Linear samples, little-endian."""
    return pcm16([round(amplitude * math.sin(2 * math.pi * hertz * at / rate)) for at in range(round(rate * seconds))])


def pcm16(samples: list[int]) -> bytes:
    packed = array("h", samples)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def samples_of(data: bytes) -> list[int]:
    packed = array("h", data)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()


def heard_tone(data: bytes, hertz: float, rate: int, skipped: float = 0.05) -> tuple[float, float]:
    """Give a tone's amplitude, of any phase, and how far everything else is below it, in dB."""
    samples = samples_of(data)[round(skipped * rate) : -round(skipped * rate) or None]
    turn = 2 * math.pi * hertz / rate
    cosine = [math.cos(turn * at) for at in range(len(samples))]
    sine = [math.sin(turn * at) for at in range(len(samples))]
    (a, b), (_, d) = (dot(cosine, cosine), dot(cosine, sine)), (0.0, dot(sine, sine))
    x, y = dot(samples, cosine), dot(samples, sine)
    real, imaginary = (x * d - y * b) / (a * d - b * b), (a * y - b * x) / (a * d - b * b)
    rest = sum(
        (sample - real * c - imaginary * s) ** 2 for sample, c, s in zip(samples, cosine, sine, strict=True)
    ) / len(samples)
    amplitude = math.hypot(real, imaginary)
    return amplitude, 10 * math.log10((amplitude**2 / 2 or 1e-9) / max(rest, 1e-9))


def dot(first: list[float] | list[int], second: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))
