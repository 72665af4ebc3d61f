"""Chooses what sessions say: every recording of a directory that a call can carry, in turn."""

from pathlib import Path

import msgspec

from loadtest.replay.errors import PlanRefused
from sottovoce.app.wav import Recording, WavUnusable, read_wav
from sottovoce.primitives import one_line

_MAX_FILE_BYTES = 64 << 20
"""Twelve minutes at 48 kHz: all recordings are in memory while a run lasts."""


class Chosen(msgspec.Struct, frozen=True):
    """What was found."""

    recordings: tuple[Recording, ...]
    skipped: tuple[str, ...]
    """A line for each file that no call can carry: its name, and why."""


def choose_recordings(directory: Path) -> Chosen:
    """Read every file of a directory, in the order of their names.  Raises PlanRefused if none can be used."""
    try:
        files = sorted(each for each in directory.iterdir() if not each.is_dir())
    except OSError as error:
        raise PlanRefused(f"{directory} cannot be read ({error.strerror}): give a directory of WAV files") from None
    recordings: list[Recording] = []
    skipped: list[str] = []
    for file in files:
        try:
            recordings.append(_read(file))
        except WavUnusable as error:
            skipped.append(f"skipped: {one_line(str(error))}")
    if not recordings:
        raise PlanRefused(
            f"{directory} holds no recording that a call can carry, {len(files)} file{'s' * (len(files) != 1)} looked "
            "at: give WAV files of 16-bit PCM, mono, at 8, 16, 24 or 48 kHz"
        )
    return Chosen(tuple(recordings), tuple(skipped))


def _read(file: Path) -> Recording:
    if not file.is_file():
        raise WavUnusable(f"{file} is no regular file: put a copy of the recording there")
    if (size := file.stat().st_size) > _MAX_FILE_BYTES:
        raise WavUnusable(f"{file} has {size >> 20} MiB, at most {_MAX_FILE_BYTES >> 20} are used: cut it")
    return read_wav(file)
