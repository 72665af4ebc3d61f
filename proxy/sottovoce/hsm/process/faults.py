"""What a token's errors mean: the table from PKCS#11's return codes to what is done about them.

Errors come in two ways: python-pkcs11 raises a class for most codes, and one bare class with the code in its text for
the rest; calls of our own get the code.  Both end in `cure_of`.  What the table does not name, vendors' own codes
included, is a token that is down: another process of it, or another token, may do better.
"""

import re
import sys
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Protocol, TypeVar, cast

import pkcs11

from sottovoce.hsm.errors import HsmError, HsmWrongPin, OperationRefused, TokenLost

Result = TypeVar("Result")


class Cure(Enum):
    """What is done about an error."""

    OTHER_NODE = "the token is down: its process is replaced, and other tokens are asked meanwhile"
    NEW_SESSION = "the session or a handle is of no use any more: open another one, look keys up again, try once more"
    NEW_LOGIN = "the token has forgotten the login: log in again, then as for a new session"
    OPERATOR = "the token does not take the PIN: not tried again, an operator acts"
    CALLER = "what was asked cannot be done; the token is well"


_NEW_SESSION = {
    0x60: pkcs11.KeyHandleInvalid,
    0x82: pkcs11.ObjectHandleInvalid,
    0x90: pkcs11.OperationActive,
    0x91: pkcs11.OperationNotInitialized,
    0xB0: pkcs11.SessionClosed,
    0xB3: pkcs11.SessionHandleInvalid,
    0xF0: pkcs11.UnwrappingKeyHandleInvalid,
    0x113: pkcs11.WrappingKeyHandleInvalid,
}
_NEW_LOGIN = {0x101: pkcs11.UserNotLoggedIn}
_OPERATOR = {
    0xA0: pkcs11.PinIncorrect,
    0xA1: pkcs11.PinInvalid,
    0xA2: pkcs11.PinLenRange,
    0xA3: pkcs11.PinExpired,
    0xA4: pkcs11.PinLocked,
}
_CALLER = {
    0x07: pkcs11.ArgumentsBad,  # some tokens' word for a mechanism's parameter that they do not know
    0x10: pkcs11.AttributeReadOnly,
    0x11: pkcs11.AttributeSensitive,
    0x12: pkcs11.AttributeTypeInvalid,
    0x13: pkcs11.AttributeValueInvalid,
    0x20: pkcs11.DataInvalid,
    0x21: pkcs11.DataLenRange,
    0x40: pkcs11.EncryptedDataInvalid,
    0x41: pkcs11.EncryptedDataLenRange,
    0x54: pkcs11.FunctionNotSupported,
    0x62: pkcs11.KeySizeRange,
    0x63: pkcs11.KeyTypeInconsistent,
    0x64: pkcs11.KeyNotNeeded,
    0x66: pkcs11.KeyNeeded,
    0x67: pkcs11.KeyIndigestible,
    0x69: pkcs11.KeyNotWrappable,
    0x6A: pkcs11.KeyUnextractable,
    0x70: pkcs11.MechanismInvalid,
    0x71: pkcs11.MechanismParamInvalid,
    0xB5: pkcs11.SessionReadOnly,
    0xC0: pkcs11.SignatureInvalid,
    0xC1: pkcs11.SignatureLenRange,
    0xD0: pkcs11.TemplateIncomplete,
    0xD1: pkcs11.TemplateInconsistent,
    0xE2: pkcs11.TokenWriteProtected,
    0xF1: pkcs11.UnwrappingKeySizeRange,
    0xF2: pkcs11.UnwrappingKeyTypeInconsistent,
    0x110: pkcs11.WrappedKeyInvalid,
    0x112: pkcs11.WrappedKeyLenRange,
    0x114: pkcs11.WrappingKeySizeRange,
    0x115: pkcs11.WrappingKeyTypeInconsistent,
    0x120: pkcs11.RandomSeedNotSupported,
    0x121: pkcs11.RandomNoRNG,
    0x130: pkcs11.DomainParamsInvalid,
    0x200: pkcs11.FunctionRejected,
}
_CALLER_UNNAMED = {0x1B, 0x35, 0x68, 0x140, 0x170, 0x1C0, 0x1C4}
"""Those that python-pkcs11 has no class for: CKR_ACTION_PROHIBITED, AEAD_DECRYPT_FAILED, KEY_FUNCTION_NOT_PERMITTED,
CURVE_NOT_SUPPORTED, INFORMATION_SENSITIVE, EXCEEDED_MAX_ITERATIONS, PUBLIC_KEY_INVALID."""
_TABLE = (
    (Cure.NEW_SESSION, _NEW_SESSION),
    (Cure.NEW_LOGIN, _NEW_LOGIN),
    (Cure.OPERATOR, _OPERATOR),
    (Cure.CALLER, _CALLER),
)
_CURES: dict[type[pkcs11.PKCS11Error], Cure] = {kind: cure for cure, kinds in _TABLE for kind in kinds.values()}
_KINDS: dict[int, type[pkcs11.PKCS11Error]] = {code: kind for _, kinds in _TABLE for code, kind in kinds.items()}
_UNNAMED = re.compile(r"Unmapped error code (0x[0-9a-f]+)")


