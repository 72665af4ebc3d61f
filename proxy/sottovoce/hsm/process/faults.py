"""What python-pkcs11 raises, turned into errors of ours, and the handles that it hides."""

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import pkcs11

from sottovoce.hsm.errors import TokenLost

Result = TypeVar("Result")


class _HasHandle(Protocol):
    """What python-pkcs11's sessions and keys have; its stubs leave it out, or make it optional."""

    @property
    def handle(self) -> int: ...


def handle_of(thing: object) -> int:
    """Give the number by which PKCS#11 knows a session or an object."""
    return cast("_HasHandle", thing).handle


def guarded(work: Callable[[], Result]) -> Result:
    """Do work on the token; whatever PKCS#11 error comes of it is TokenLost."""
    try:
        return work()
    except pkcs11.PKCS11Error as error:
        raise lost(error) from None


def lost(error: pkcs11.PKCS11Error) -> TokenLost:
    """Give the error of ours for one of the token."""
    # Some errors of python-pkcs11 are bare PKCS11Error with a text of several lines.
    detail = str(error).splitlines()[0] if str(error) else ""
    return TokenLost(f"PKCS#11 {type(error).__name__} {detail}".rstrip())
