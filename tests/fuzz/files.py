"""Targets for the files that people, other programmes or a thief hand to us: they are read or refused in one line.

The input lies in one file of its process, in memory where the system has that, since the readers take paths.
"""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from sottovoce.app.wav import CODECS, WavUnusable, read_wav
from sottovoce.audit import AuditBroken, AuditFailed, verify_audit
from sottovoce.audit.read import read_tail
from sottovoce.hsm import HsmError, InventoryUnusable, SealedSeedInvalid, parse_inventory, read_sealed_seed
from sottovoce.hsm.inventory import format_inventory
from sottovoce.hsm.messages import MAX_FRAME_BYTES, FrameReader, Reply, Request, Start, Started, decode_message
from sottovoce.primitives import SignatureAlgorithm
from sottovoce.session import AnchorFileInvalid, format_anchor_file, parse_anchor_file
from sottovoce.settings import ConfigurationInvalid, load
from tests.fuzz.choices import Choices

_MAX_LINE = 2_000
Message = TypeVar("Message", bound=msgspec.Struct)


@cache
def _place(process: int) -> Path:
    """A file for this process."""
    shared = Path("/dev/shm")  # noqa: S108  a file of its own, by mkstemp
    handle, name = tempfile.mkstemp(prefix=f"sottovoce-fuzz-{process}-", dir=shared if shared.is_dir() else None)
    os.close(handle)
    return Path(name)


def lying(data: bytes) -> Path:
    """Where a file with this content lies."""
    path = _place(os.getpid())
    path.write_bytes(data)
    return path


def drop_file() -> None:
    """Remove what `lying` left."""
    if _place.cache_info().currsize:
        _place(os.getpid()).unlink(missing_ok=True)


def one_line(error: Exception) -> None:
    """A refusal is something to read: printable lines of a sane length."""
    text = str(error)
    assert text
    for line in text.splitlines():
        assert line.isprintable(), line
        assert len(line) <= _MAX_LINE, line


def fuzz_json_files(data: bytes) -> None:
    """Anchor files, sealed seeds, inventories of keys, and what comes over the socket of a token process."""
    _token_process(data)
    try:
        anchors = parse_anchor_file(data)
    except AnchorFileInvalid as error:
        one_line(error)
    else:
        assert anchors
        assert parse_anchor_file(format_anchor_file(anchors)) == anchors
    for purpose, algorithm in (("serving", SignatureAlgorithm.MLDSA65), ("anchor", SignatureAlgorithm.MLDSA87)):
        try:
            seed = read_sealed_seed(data, purpose=purpose, algorithm=algorithm)
        except SealedSeedInvalid as error:
            one_line(error)
        else:
            assert seed.associated_data
            assert read_sealed_seed(seed.to_file(), purpose=purpose, algorithm=algorithm) == seed
    try:
        keys = parse_inventory(data)
    except InventoryUnusable as error:
        one_line(error)
    else:
        assert parse_inventory(format_inventory(keys.values())) == keys


def fuzz_configuration(data: bytes) -> None:
    """The configuration file, and words of `--set` behind the first zero byte."""
    content, _, words = data.partition(b"\0")
    changes = [word.decode(errors="replace") for word in words.split(b"\0")] if words else []
    try:
        load(lying(content), changes)
    except ConfigurationInvalid as error:
        one_line(error)


def fuzz_binary_files(data: bytes) -> None:
    """Audit logs and WAV files."""
    path = lying(data)
    try:
        report = verify_audit(path)
    except (AuditBroken, AuditFailed) as error:
        one_line(error)
    else:
        assert report.torn_bytes + report.records * 160 <= len(data)
    with suppress(AuditBroken, AuditFailed):
        assert len(read_tail(path, 3)) <= 3
    try:
        recording = read_wav(path)
    except WavUnusable as error:
        one_line(error)
    else:
        assert recording.rate in CODECS
        assert 0 < len(recording.samples) <= len(data)
        assert b"".join(recording.frames(20)) == recording.samples


def _token_process(data: bytes) -> None:
    """Frames of a process whose vendor library may have written over anything."""
    choices = Choices(data)
    reader = FrameReader()
    kinds: tuple[type[msgspec.Struct], ...] = (Started, Reply, Request, Start)
    kind = choices.pick(kinds)
    while choices.are_left:
        piece = choices.piece()
        try:
            bodies = reader.receive(piece)
        except HsmError as error:
            one_line(error)
            return
        for body in bodies:
            assert len(body) <= MAX_FRAME_BYTES
            with suppress(HsmError):
                decode_message(body, kind)
