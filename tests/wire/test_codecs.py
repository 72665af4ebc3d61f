"""Codecs and codes: numbers, rates, sizes, names."""

import pytest

from sottovoce.wire import Code, Codec, code_label


@pytest.mark.protocol("P9.21")
@pytest.mark.parametrize(
    ("codec", "rate", "width", "at_20_ms"),
    [
        (Codec.NONE, 0, 0, 0),
        (Codec.OPUS_48K_MONO, 48_000, 0, 0),
        (Codec.PCM16_8K, 8_000, 2, 320),
        (Codec.PCM16_16K, 16_000, 2, 640),
        (Codec.PCM16_24K, 24_000, 2, 960),
        (Codec.PCMU_8K, 8_000, 1, 160),
        (Codec.PCMA_8K, 8_000, 1, 160),
        (Codec.OPUS_48K_STEREO, 48_000, 0, 0),
        (Codec.PCM16_48K, 48_000, 2, 1920),
    ],
)
def test_rates_and_sizes(codec: Codec, rate: int, width: int, at_20_ms: int) -> None:
    assert (codec.sample_rate, codec.bytes_per_sample, codec.frame_bytes(20)) == (rate, width, at_20_ms)


def test_a_code_is_called_as_the_text_calls_it() -> None:
    assert Code.REPLAY_OR_GAP.label == code_label(4409) == "replay_or_gap"
    assert code_label(1000) == "normal"
    assert code_label(4998) == "4998"
