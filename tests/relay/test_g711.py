"""G.711 held against the standard's own sequences and against two implementations that are not ours."""

import importlib
import math
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay import g711

CODES = bytes(range(256))
ALL_SAMPLES = b"".join(sample.to_bytes(2, "little", signed=True) for sample in range(-32768, 32768))

# ITU-T G.711 (11/88), tables 5 (A-law) and 6 (µ-law): eight samples of a sine of 1 kHz at a nominal level of 0 dBm0.
MILLIWATT_ALAW = bytes.fromhex("34 21 21 34 b4 a1 a1 b4")
MILLIWATT_MULAW = bytes.fromhex("1e 0b 0b 1e 9e 8b 8b 9e")

Convert = Callable[[bytes], bytes]


def samples(pcm16: bytes) -> list[int]:
    return [int.from_bytes(pcm16[at : at + 2], "little", signed=True) for at in range(0, len(pcm16), 2)]


def pcm16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little", signed=True) for value in values)


@pytest.mark.parametrize(
    ("code", "value"),  # tables 2a and 2b: the values y of the 14-bit scale, times 4
    [
        (0x80, 8031), (0x8F, 4191), (0x90, 3999), (0x9F, 2079), (0xA0, 1983), (0xAF, 1023), (0xB0, 975), (0xBF, 495),
        (0xC0, 471), (0xCF, 231), (0xD0, 219), (0xDF, 99), (0xE0, 93), (0xEF, 33), (0xF0, 30), (0xFE, 2), (0xFF, 0),
        (0x00, -8031), (0x70, -30), (0x7E, -2), (0x7F, 0),
    ],
)  # fmt: skip
def test_mulaw_code_words(code: int, value: int) -> None:
    assert samples(g711.mulaw_to_pcm16(bytes([code]))) == [4 * value]


@pytest.mark.parametrize(
    ("code", "value"),  # tables 1a and 1b: the values y of the 13-bit scale, times 8
    [(0xAA, 4032), (0xA5, 2112), (0xD5, 1), (0xDA, 31), (0xC5, 33), (0x55, -1), (0x2A, -4032), (0x25, -2112)],
)
def test_alaw_code_words(code: int, value: int) -> None:
    assert samples(g711.alaw_to_pcm16(bytes([code]))) == [8 * value]


@pytest.mark.parametrize(
    ("decode", "code_words", "overload_dbm0", "top"),
    # §2.3 of the standard: the sine that just reaches the top has 3.14 dBm0 in A-law, 3.17 in µ-law.
    [
        (g711.alaw_to_pcm16, MILLIWATT_ALAW, 3.14, 4096 * 8),
        (g711.mulaw_to_pcm16, MILLIWATT_MULAW, 3.17, 8159 * 4),
    ],
)
def test_the_digital_milliwatt_is_a_sine_of_0_dbm0(
    decode: Convert, code_words: bytes, overload_dbm0: float, top: int
) -> None:
    values = samples(decode(code_words))
    assert values[:4] == [-value for value in values[4:]]
    rms = math.sqrt(sum(value * value for value in values) / 8)
    level = 20 * math.log10(rms * math.sqrt(2) / top) + overload_dbm0
    assert level == pytest.approx(0, abs=0.05)
    angle = math.atan2(abs(values[0]), abs(values[1]))
    assert math.degrees(angle) == pytest.approx(22.5, abs=1)  # samples lie an eighth of a turn apart, symmetrically


@pytest.mark.parametrize(
    ("decode", "encode", "positive_zero"),
    [(g711.mulaw_to_pcm16, g711.pcm16_to_mulaw, {0x7F: 0xFF}), (g711.alaw_to_pcm16, g711.pcm16_to_alaw, {})],
)
def test_a_code_word_comes_back(decode: Convert, encode: Convert, positive_zero: dict[int, int]) -> None:
    assert encode(decode(CODES)) == bytes(positive_zero.get(code, code) for code in CODES)


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.pcm16_to_mulaw, g711.mulaw_to_pcm16), (g711.pcm16_to_alaw, g711.alaw_to_pcm16)]
)
def test_encoding_rises_and_errs_by_half_a_step_at_most(encode: Convert, decode: Convert) -> None:
    heard = samples(decode(encode(ALL_SAMPLES)))
    assert heard == sorted(heard)
    for sample, value in zip(range(-32768, 32768), heard, strict=True):
        step = max(16, (abs(value) + 132) / 16)  # 132: µ-law's bias
        assert abs(sample - value) <= max(step / 2 + 4, abs(sample) - 32_124)  # 4: what 14 bits leave out


