"""What goes wrong with a seal and its shares, each class with one cause.

Texts are one line: the thing and the remedy.  None repeats a word of a share but the two that name its set, which all
shares of it have in common.
"""

from sottovoce.hsm.errors import HsmError, HsmUnavailable


class HsmSealed(HsmUnavailable):
    """There is no PIN, because the HSM is sealed; only the holders of shares can change that."""


class SealError(HsmError):
    """Root of what goes wrong while sealing and unsealing.  Nothing was unsealed."""


class ShareMalformed(SealError):
    """It is no share at all: not the right number of words, or a word that is not on the list."""


class ShareCorrupt(SealError):
    """It is a share with a mistake in it: its checksum does not hold."""


class ShareForeign(SealError):
    """It is a good share of another set."""


class ShareForged(SealError):
    """It bears the name of this set and a right checksum, and is none of its shares."""


class ShareRepeated(SealError):
    """It was given before in this unsealing."""


class SharesMissing(SealError):
    """Fewer shares are there than it takes."""


class SealDamaged(SealError):
    """A file of the seal is missing, unreadable or was changed."""


class SealRefused(SealError):
    """What was asked for does not fit: how many shares, a seal that is there already, an HSM that is unsealed."""


class UnsealingFailed(SealError):
    """The unsealing ended before it was done: sealed again meanwhile, or its process went."""


class StateUnkept(SealError):
    """The state could not be written; it holds all the same, and a start begins sealed in any case."""


KINDS: dict[str, type[SealError]] = {
    kind.__name__: kind
    for kind in (
        ShareMalformed,
        ShareCorrupt,
        ShareForeign,
        ShareForged,
        ShareRepeated,
        SharesMissing,
        SealDamaged,
        SealRefused,
    )
}
"""What the unsealer may answer with, by the name that it crosses under."""
