"""`[routes.<name>.audiosocket]`.  Pure."""

from typing import Final

import msgspec

RATES: Final = (8_000, 16_000, 24_000, 48_000)
"""Of AudioSocket's rates those that a codec of the voice protocol has."""


class AudioSocketOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>.audiosocket]`: what a server understands."""

    rates: tuple[int, ...] = (8_000,)
    """Samples a second that calls have: 8000, which every server knows; 16000, 24000, 48000 (types 0x12 to 0x16)."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if not self.rates:
            raise ValueError("rates: there is none; write [8000], or remove it")
        for rate in self.rates:
            if rate not in RATES:
                raise ValueError(f"rates: no call has {rate}; write one of {', '.join(map(str, RATES))}")
        if len(set(self.rates)) != len(self.rates):
            raise ValueError("rates: one is named twice; name each once")
