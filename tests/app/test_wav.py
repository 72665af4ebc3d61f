import os
import stat
import struct
import wave
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.app.wav import Recording, WavUnusable, make_tone, read_wav, refuse_unwritable, write_wav
from sottovoce.wire import Codec
from tests.recordings import cut_short, write_float_wav, write_recording


def refusal(path: Path) -> str:
    with pytest.raises(WavUnusable) as caught:
        read_wav(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(f"{path} ")


@pytest.mark.parametrize(
    ("rate", "codec"),
    [
        (8_000, Codec.PCM16_8K),
        (16_000, Codec.PCM16_16K),
        (24_000, Codec.PCM16_24K),
        (48_000, Codec.PCM16_48K),
    ],
)
def test_what_is_written_is_read(tmp_path: Path, rate: int, codec: Codec) -> None:
    recording = Recording(bytes(range(256)) * 50, rate)
    write_wav(tmp_path / "x.wav", recording)
    assert read_wav(tmp_path / "x.wav") == recording
    assert recording.codec is codec
    assert recording.seconds == 6400 / rate


def test_frames_are_whole_but_for_the_last() -> None:
    recording = Recording(bytes(700), 16_000)
    assert [len(frame) for frame in recording.frames(20)] == [640, 60]
    assert b"".join(recording.frames(10)) == recording.samples


def test_a_tone_is_a_tone() -> None:
    tone = make_tone(1)
    samples = struct.unpack("<16000h", tone.samples)
    assert tone.seconds == 1
    assert 7_900 < max(samples) <= 8_000
    assert sum(before < 0 <= after for before, after in pairwise(samples)) in {439, 440}


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ({"channels": 2}, "2 channels, 16 bits, 16000 Hz"),
        ({"sample_bytes": 1}, "1 channel, 8 bits, 16000 Hz"),
        ({"rate": 44_100}, "1 channel, 16 bits, 44100 Hz"),
    ],
)
def test_another_shape_is_refused_with_the_conversion(tmp_path: Path, shape: dict[str, int], found: str) -> None:
    path = write_recording(tmp_path / "it's.wav", **shape)
    assert refusal(path) == (
        f"has {found}; a call carries mono, 16 bits, 8, 16, 24 or 48 kHz: "
        f"""sox '{tmp_path}/it'"'"'s.wav' -b 16 -c 1 -r 16000 converted.wav"""
    )


def test_what_is_no_pcm_wav_is_refused_with_the_conversion(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (b"", b"RIFF", b"ID3\x04" + bytes(99), b"OggS" + bytes(99)):
        path.write_bytes(content)
        assert refusal(path) == f"is no PCM WAV file: sox {path} -b 16 -c 1 -r 16000 converted.wav"
    assert refusal(write_float_wav(path)).startswith("is no PCM WAV file: sox ")


def test_a_recording_cut_short_or_empty_is_refused(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "x.wav")
    assert refusal(cut_short(path, 1)).startswith("is cut short, 6399 of 6400 bytes are there: sox ")
    assert refusal(write_recording(path, seconds=0)) == "holds no audio: give a recording of at least one frame"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no") == "cannot be read (No such file or directory): give the path of a WAV file"
    assert refusal(tmp_path) == "cannot be read (Is a directory): give the path of a WAV file"


@given(st.data())
def test_any_bytes_are_a_recording_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wav"
    whole = bytearray(write_recording(path, seconds=0.001).read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]) + data.draw(st.binary(max_size=8)))
    try:
        recording = read_wav(path)
    except WavUnusable:
        return
    assert recording.samples


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.wav"
    path.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wave.Wave_write, "writeframes", fail)
    with pytest.raises(
        WavUnusable,
        match=r"x\.wav cannot be written \(No space left on device\): make room there, or give another path",
    ):
        write_wav(path, Recording(bytes(2), 8_000))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_only_its_owner_may_hear_it(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", Recording(bytes(2), 8_000))
    assert stat.S_IMODE((tmp_path / "x.wav").stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", [".", "", "/", "none/x.wav", "x" * 300])
def test_where_nothing_can_be_written_is_told_before_the_call(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for write in (refuse_unwritable, lambda path: write_wav(path, Recording(bytes(2), 8_000))):
        with pytest.raises(WavUnusable, match=r": give "):
            write(path)
    assert not list(tmp_path.iterdir())


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for write in (refuse_unwritable, lambda path: write_wav(path, Recording(bytes(2), 8_000))):
        with pytest.raises(WavUnusable, match=r"pipe is no regular file: give another path"):
            write(path)
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


def test_looking_leaves_nothing(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "x.wav")
    assert not list(tmp_path.iterdir())
