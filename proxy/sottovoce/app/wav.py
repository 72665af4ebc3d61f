"""WAV files that a call can carry: 16-bit PCM, mono, at the rates that have a codec.  Anything else is refused."""

import contextlib
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


def read_wav(path: Path) -> Recording:
    """Read a file.  Raises WavUnusable."""
    try:
        with path.open("rb") as stream, wave.open(stream) as wav:
            rate = wav.getframerate()
            shape = (wav.getnchannels(), 8 * wav.getsampwidth())
            if rate in CODECS and shape == (1, 8 * _SAMPLE_BYTES):
                samples = wav.readframes(wav.getnframes())
                if not samples:
                    raise WavUnusable(f"{path} holds no audio: give a recording of at least one frame")
                return Recording(samples, rate)
    except OSError as error:
        raise WavUnusable(f"{path} cannot be read ({error.strerror}): give the path of a WAV file") from None
    except (wave.Error, EOFError):
        raise WavUnusable(f"{path} is no PCM WAV file: {_conversion(path)}") from None
    found = f"{shape[0]} channels, {shape[1]} bits, {rate} Hz"
    raise WavUnusable(f"{path} has {found}; a call carries mono, 16 bits, 8, 16, 24 or 48 kHz: {_conversion(path)}")


def write_wav(path: Path, recording: Recording) -> None:
    """Write a file, whole or not at all.  Raises WavUnusable."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as stream, wave.open(stream) as wav:
            wav.setnchannels(1)
            wav.setsampwidth(_SAMPLE_BYTES)
            wav.setframerate(recording.rate)
            wav.writeframes(recording.samples)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise WavUnusable(f"{path} cannot be written ({error.strerror}): give another --out") from None


def _conversion(path: Path) -> str:
    return f"sox {path} -b 16 -c 1 -r 16000 converted.wav"