def cure_of(error: pkcs11.PKCS11Error) -> Cure:
    """Say what is to be done about an error."""
    code = _UNNAMED.match(str(error))
    if code is not None and int(code[1], 16) in _CALLER_UNNAMED:
        return Cure.CALLER
    return _CURES.get(type(error), Cure.OTHER_NODE)


def error_of(code: int, call: str) -> pkcs11.PKCS11Error:
    """Give what python-pkcs11 would raise for the code that a call of our own returned."""
    kind = _KINDS.get(code)
    return kind(call) if kind else pkcs11.PKCS11Error(f"Unmapped error code {code:#x} of {call}")


def guarded(work: Callable[[], Result]) -> Result:
    """Do work on the token; a PKCS#11 error comes out as ours."""
    try:
        return work()
    except pkcs11.PKCS11Error as error:
        raise fault_of(error) from None


def fault_of(error: pkcs11.PKCS11Error) -> HsmError:
    """Give the error of ours for one that is not cured here, or was not by what its cure is."""
    # Some errors of python-pkcs11 are bare PKCS11Error with a text of several lines.
    detail = str(error).splitlines()[0] if str(error) else ""
    text = f"PKCS#11 {type(error).__name__} {detail}".rstrip()
    match cure_of(error):
        case Cure.CALLER:
            return OperationRefused(f"the token does not do this: {text}")
        case Cure.OPERATOR:
            return HsmWrongPin(
                f"the token does not take the PIN ({text}): put the right one into its file, start again"
            )
        case Cure.OTHER_NODE | Cure.NEW_SESSION | Cure.NEW_LOGIN:
            return TokenLost(text)


class _HasHandle(Protocol):
    """What python-pkcs11's sessions and keys have; its stubs leave it out, or make it optional."""

    @property
    def handle(self) -> int: ...


def handle_of(thing: object) -> int:
    """Give the number by which PKCS#11 knows a session or an object."""
    return cast("_HasHandle", thing).handle


def quiet_finalizers() -> None:
    """Have python-pkcs11 not print what it cannot raise.

    It ends a search that failed a second time when the search is collected, and prints that this fails too: a page of
    traceback in the proxy's log for each session that a token has dropped.  The first failure was raised.
    """
    excepthook, unraisablehook = sys.excepthook, sys.unraisablehook

    def on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, pkcs11.PKCS11Error):
            excepthook(kind, error, trace)

    def on_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, pkcs11.PKCS11Error):
            unraisablehook(unraisable)

    sys.excepthook, sys.unraisablehook = on_error, on_unraisable
