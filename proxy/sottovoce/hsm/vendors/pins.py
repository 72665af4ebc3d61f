"""Where a PIN comes from, and what a vendor's PIN looks like.  Pure: nothing is read here.

A PIN comes from a file, an environment variable or an open descriptor; never from a command line, which every user of
the machine can read, and never from the configuration.  `process.pin` reads it, inside the token process.
"""

import re
from enum import StrEnum
from typing import Final

import msgspec

from sottovoce.hsm.vendors.errors import PinSourceInvalid

_WRITE: Final = "write file:PATH, env:NAME or fd:NUMBER"
_FIRST_OWN_DESCRIPTOR: Final = 3
_LAST_DESCRIPTOR: Final = 1023
_AUTHENTICATION_KEY_DIGITS: Final = 4
_is_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}").fullmatch
_is_descriptor = re.compile(r"[0-9]{1,4}").fullmatch
_is_hexadecimal = re.compile(rb"[0-9A-Fa-f]+").fullmatch


class PinPlace(StrEnum):
    """The kinds of places."""

    FILE = "file"
    ENVIRONMENT = "env"
    DESCRIPTOR = "fd"


class PinSource(msgspec.Struct, frozen=True):
    """One place: the path of a file, the name of a variable, or the number of a descriptor."""

    place: PinPlace
    name: str

    def __str__(self) -> str:
        """Give it as it is written in a configuration."""
        return f"{self.place}:{'//' if self.name.startswith('/') else ''}{self.name}"


def parse_pin_source(text: str) -> PinSource:
    """Read `file:PATH`, `env:NAME` or `fd:NUMBER`; a bare path is a file.  Raises PinSourceInvalid.

    `file:` may be followed by `//` and an absolute path, as in a URI (RFC 8089).
    """
    if text.startswith("|"):
        raise PinSourceInvalid(f"names a program that would tell the PIN to whoever starts it; {_WRITE}")
    kind, colon, name = text.partition(":")
    match kind if colon else "":
        case PinPlace.FILE:
            path = name.removeprefix("//localhost").removeprefix("//")
            if not path or "\0" in path or (name.startswith("//") and not path.startswith("/")):
                raise PinSourceInvalid(f"names no file of this machine; {_WRITE}")
            return PinSource(PinPlace.FILE, path)
        case PinPlace.ENVIRONMENT:
            if not _is_variable(name):
                raise PinSourceInvalid(f"names no environment variable; {_WRITE}")
            return PinSource(PinPlace.ENVIRONMENT, name)
        case PinPlace.DESCRIPTOR:
            if not _is_descriptor(name) or not _FIRST_OWN_DESCRIPTOR <= int(name) <= _LAST_DESCRIPTOR:
                text = f"names no descriptor from {_FIRST_OWN_DESCRIPTOR} to {_LAST_DESCRIPTOR}; {_WRITE}"
                raise PinSourceInvalid(text)
            return PinSource(PinPlace.DESCRIPTOR, str(int(name)))
        case _:
            if not text or "\0" in text or (colon and "/" not in kind):
                raise PinSourceInvalid(f"says not where the PIN is; {_WRITE}")
            return PinSource(PinPlace.FILE, text)


class PinForm(StrEnum):
    """What a PIN is made of."""

    PLAIN = "PIN"
    USER_AND_PASSWORD = "user:password"  # noqa: S105  a form, as the next
    AUTHENTICATION_KEY_AND_PASSWORD = "four hex digits of the authentication key, then its password"  # noqa: S105


class PinRule(msgspec.Struct, frozen=True):
    """What a vendor takes as a PIN; lengths in bytes, 0 and 255 where none is told."""

    form: PinForm = PinForm.PLAIN
    min_bytes: int = 0
    max_bytes: int = 255


def fault_of_pin(rule: PinRule, pin: bytearray) -> str | None:
    """Say why a PIN cannot be this vendor's, without a part of it; None: it can be.

    What has the wrong form is not tried: a try costs one of the few that a real token allows.
    """
    if not rule.min_bytes <= len(pin) <= rule.max_bytes:
        return f"has not from {rule.min_bytes} to {rule.max_bytes} bytes"
    match rule.form:
        case PinForm.PLAIN:
            fits = True
        case PinForm.USER_AND_PASSWORD:
            colon = pin.find(b":")
            fits = 0 < colon < len(pin) - 1
        case PinForm.AUTHENTICATION_KEY_AND_PASSWORD:
            fits = _is_hexadecimal(pin[:_AUTHENTICATION_KEY_DIGITS]) is not None
    return None if fits else f"is not of the form {rule.form}"
