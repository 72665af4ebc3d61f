"""WAV files: what they hold, and whether a call can carry it as it is."""

import io
import shlex
import wave
from pathlib import Path

from sottovoce.app.inspecting.inspection import Fact, Inspection, fact, fault
from sottovoce.app.wav import CODECS, WavUnusable, read_wav

_MAX_READ_BYTES = 64 << 20
_SAMPLE_BITS = 16
_KIND = "WAV recording"
_NOT_AS_IT_IS = "a recording that a call cannot carry as it is"


def inspect_wav(path: Path, data: bytes) -> Inspection | None:
    """Take a RIFF file, of which `data` is the beginning; that alone tells its form, for a file may claim much."""
    if data[:4] != b"RIFF":
        return None
    try:
        with wave.open(io.BytesIO(data)) as wav:
            rate, channels, bits = wav.getframerate(), wav.getnchannels(), 8 * wav.getsampwidth()
            seconds = wav.getnframes() / rate if rate else 0.0
    except (wave.Error, EOFError, RuntimeError):
        return Inspection(_KIND, _NOT_AS_IT_IS, faults=(_converted(path, "is no PCM WAV file"),))
    facts = (
        fact("rate", f"{rate} Hz"),
        fact("channels", channels),
        fact("bits", bits),
        fact("seconds", f"{seconds:.2f}"),
    )
    if path.stat().st_size > _MAX_READ_BYTES:
        return _long(path, facts, fits=rate in CODECS and (channels, bits) == (1, _SAMPLE_BITS))
    try:
        codec = read_wav(path).codec.name.lower()
    except WavUnusable as error:
        return Inspection(_KIND, _NOT_AS_IT_IS, facts, (fault(str(error)),))
    return Inspection(_KIND, f"a call can carry it as it is, with {codec}: sottovoce call URL FILE", facts)


def _long(path: Path, facts: tuple[Fact, ...], *, fits: bool) -> Inspection:
    if fits:
        return Inspection(_KIND, "a long recording that a call can carry, by its head", facts)
    return Inspection(_KIND, _NOT_AS_IT_IS, facts, (_converted(path, "is not mono, 16 bits, 8, 16, 24 or 48 kHz"),))


def _converted(path: Path, what: str) -> str:
    name = f"./{path}" if str(path).startswith("-") else str(path)
    return fault(f"{path} {what}: sox {shlex.quote(name)} -b 16 -c 1 -r 16000 converted.wav")
