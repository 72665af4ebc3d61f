"""The table of PKCS#11's codes, by itself.  `faults/test_codes` holds it against what the library raises."""

import sys
from types import SimpleNamespace
from typing import cast

import pkcs11
import pkcs11.exceptions
import pytest

from sottovoce.hsm import HsmWrongPin, OperationRefused, TokenLost
from sottovoce.hsm.process import faults
from sottovoce.hsm.process.faults import Cure, cure_of, error_of, fault_of, guarded, quiet_finalizers

TOKEN_DOWN = {
    "AnotherUserAlreadyLoggedIn",
    "DeviceError",
    "DeviceMemory",
    "DeviceRemoved",
    "FunctionCancelled",
    "FunctionFailed",
    "GeneralError",
    "HostMemory",
    "NoEvent",
    "SessionCount",
    "SessionExists",
    "SessionReadOnlyExists",
    "SessionReadWriteSOExists",
    "SlotIDInvalid",
    "TokenNotPresent",
    "TokenNotRecognised",
    "UserAlreadyLoggedIn",
    "UserPinNotInitialized",
    "UserTooManyTypes",
}
OF_THE_LIBRARY = {"MultipleObjectsReturned", "MultipleTokensReturned", "NoSuchKey", "NoSuchToken"}
"""No code of PKCS#11 stands behind these; `worker` and `login` handle them."""
NEVER_RAISED = {"ExceededMaxIterations", "PinTooWeak", "PublicKeyInvalid"}
"""The library has a class for them and does not use it."""


def test_every_class_of_the_library_is_decided_upon() -> None:
    classes = {
        name
        for name, kind in vars(pkcs11.exceptions).items()
        if isinstance(kind, type) and issubclass(kind, pkcs11.PKCS11Error)
    }
    decided = {kind.__name__ for kind in faults._CURES}
    assert classes - {"PKCS11Error"} == decided | TOKEN_DOWN | OF_THE_LIBRARY | NEVER_RAISED
    assert not decided & (TOKEN_DOWN | OF_THE_LIBRARY | NEVER_RAISED)


def test_a_call_of_ours_raises_what_is_cured_alike() -> None:
    ours = {
        Cure.CALLER: OperationRefused,
        Cure.OPERATOR: HsmWrongPin,
        Cure.NEW_LOGIN: TokenLost,
        Cure.NEW_SESSION: TokenLost,
        Cure.OTHER_NODE: TokenLost,
    }
    for code in (*range(1, 0x210), 0x8000_0001):
        error = error_of(code, "C_Call")
        assert "C_Call" in str(error), code
        is_unnamed = type(error) is pkcs11.PKCS11Error and cure_of(error) is Cure.CALLER
        assert is_unnamed == (code in faults._CALLER_UNNAMED), code
        assert type(fault_of(error)) is ours[cure_of(error)], code


def test_what_is_not_of_pkcs11_passes() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(fail)
    assert guarded(lambda: 7) == 7


def test_finalizers_are_quiet_about_tokens_only(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: heard.append(kind))
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: heard.append(unraisable.exc_type))
    quiet_finalizers()
    for kind in (pkcs11.SessionHandleInvalid, ZeroDivisionError):
        sys.excepthook(kind, kind(), None)
        sys.unraisablehook(cast("sys.UnraisableHookArgs", SimpleNamespace(exc_type=kind)))
    assert heard == [ZeroDivisionError, ZeroDivisionError]
