"""The codecs of protocol §9: number, sample rate, and how many bytes a frame of so many milliseconds has."""

from enum import IntEnum


class Codec(IntEnum):
    """Codecs by number.  NONE marks a data session."""

    NONE = 0
    OPUS_48K_MONO = 1
    PCM16_8K = 2
    PCM16_16K = 3
    PCM16_24K = 4
    PCMU_8K = 5
    PCMA_8K = 6
    OPUS_48K_STEREO = 7
    PCM16_48K = 8

    @property
    def sample_rate(self) -> int:
        """Samples a second; 0 for NONE."""
        return _SAMPLE_RATES[self]

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample; 0 where a frame's size is the encoder's choice (Opus) or there is no audio."""
        if self in {Codec.PCMU_8K, Codec.PCMA_8K}:
            return 1
        return 0 if self in {Codec.NONE, Codec.OPUS_48K_MONO, Codec.OPUS_48K_STEREO} else 2

    def frame_bytes(self, milliseconds: int) -> int:
        """Bytes of a frame that lasts so long; 0 for Opus, whose frames vary."""
        return self.sample_rate * self.bytes_per_sample * milliseconds // 1000


_SAMPLE_RATES = {
    Codec.NONE: 0,
    Codec.OPUS_48K_MONO: 48_000,
    Codec.PCM16_8K: 8_000,
    Codec.PCM16_16K: 16_000,
    Codec.PCM16_24K: 24_000,
    Codec.PCMU_8K: 8_000,
    Codec.PCMA_8K: 8_000,
    Codec.OPUS_48K_STEREO: 48_000,
    Codec.PCM16_48K: 48_000,
}