def test_from_law_to_law_is_by_way_of_linear_samples() -> None:
    assert g711.mulaw_to_alaw(CODES) == g711.pcm16_to_alaw(g711.mulaw_to_pcm16(CODES))
    assert g711.alaw_to_mulaw(CODES) == g711.pcm16_to_mulaw(g711.alaw_to_pcm16(CODES))


def test_silence() -> None:
    assert g711.pcm16_to_mulaw(pcm16(0)) == bytes([g711.MULAW_SILENCE])
    assert samples(g711.mulaw_to_pcm16(bytes([g711.MULAW_SILENCE]))) == [0]


@given(st.binary(max_size=9))
def test_any_bytes(data: bytes) -> None:
    for encode in (g711.pcm16_to_mulaw, g711.pcm16_to_alaw):
        assert len(encode(data)) == len(data) // 2
        assert encode(data) == b"".join(encode(data[at : at + 2]) for at in range(0, len(data), 2))
    for decode in (g711.mulaw_to_pcm16, g711.alaw_to_pcm16):
        assert len(decode(data)) == 2 * len(data)


def test_big_endian_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.relay.g711.sys.byteorder", "big")
    assert g711.pcm16_to_mulaw(pcm16(1000)[::-1]) != b""
    swapped = b"".join(ALL_SAMPLES[at : at + 2][::-1] for at in range(0, len(ALL_SAMPLES), 2))
    converted = g711.pcm16_to_mulaw(swapped)
    monkeypatch.undo()
    assert converted == g711.pcm16_to_mulaw(ALL_SAMPLES)


def standard_library() -> Any:
    """Give `audioop`, which Python has up to 3.12."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("audioop")


def test_against_the_standard_library() -> None:
    try:
        audioop = standard_library()
    except ModuleNotFoundError:
        pytest.skip("this Python has no audioop")
    assert g711.pcm16_to_mulaw(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES, 2)
    assert g711.pcm16_to_alaw(ALL_SAMPLES) == audioop.lin2alaw(ALL_SAMPLES, 2)
    assert g711.mulaw_to_pcm16(CODES) == audioop.ulaw2lin(CODES, 2)
    assert g711.alaw_to_pcm16(CODES) == audioop.alaw2lin(CODES, 2)


def sox(data: bytes, given: str, wanted: str) -> bytes:
    kinds = {"pcm16": ("-e", "signed", "-b", "16"), "mulaw": ("-e", "mu-law"), "alaw": ("-e", "a-law")}
    raw = ("-t", "raw", "-r", "8000", "-c", "1")
    command = ["sox", "-D", *raw, *kinds[given], "-", *raw, *kinds[wanted], "-"]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=20).stdout


@pytest.mark.interop(tool="sox")
@pytest.mark.parametrize(
    ("law", "decode", "encode"),
    [
        ("mulaw", g711.mulaw_to_pcm16, g711.pcm16_to_mulaw),
        ("alaw", g711.alaw_to_pcm16, g711.pcm16_to_alaw),
    ],
)
def test_against_sox(law: str, decode: Convert, encode: Convert) -> None:
    """Sox rounds where we cut, so of an encoding it is asked that it is the same step or its neighbour."""
    assert sox(CODES, law, "pcm16") == decode(CODES)
    theirs, ours = (samples(decode(encoded)) for encoded in (sox(ALL_SAMPLES, "pcm16", law), encode(ALL_SAMPLES)))
    values = sorted(set(samples(decode(CODES))))
    place = {value: index for index, value in enumerate(values)}
    assert max(abs(place[a] - place[b]) for a, b in zip(theirs, ours, strict=True)) == 1
    assert sum(a != b for a, b in zip(theirs, ours, strict=True)) < 0.05 * len(ours)


def test_the_source_is_named() -> None:
    assert "ITU-T G.711" in Path(g711.__file__).read_text(encoding="utf-8")
