"""Loading the module, finding the token or making it, and the one login.

The PIN is read here, for the login at the start and for each that the token made necessary since; it is tried once and
wiped.  A PIN that was refused is not tried again by this process.
"""

import binascii
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pkcs11

from sottovoce.hsm.errors import HsmWrongPin, PinUnreadable, TokenMissing
from sottovoce.hsm.messages import Start
from sottovoce.hsm.process.cryptoki import Module, load_module
from sottovoce.hsm.process.faults import guarded, handle_of
from sottovoce.hsm.process.sessions import TokenSessions
from sottovoce.primitives import Secret, wipe_bytes

_MAX_PIN_BYTES = 255
_PIN_ENTROPY_BYTES = 16


def log_in(start: Start, count: Callable[[str], None]) -> TokenSessions:
    """Load the module, find the token (or make it, if `start` says so) and log in, with one try of the PIN.

    `count` is told of each session and login that had to be renewed later.
    """
    module = load_module(start.module, start.module_arguments)
    if start.create:
        guarded(lambda: _create(module, start))
    token = _find_token(module, start.token)
    writable = start.create or start.change_keys
    return guarded(lambda: TokenSessions(module, token, _Login(module, start), writable=writable, count=count))


class _Login:
    """Logs in with the PIN of the configured file, as it is then."""

    def __init__(self, module: Module, start: Start) -> None:
        self._module = module
        self._start = start
        self._refusal = ""

    def __call__(self, session: int) -> None:
        if self._refusal:
            raise HsmWrongPin(self._refusal)
        with _read_pin(self._start.pin_file) as pin:
            try:
                self._module.log_in(session, pin.expose())
            except HsmWrongPin as error:
                self._refusal = (
                    f"the PIN in {self._start.pin_file} does not open token {self._start.token!r}: {error}; "
                    "put the right PIN there (it was tried once) and start again"
                )
                raise HsmWrongPin(self._refusal) from None


def _find_token(module: Module, label: str) -> pkcs11.Token:
    found = guarded(lambda: [token for token in module.library.get_tokens() if token.label == label])
    if len(found) != 1:
        amount = "several tokens are" if found else "no token is"
        text = f"{amount} called {label!r}: check hsm.token, and hsm.softhsm_config or the vendor's configuration"
        raise TokenMissing(text)
    return found[0]


def _create(module: Module, start: Start) -> None:
    """Make an empty token with a random user PIN, kept in its file, and a random officer PIN, kept nowhere."""
    free = [
        slot for slot in module.library.get_slots() if not slot.get_token().flags & pkcs11.TokenFlag.TOKEN_INITIALIZED
    ]
    if not free:
        text = "the module has no free slot for a new token: make one with the vendor's tool"
        raise TokenMissing(text)
    with _random_pin("officer PIN") as officer, _random_pin("PIN") as pin:
        _write_new_file(Path(start.pin_file), pin)
        module.create_token(free[0].slot_id, start.token, officer.expose())
        session = _find_token(module, start.token).open(rw=True)
        module.set_user_pin(handle_of(session), officer.expose(), pin.expose())
        session.close()


def _random_pin(name: str) -> Secret:
    raw = os.urandom(_PIN_ENTROPY_BYTES)
    try:
        return Secret.take(name, binascii.hexlify(raw))
    finally:
        wipe_bytes(raw)


def _write_new_file(path: Path, pin: Secret) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(pin.expose())
        file.write(b"\n")
        os.fsync(file.fileno())


def _read_pin(path: str) -> Secret:
    """Read the PIN, without the newline at its end.  Raises PinUnreadable."""
    room = bytearray(_MAX_PIN_BYTES + 2)
    try:
        with Path(path).open("rb", buffering=0) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            length = file.readinto(room)
    except OSError as error:
        text = f"the PIN file {path} cannot be read ({error.strerror}): set hsm.pin_file"
        raise PinUnreadable(text) from None
    try:
        if mode & 0o077:
            text = f"the PIN file {path} is open to others (mode {mode:04o}): chmod 600 {path}"
            raise PinUnreadable(text)
        while length and room[length - 1] in b"\r\n":
            length -= 1
        if not 0 < length <= _MAX_PIN_BYTES:
            text = f"the PIN file {path} is empty or too long: put the token's user PIN there, and nothing else"
            raise PinUnreadable(text)
        pin = Secret.blank("PIN", length)
        pin.expose()[:] = memoryview(room)[:length]
        return pin
    finally:
        room[:] = bytes(len(room))
