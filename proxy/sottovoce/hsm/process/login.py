"""Loading the module, finding the token or making it, and the one login.

The PIN is read here, for the login at the start and for each that the token made necessary since; it is tried once and
wiped.  A PIN that was refused is not tried again by this process.
"""

import binascii
import os
from collections.abc import Callable
from pathlib import Path

import pkcs11

from sottovoce.hsm.errors import HsmWrongPin, OperationRefused, PinUnreadable, TokenMissing
from sottovoce.hsm.messages import Start
from sottovoce.hsm.process.cryptoki import Module, load_module
from sottovoce.hsm.process.faults import guarded, handle_of
from sottovoce.hsm.process.pin import called, check_form, read_pin
from sottovoce.hsm.process.sessions import TokenSessions
from sottovoce.hsm.process.worker import KeyName
from sottovoce.hsm.vendors import PinPlace, TokenFacts, parse_pin_source, parse_uri, selects
from sottovoce.primitives import Secret, wipe_bytes

_PIN_ENTROPY_BYTES = 16


def log_in(start: Start, count: Callable[[str], None]) -> TokenSessions:
    """Load the module, find the token (or make it, if `start` says so) and log in, with one try of the PIN.

    `count` is told of each session and login that had to be renewed later.
    """
    module = load_module(start.module, start.module_arguments)
    if start.create:
        guarded(lambda: _create(module, start))
    token = _find_token(module, start)
    writable = start.create or start.change_keys
    return guarded(lambda: TokenSessions(module, token, _Login(module, start), writable=writable, count=count))


class _Login:
    """Logs in with the PIN from its configured place, as it is then."""

    def __init__(self, module: Module, start: Start) -> None:
        self._module = module
        self._start = start
        self._refusal = ""

    def __call__(self, session: int) -> None:
        if self._refusal:
            raise HsmWrongPin(self._refusal)
        source = parse_pin_source(self._start.pin_source)
        with read_pin(source) as pin:
            check_form(pin, self._start.vendor, source)
            try:
                self._module.log_in(session, pin.expose())
            except HsmWrongPin as error:
                self._refusal = (
                    f"the PIN in {called(source)} does not open token {self._start.token!r}: {error}; "
                    "put the right PIN there (it was tried once) and start again"
                )
                raise HsmWrongPin(self._refusal) from None


def _find_token(module: Module, start: Start) -> pkcs11.Token:
    """Find the one token of that label, of several the one that the URI means."""
    uri = parse_uri(start.uri) if start.uri else None
    named = guarded(lambda: [token for token in module.library.get_tokens() if token.label == start.token])
    found = [token for token in named if uri is None or selects(uri, _facts(module, token))]
    if len(found) == 1:
        return found[0]
    if named and not found:
        text = f"no token that is called {start.token!r} is as hsm.uri says: correct what stands there beside its label"
    elif found:
        text = f"several tokens are called {start.token!r}: set hsm.uri, with the serial number of the right one"
    else:
        text = (
            f"no token is called {start.token!r}: check hsm.token, and hsm.softhsm_config or the vendor's configuration"
        )
    raise TokenMissing(text)


def _facts(module: Module, token: pkcs11.Token) -> TokenFacts:
    slot, library = token.slot, module.library
    return TokenFacts(
        label=token.label,
        manufacturer=token.manufacturer_id,
        serial=token.serial.decode(errors="replace"),
        model=token.model,
        slot_id=slot.slot_id,
        slot_description=slot.slot_description,
        slot_manufacturer=slot.manufacturer_id,
        library_manufacturer=library.manufacturer_id,
        library_description=library.library_description,
        library_version=(library.library_version[0], library.library_version[1]),
    )


def _create(module: Module, start: Start) -> None:
    """Make an empty token with a random user PIN, kept in its file, and a random officer PIN, kept nowhere.

    One that is there already, made with the vendor's tool, is taken as it is, with its PIN where that is said to be,
    unless keys of ours are in it.
    """
    if any(token.label == start.token for token in module.library.get_tokens()):
        _refuse_used(_find_token(module, start))
        return
    free = [
        slot for slot in module.library.get_slots() if not slot.get_token().flags & pkcs11.TokenFlag.TOKEN_INITIALIZED
    ]
    if not free:
        text = "the module has no free slot for a new token: make one with the vendor's tool"
        raise TokenMissing(text)
    source = parse_pin_source(start.pin_source)
    if source.place is not PinPlace.FILE:
        text = f"{called(source)} cannot take a new token's PIN: set hsm.pin_file"
        raise PinUnreadable(text)
    with _random_pin("officer PIN") as officer, _random_pin("PIN") as pin:
        _write_new_file(Path(source.name), pin)
        module.create_token(free[0].slot_id, start.token, officer.expose())
        session = _find_token(module, start).open(rw=True)
        module.set_user_pin(handle_of(session), officer.expose(), pin.expose())
        session.close()


def _refuse_used(token: pkcs11.Token) -> None:
    """See that a token holds no keys of ours: public halves are seen by whoever looks."""
    session = token.open()
    try:
        if any(list(session.get_objects({pkcs11.Attribute.LABEL: name})) for name in KeyName):
            text = f"token {token.label!r} has keys of a proxy already: take another, or destroy them with its own tool"
            raise OperationRefused(text)
    finally:
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
