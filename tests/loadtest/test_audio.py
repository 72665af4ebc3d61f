"""The bundled recordings are what their README says."""

import wave
from pathlib import Path

import pytest

AUDIO = Path(__file__).parents[2] / "loadtest" / "audio"


@pytest.mark.parametrize(
    ("name", "rate", "frames"),
    [
        ("speech-16k.wav", 16_000, 300),
        ("speech-8k.wav", 8_000, 113),
        ("speech-24k.wav", 24_000, 113),
        ("speech-48k.wav", 48_000, 113),
    ],
)
def test_a_recording(name: str, rate: int, frames: int) -> None:
    with wave.open(str(AUDIO / name)) as recording:
        assert (recording.getnchannels(), recording.getsampwidth(), recording.getframerate()) == (1, 2, rate)
        samples = recording.readframes(recording.getnframes())
    assert len(samples) == frames * rate // 50 * 2
    assert max(samples[1::2]) > 16  # not silence
    assert f"| `{name}` | {rate // 1000} 000 Hz |" in (AUDIO / "README.md").read_text(encoding="utf-8")


def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in AUDIO.glob("*.wav")) < 600_000
