"""Reading a PIN, inside the token process: into memory of our own, which is wiped after the one login.

What the environment had stays in the memory that the process was started with; nothing can be done about that from
here.  A descriptor is read from its beginning without being moved, so that the next process finds it as this one did.
"""

import os
import stat
from pathlib import Path

from sottovoce.hsm.errors import PinUnreadable
from sottovoce.hsm.vendors import PROFILES, PinPlace, PinSource, Vendor, fault_of_pin
from sottovoce.primitives import Secret

MAX_PIN_BYTES = 255
_NOTHING_ELSE = "put the token's user PIN there, and nothing else"


def read_pin(source: PinSource) -> Secret:
    """Read a PIN, without the newline at its end.  Raises PinUnreadable."""
    room = bytearray(MAX_PIN_BYTES + 2)
    try:
        match source.place:
            case PinPlace.FILE:
                length = _from_file(source.name, room)
            case PinPlace.ENVIRONMENT:
                length = _from_environment(source.name, room)
            case PinPlace.DESCRIPTOR:
                length = _from_descriptor(int(source.name), room)
        while length and room[length - 1] in b"\r\n":
            length -= 1
        if not 0 < length <= MAX_PIN_BYTES:
            word = "file" if source.place is PinPlace.FILE else "in"
            text = f"the PIN {word} {called(source)} is empty or too long: {_NOTHING_ELSE}"
            raise PinUnreadable(text)
        pin = Secret.blank("PIN", length)
        pin.expose()[:] = memoryview(room)[:length]
        return pin
    finally:
        room[:] = bytes(len(room))


def check_form(pin: Secret, vendor: str, source: PinSource) -> None:
    """See that a PIN looks like a vendor's; an empty name: of no vendor that is known.  Raises PinUnreadable."""
    if not vendor:
        return
    fault = fault_of_pin(PROFILES[Vendor(vendor)].pin.value, pin.expose())
    if fault is not None:
        text = f"the PIN in {called(source)} {fault}, as {vendor} wants it: mend it, or remove hsm.vendor to try it so"
        raise PinUnreadable(text)


def called(source: PinSource) -> str:
    """Name a place for people, after `the PIN in`."""
    match source.place:
        case PinPlace.FILE:
            return source.name
        case PinPlace.ENVIRONMENT:
            return f"the environment variable {source.name}"
        case PinPlace.DESCRIPTOR:
            return f"descriptor {source.name}"


def _from_file(path: str, room: bytearray) -> int:
    try:
        with Path(path).open("rb", buffering=0) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            length = file.readinto(room)
    except OSError as error:
        text = f"the PIN file {path} cannot be read ({error.strerror}): set hsm.pin_file"
        raise PinUnreadable(text) from None
    if mode & 0o077:
        text = f"the PIN file {path} is open to others (mode {mode:04o}): chmod 600 {path}"
        raise PinUnreadable(text)
    return length


def _from_environment(name: str, room: bytearray) -> int:
    value = os.environb.get(name.encode())
    if value is None:
        text = f"the environment variable {name} is not set: start the proxy with the PIN in it, or set hsm.pin_source"
        raise PinUnreadable(text)
    length = min(len(value), len(room))
    room[:length] = memoryview(value)[:length]
    return length


def _from_descriptor(number: int, room: bytearray) -> int:
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            text = f"descriptor {number} is no file, and the PIN is read again at each start: write {number}<FILE"
            raise PinUnreadable(text)
        return os.preadv(number, [room], 0)
    except OSError as error:
        text = f"descriptor {number} cannot be read ({error.strerror}): start the proxy with {number}<FILE"
        raise PinUnreadable(text) from None
