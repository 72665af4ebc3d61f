"""`[routes.<name>.audiosocket]`.  Pure."""

from typing import Literal

import msgspec

Rate = Literal[8000, 16000, 24000, 48000]


class AudioSocketOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>.audiosocket]`: what a server understands."""

    rates: tuple[Rate, ...] = (8000,)
    """Samples a second of the audio that calls may have.  Above 8000 for servers that know the types 0x12 to 0x16."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if not self.rates:
            raise ValueError("rates: there is none; write [8000], or remove it")
        if len(set(self.rates)) != len(self.rates):
            raise ValueError("rates: one is named twice; name each once")
