"""Which recordings of a directory are used, and what is said of the others."""

import os
import wave
from pathlib import Path

import pytest

from loadtest.replay.audio import choose_recordings
from loadtest.replay.errors import PlanRefused


def write_wav(path: Path, *, rate: int = 16_000, channels: int = 1, width: int = 2, frames: int = 640) -> None:
    with path.open("wb") as stream, wave.open(stream) as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(width)
        wav.setframerate(rate)
        wav.writeframes(bytes(frames * channels * width))


def test_every_usable_recording_is_used_in_the_order_of_names(tmp_path: Path) -> None:
    for name, rate in (("d", 8_000), ("a", 48_000), ("c", 16_000), ("b", 24_000)):
        write_wav(tmp_path / f"{name}.wav", rate=rate)
    chosen = choose_recordings(tmp_path)
    assert [recording.rate for recording in chosen.recordings] == [48_000, 24_000, 16_000, 8_000]
    assert chosen.skipped == ()


def test_each_odd_file_is_named_with_its_reason_on_one_line(tmp_path: Path) -> None:
    write_wav(tmp_path / "good.wav")
    write_wav(tmp_path / "stereo.wav", channels=2)
    write_wav(tmp_path / "wide.wav", width=3)
    write_wav(tmp_path / "fast.wav", rate=44_100)
    write_wav(tmp_path / "empty.wav", frames=0)
    (tmp_path / "notes\nof mine.txt").write_text("nothing to hear")
    (tmp_path / "nothing.wav").touch()
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:-100])
    (tmp_path / "a directory").mkdir()
    chosen = choose_recordings(tmp_path)
    assert len(chosen.recordings) == 1
    assert all(line.startswith(f"skipped: {tmp_path}/") and line.isprintable() for line in chosen.skipped)
    reasons = {line.removeprefix(f"skipped: {tmp_path}/").partition(".")[0]: line for line in chosen.skipped}
    for name, reason in {
        "stereo": "2 channels",
        "wide": "24 bits",
        "fast": "44100 Hz",
        "empty": "holds no audio",
        "nothing": "is no PCM WAV file",
        "dangling": "is no regular file",
        "pipe": "is no regular file",
        "cut": "is cut short",
    }.items():
        assert reason in reasons.pop(name)
    assert len(reasons) == 1


def test_a_file_that_is_far_too_large(tmp_path: Path) -> None:
    write_wav(tmp_path / "good.wav")
    with (tmp_path / "long.wav").open("wb") as file:
        file.truncate(65 << 20)
    assert "has 65 MiB" in choose_recordings(tmp_path).skipped[0]


def test_a_directory_with_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(PlanRefused, match="1 file looked at: give WAV files"):
        choose_recordings(tmp_path)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(PlanRefused, match="No such file"):
        choose_recordings(tmp_path / "gone")
