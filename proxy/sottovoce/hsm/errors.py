"""What goes wrong with a token, each class with one reaction.

Texts are one line: the thing and the remedy.  They cross from the token process to the proxy as (kind, text); `KINDS`
is the list both ends share, so that an error arrives as what it was raised as.
"""

from sottovoce.primitives import SottovoceError


class HsmError(SottovoceError):
    """Root of what goes wrong with a token or its process."""


class HsmUnavailable(HsmError):
    """The token, or the process that holds it, is down; trying again later may help."""


class HsmBusy(HsmError):
    """More calls are waiting than the queue holds; refused at once, nothing was sent."""


class HsmTimeout(HsmError):
    """The caller's deadline passed before the answer came."""


class TokenLost(HsmError):
    """The token answers wrongly or not at all: this process of it is given up and replaced."""


class HsmWrongPin(HsmError):
    """The token refused the PIN.  It is not tried again: real tokens lock after a few tries."""


class ModuleUnusable(HsmError):
    """The PKCS#11 library is missing, is none, or cannot be used from several threads."""


class TokenMissing(HsmError):
    """No token of that name is there."""


class KeyMissing(HsmError):
    """The token lacks a key that the work needs."""


class PinUnreadable(HsmError):
    """The file that holds the PIN is missing, unreadable, empty or open to others."""


class SealedSeedInvalid(HsmError):
    """A sealed seed or key is unreadable, damaged, or sealed by another token or for another use."""


class OperationRefused(HsmError):
    """The token process will not do what was asked: the caller's fault, the token is well."""


class KeyAbsent(OperationRefused):
    """The token is well and has no such key; another may have it."""


class QuorumMissing(HsmError):
    """Too few tokens are up, or did what was asked, for a key to be made or changed; keys that are there go on."""


class TokenProcessFailed(HsmError):
    """A bug of ours in the token process; the text names the place, never a value."""


KINDS: dict[str, type[HsmError]] = {
    kind.__name__: kind
    for kind in (
        HsmUnavailable,
        HsmWrongPin,
        KeyAbsent,
        KeyMissing,
        ModuleUnusable,
        OperationRefused,
        PinUnreadable,
        SealedSeedInvalid,
        TokenLost,
        TokenMissing,
        TokenProcessFailed,
    )
}
"""The errors that a token process may answer with, by the name they cross under."""

OPERATOR_ERRORS = (KeyMissing, ModuleUnusable, OperationRefused, PinUnreadable, SealedSeedInvalid, TokenMissing)
"""Errors that a restart alone will not cure."""
