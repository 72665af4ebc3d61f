"""Rates are changed as a filter says that is worked out here once more, the slow way; and tones come through."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.relay.realtime.resample import Resampler
from tests.relay.realtime.sound import heard_tone, pcm16, samples_of, tone

RATES = [(8_000, 24_000), (24_000, 8_000), (16_000, 24_000), (24_000, 16_000), (48_000, 24_000), (24_000, 48_000)]
RATES += [(8_000, 16_000), (16_000, 8_000), (48_000, 16_000), (16_000, 48_000)]
SAMPLES = st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=60)


def slowly(samples: list[int], from_rate: int, to_rate: int) -> list[float]:
    """Put zeros between samples, filter, leave samples out: in floating point, by the definition."""
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    length = 24 * max(up, down)
    middle = (length - 1) / 2
    taps = []
    for at in range(length):
        angle = math.pi * (at - middle) / max(up, down)
        window = bessel(5.65326 * math.sqrt(1 - ((at - middle) / middle) ** 2))
        taps.append((math.sin(angle) / angle if angle else 1.0) * window)
    sums = [sum(taps[phase::up]) for phase in range(up)]
    spread = [0] * (len(samples) * up)
    spread[::up] = samples
    heard = []
    for at in range(0, len(spread), down):
        total = sum(taps[back] * spread[at - back] for back in range(min(at + 1, length)))
        heard.append(total / sums[at % up])
    return heard


def bessel(value: float) -> float:
    total, term = 1.0, 1.0
    for index in range(1, 40):
        term *= (value / 2 / index) ** 2
        total += term
    return total


@given(st.sampled_from(RATES), SAMPLES)
def test_it_is_the_filter_that_it_should_be(rates: tuple[int, int], samples: list[int]) -> None:
    down = rates[0] // math.gcd(*rates)
    samples += [0] * (-len(samples) % down)
    made = samples_of(Resampler(*rates).convert(pcm16(samples)))
    for ours, theirs in zip(made, slowly(samples, *rates), strict=True):
        limited = max(-32_768, min(32_767, theirs))
        assert ours == pytest.approx(limited, abs=12)  # taps of 16 bits, 24 and more of them for a sample


@settings(max_examples=30)
@given(st.sampled_from(RATES), st.lists(SAMPLES, max_size=8))
def test_pieces_are_the_same_as_the_whole(rates: tuple[int, int], pieces: list[list[int]]) -> None:
    down = rates[0] // math.gcd(*rates)
    whole = [piece + [0] * (-len(piece) % down) for piece in pieces]
    piecewise, at_once = Resampler(*rates), Resampler(*rates)
    made = b"".join(piecewise.convert(pcm16(piece)) for piece in whole)
    assert made == at_once.convert(pcm16([sample for piece in whole for sample in piece]))
    assert len(made) * rates[0] == 2 * sum(map(len, whole)) * rates[1]


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("part", [0.05, 0.5, 0.84])
def test_a_tone_comes_through(rates: tuple[int, int], part: float) -> None:
    hertz = part * min(rates) / 2
    amplitude, distance = heard_tone(Resampler(*rates).convert(tone(hertz, rates[0], 0.4)), hertz, rates[1])
    assert amplitude == pytest.approx(12_000, rel=0.002)
    assert distance > 60


@pytest.mark.parametrize("rates", [each for each in RATES if each[0] > each[1]])
def test_what_the_lower_rate_cannot_have_is_left_out(rates: tuple[int, int]) -> None:
    hertz = 1.16 * min(rates) / 2
    made = samples_of(Resampler(*rates).convert(tone(hertz, rates[0], 0.2)))
    assert max(map(abs, made[100:])) < 12_000 / 900  # 60 dB, and rounding


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("value", [0, 1, -1, 32_767, -32_768, 12_345])
def test_a_constant_stays_what_it_is(rates: tuple[int, int], value: int) -> None:
    made = samples_of(Resampler(*rates).convert(pcm16([value] * 600)))
    assert set(made[100:-1]) == {value}


@pytest.mark.parametrize("rates", RATES)
def test_what_is_too_loud_is_limited_and_does_not_turn_over(rates: tuple[int, int]) -> None:
    square = ([32_767] * 30 + [-32_768] * 30) * 10
    made = samples_of(Resampler(*rates).convert(pcm16(square)))
    assert 32_767 in made
    assert -32_768 in made
    exact = slowly(square, *rates)
    assert all(
        ours == pytest.approx(max(-32_768, min(32_767, each)), abs=12) for ours, each in zip(made, exact, strict=True)
    )


def test_one_rate_is_passed_on() -> None:
    same = Resampler(24_000, 24_000)
    assert same.convert(b"abcd") == b"abcd"
    assert same.convert(b"abc") == b"ab"
    assert same.convert(b"") == b""


def test_what_is_no_block_is_filled_up() -> None:
    assert len(Resampler(24_000, 8_000).convert(bytes(2 * 4))) == 2 * 2
    assert len(Resampler(16_000, 24_000).convert(bytes(2 * 3 + 1))) == 2 * 6
    assert Resampler(24_000, 8_000).convert(b"\0") == b""
