"""WAV files for tests: short ones that a call can carry, and ones that it cannot."""

import struct
import wave
from pathlib import Path


def write_recording(
    path: Path, *, seconds: float = 0.2, rate: int = 16_000, channels: int = 1, sample_bytes: int = 2
) -> Path:
    """Write a recording in which no two samples nearby are alike."""
    size = int(seconds * rate) * channels * sample_bytes
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(sample_bytes)
        wav.setframerate(rate)
        wav.writeframes(bytes((7 * number + (number >> 8)) & 0xFF for number in range(size)))
    return path


def samples_of(path: Path) -> bytes:
    with wave.open(str(path), "rb") as wav:
        return wav.readframes(wav.getnframes())


def write_float_wav(path: Path) -> Path:
    """Write 32-bit floating point, which is WAV but not PCM."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 52, b"WAVE", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32, b"data", 16
    )
    path.write_bytes(head + bytes(16))
    return path


def cut_short(path: Path, count: int) -> Path:
    """Cut bytes off the end, while the head goes on promising them."""
    path.write_bytes(path.read_bytes()[:-count])
    return path
