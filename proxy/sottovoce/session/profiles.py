"""The session profiles of protocol §9: suite, epoch and messages per key that go together, by name.

A route chooses one; padding, codecs and re-authentication are its own choices beside it.
"""

from enum import StrEnum

import msgspec

from sottovoce.primitives import Suite
from sottovoce.session.config import ServerConfig


class SessionProfile(StrEnum):
    """The names that a configuration may use."""

    VOICE = "voice"
    DATA = "data"
    POST_QUANTUM = "post-quantum"

    @property
    def suite(self) -> Suite:
        """The one suite of the profile."""
        return _VALUES[self][0]

    @property
    def epoch_seconds(self) -> int:
        """How old an epoch gets."""
        return _VALUES[self][1]

    @property
    def messages_per_key(self) -> int:
        """How many records a generation has."""
        return _VALUES[self][2]

    def applied_to(self, config: ServerConfig) -> ServerConfig:
        """A server's choices with this profile's in their place."""
        return msgspec.structs.replace(
            config,
            suites=(self.suite,),
            epoch_seconds=self.epoch_seconds,
            messages_per_key=self.messages_per_key,
        )


_VALUES = {
    SessionProfile.VOICE: (Suite.X25519MLKEM768_AES256GCM, 300, 1_000),
    SessionProfile.DATA: (Suite.SECP384R1MLKEM1024_AES256GCM, 3_600, 10_000),
    SessionProfile.POST_QUANTUM: (Suite.SECP384R1MLKEM1024_AES256GCM, 1_800, 5_000),
}
