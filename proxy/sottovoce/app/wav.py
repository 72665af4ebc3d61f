"""WAV files that a call can carry: 16-bit PCM, mono, at the rates that have a codec.  Anything else is refused."""

import errno
import math
import os
import shlex
import tempfile
import wave
from pathlib import Path

import msgspec

from sottovoce.primitives import SottovoceError
from sottovoce.wire import Codec

CODECS = {
    8_000: Codec.PCM16_8K,
    16_000: Codec.PCM16_16K,
    24_000: Codec.PCM16_24K,
    48_000: Codec.PCM16_48K,
}
"""The codec of each sample rate."""

_SAMPLE_BYTES = 2
_TONE_HERTZ, _TONE_RATE, _TONE_PEAK = 440, 16_000, 8_000
_MAX_PREFIX = 100
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class WavUnusable(SottovoceError):
    """A file that is no WAV, or one that a call cannot carry; the text says how to convert it."""


class Recording(msgspec.Struct, frozen=True):
    """Samples, 16-bit little-endian mono."""

    samples: bytes
    rate: int

    @property
    def codec(self) -> Codec:
        """The codec that carries it."""
        return CODECS[self.rate]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / (_SAMPLE_BYTES * self.rate)

    def frames(self, milliseconds: int) -> list[bytes]:
        """Cut it into frames; the last may be shorter."""
        size = self.codec.frame_bytes(milliseconds)
        return [self.samples[start : start + size] for start in range(0, len(self.samples), size)]


def make_tone(seconds: int = 5) -> Recording:
    """Give a steady tone, for a call without a recording."""
    step = 2 * math.pi * _TONE_HERTZ / _TONE_RATE
    samples = (int(_TONE_PEAK * math.sin(step * number)) for number in range(seconds * _TONE_RATE))
    return Recording(b"".join(sample.to_bytes(_SAMPLE_BYTES, "little", signed=True) for sample in samples), _TONE_RATE)


def read_wav(path: Path) -> Recording:
    """Read a file.  Raises WavUnusable."""
    try:
        with path.open("rb") as stream, wave.open(stream) as wav:
            rate, channels, bits = wav.getframerate(), wav.getnchannels(), 8 * wav.getsampwidth()
            promised = wav.getnframes() * channels * wav.getsampwidth()
            samples = wav.readframes(wav.getnframes())
    except OSError as error:
        raise WavUnusable(f"{path} cannot be read ({error.strerror}): give the path of a WAV file") from None
    except (wave.Error, EOFError, RuntimeError):  # RuntimeError: a chunk that claims to reach beyond the file
        raise WavUnusable(f"{path} is no PCM WAV file: {_conversion(path)}") from None
    if rate not in CODECS or channels != 1 or bits != 8 * _SAMPLE_BYTES:
        found = f"{channels} channel{'s' * (channels != 1)}, {bits} bits, {rate} Hz"
        raise WavUnusable(f"{path} has {found}; a call carries mono, 16 bits, 8, 16, 24 or 48 kHz: {_conversion(path)}")
    if not promised:
        raise WavUnusable(f"{path} holds no audio: give a recording of at least one frame")
    if len(samples) != promised:
        raise WavUnusable(f"{path} is cut short, {len(samples)} of {promised} bytes are there: {_conversion(path)}")
    return Recording(samples, rate)


def refuse_unwritable(path: Path) -> None:
    """See to it that `path` can be written, before there is something to lose.  Raises WavUnusable."""
    try:
        if not path.name or path.is_dir():
            raise WavUnusable(f"{path} is a directory: give the path of a file")
        os.close(_make_beside(path)[0])
    except OSError as error:
        raise _unwritable(path, error) from None


def write_wav(path: Path, recording: Recording) -> None:
    """Write a file, whole or not at all; only its owner may read it.  Raises WavUnusable."""
    try:
        descriptor, fresh = _make_beside(path, keep=True)
        try:
            with os.fdopen(descriptor, "wb") as stream, wave.open(stream) as wav:
                wav.setnchannels(1)
                wav.setsampwidth(_SAMPLE_BYTES)
                wav.setframerate(recording.rate)
                wav.writeframes(recording.samples)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _make_beside(path: Path, *, keep: bool = False) -> tuple[int, Path]:
    """Make a file of a new name in the directory of `path`, which it may replace; give its descriptor."""
    if path.exists() and not path.is_file():
        raise WavUnusable(f"{path} is no regular file: give another path")
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:_MAX_PREFIX]}.", dir=path.parent)
    if not keep:
        Path(name).unlink()
    return descriptor, Path(name)


def _unwritable(path: Path, error: OSError) -> WavUnusable:
    room = "make room there, or give another path"
    remedy = room if error.errno in _FULL else "give another path, in a directory that is there"
    return WavUnusable(f"{path} cannot be written ({error.strerror}): {remedy}")


def _conversion(path: Path) -> str:
    name = f"./{path}" if str(path).startswith("-") else str(path)
    return f"sox {shlex.quote(name)} -b 16 -c 1 -r 16000 converted.wav"
