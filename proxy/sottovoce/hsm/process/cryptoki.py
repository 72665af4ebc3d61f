"""The few PKCS#11 calls that python-pkcs11 lacks, or makes in a way that we cannot use, through ctypes.

- `C_Initialize` with CKF_OS_LOCKING_OK.  python-pkcs11 passes NULL, "no concurrent access", yet lets threads in; then
  SoftHSM runs without mutexes and two threads corrupt its memory.  `load_module` finalises and initialises again, and
  refuses a library that does not take it: nothing here runs on an unlocked module.
- `C_Login` from a buffer that can be wiped.  python-pkcs11 takes the PIN as `str`, leaks the session of a failed
  login, and logs the whole process out when the session that logged in is closed.
- `C_InitToken` and `C_GetSessionInfo`, which it does not have; `C_Decrypt` and `C_GenerateRandom` into our own buffer.
- Arguments for `C_Initialize`, without which some modules (NSS) do not start.  Such a one is initialised here first;
  while python-pkcs11 takes it over, its own call is answered by a function that does nothing.

What a call returns but CKR_OK is raised as python-pkcs11 would raise it, unless a method says otherwise.

Calls go through the table of C_GetFunctionList, which every module has; some export no other name.  Structures are
those of PKCS#11 2.40 for Unix (natural alignment, CK_ULONG = unsigned long).
"""

import ctypes
from collections.abc import Generator
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_ubyte, c_ulong, c_void_p
from enum import IntEnum
from typing import TYPE_CHECKING

import pkcs11

from sottovoce.hsm.errors import HsmWrongPin, ModuleUnusable
from sottovoce.hsm.process.faults import error_of

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812  the library's own class has a lower-case name

_INITIALIZE, _FINALIZE, _INIT_TOKEN, _INIT_PIN, _GET_SESSION_INFO, _LOGIN, _LOGOUT = 0, 1, 9, 10, 15, 18, 19
_GENERATE_RANDOM = 64
"""Places in CK_FUNCTION_LIST (PKCS#11 2.40 §3.6)."""


class Function(IntEnum):
    """Further places in it, for `Module.call`: functions through which secrets pass."""

    CREATE_OBJECT = 20
    DESTROY_OBJECT = 22
    GET_ATTRIBUTE_VALUE = 24
    ENCRYPT_INIT = 29
    ENCRYPT = 30
    DECRYPT_INIT = 33
    DECRYPT = 34
    WRAP_KEY = 60


_ARGUMENTS: dict[int, tuple[type, ...]] = {
    _INITIALIZE: (c_void_p,),
    _FINALIZE: (c_void_p,),
    _INIT_TOKEN: (c_ulong, c_void_p, c_ulong, c_void_p),
    _INIT_PIN: (c_ulong, c_void_p, c_ulong),
    _GET_SESSION_INFO: (c_ulong, c_void_p),
    _LOGIN: (c_ulong, c_ulong, c_void_p, c_ulong),
    _LOGOUT: (c_ulong,),
    _GENERATE_RANDOM: (c_ulong, c_void_p, c_ulong),
    Function.CREATE_OBJECT: (c_ulong, c_void_p, c_ulong, c_void_p),
    Function.DESTROY_OBJECT: (c_ulong, c_ulong),
    Function.GET_ATTRIBUTE_VALUE: (c_ulong, c_ulong, c_void_p, c_ulong),
    Function.ENCRYPT_INIT: (c_ulong, c_void_p, c_ulong),
    Function.ENCRYPT: (c_ulong, c_void_p, c_ulong, c_void_p, c_void_p),
    Function.DECRYPT_INIT: (c_ulong, c_void_p, c_ulong),
    Function.DECRYPT: (c_ulong, c_void_p, c_ulong, c_void_p, c_void_p),
    Function.WRAP_KEY: (c_ulong, c_void_p, c_ulong, c_ulong, c_void_p, c_void_p),
}
_OS_LOCKING_OK = 2
_SECURITY_OFFICER, _USER = 0, 1
_USER_STATES = {1, 3}
"""CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS."""

_OK = 0x0
_ALREADY_INITIALIZED = 0x191
_ALREADY_LOGGED_IN = 0x100
_PIN_REFUSALS = {
    0xA0: "it is not the token's PIN",
    0xA1: "it has characters that the token does not take",
    0xA2: "its length is not one that the token takes",
    0xA3: "it has expired",
    0xA4: "the token has locked it",
}


class _FunctionList(Structure):
    _fields_ = (("version", c_ubyte * 2), ("functions", c_void_p * 68))


class _InitializeArgs(Structure):
    # `pReserved` of the standard is where NSS has `LibraryParameters`, behind which it has a pointer more.
    _fields_ = (("mutex_calls", c_void_p * 4), ("flags", c_ulong), ("reserved", c_char_p), ("more", c_void_p))


class _SessionInfo(Structure):
    _fields_ = (("slot", c_ulong), ("state", c_ulong), ("flags", c_ulong), ("device_error", c_ulong))


class Module:
    """A loaded PKCS#11 library, initialised for use by several threads."""

    def __init__(self, library: "Library", table: _FunctionList) -> None:
        """Made by `load_module` only."""
        self.library = library
        self._table = table

    def log_in(self, session: int, pin: bytearray) -> None:
        """Log the process in as the token's user; harmless when it is.

        Raises HsmWrongPin when the token refuses the PIN.
        """
        self._log_in(session, _USER, pin)

    def is_logged_in(self, session: int) -> bool:
        """Whether the token's user is logged in, as a session sees it."""
        info = _SessionInfo()
        _check(self._call(_GET_SESSION_INFO, session, byref(info)), "C_GetSessionInfo")
        return info.state in _USER_STATES

    def create_token(self, slot: int, label: str, officer_pin: bytearray) -> None:
        """Make an empty token in a free slot, under a new security officer's PIN."""
        padded = label.encode().ljust(32)
        pin = lend(officer_pin)
        code = self._call(_INIT_TOKEN, slot, pin, len(officer_pin), padded)
        _check(code, "C_InitToken")

    def set_user_pin(self, session: int, officer_pin: bytearray, user_pin: bytearray) -> None:
        """Give a new token its user PIN; takes a read-write session, and leaves it logged out."""
        self._log_in(session, _SECURITY_OFFICER, officer_pin)
        code = self._call(_INIT_PIN, session, lend(user_pin), len(user_pin))
        _check(code, "C_InitPIN")
        _check(self._call(_LOGOUT, session), "C_Logout")

    def random(self, session: int, into: bytearray) -> None:
        """Fill a buffer of ours from the token's random generator."""
        _check(self._call(_GENERATE_RANDOM, session, lend(into), len(into)), "C_GenerateRandom")

    def call(self, function: Function, *arguments: object) -> int:
        """Call a function of the library and give what it returned.  Lent buffers stay alive as long as the call."""
        return self._call(function, *arguments)

    def _log_in(self, session: int, user: int, pin: bytearray) -> None:
        code = self._call(_LOGIN, session, user, lend(pin), len(pin))
        if code in _PIN_REFUSALS:
            text = _PIN_REFUSALS[code]
            raise HsmWrongPin(text)
        if code != _ALREADY_LOGGED_IN:  # some libraries share one login among processes
            _check(code, "C_Login")

    def _call(self, place: int, *arguments: object) -> int:
        return _call(self._table, place, *arguments)


def load_module(path: str, arguments: str = "") -> Module:
    """Load a PKCS#11 library with OS locking; `arguments` are for its `C_Initialize`.

    Raises ModuleUnusable with a line that names it.
    """
    settings = _InitializeArgs(flags=_OS_LOCKING_OK, reserved=arguments.encode() or None)
    try:
        if arguments:
            table = _function_list(path)
            with _initialized(path, table, settings):
                library = pkcs11.lib(path)
        else:
            library = pkcs11.lib(path)
            table = _function_list(path)
    except (pkcs11.PKCS11Error, OSError) as error:
        # A library that loads but does not initialise answers with a typed error, one that does not load with a bare.
        if type(error) in {pkcs11.PKCS11Error, OSError}:
            text = (
                f"{path} is no usable PKCS#11 library ({_first_line(error)}): set hsm.module to the vendor's .so file"
            )
        else:
            text = (
                f"{path} does not initialise ({_first_line(error)}): check hsm.softhsm_config or the vendor's own file"
            )
        raise ModuleUnusable(text) from None
    codes = (_OK, _OK) if arguments else (_call(table, _FINALIZE, None), _call(table, _INITIALIZE, byref(settings)))
    if codes != (_OK, _OK) or _call(table, _INITIALIZE, byref(settings)) != _ALREADY_INITIALIZED:
        text = f"{path} does not take OS locking (C_Initialize: {codes[1]:#x}): it cannot serve several threads"
        raise ModuleUnusable(text)
    return Module(library, table)


@contextmanager
def _initialized(path: str, table: _FunctionList, settings: _InitializeArgs) -> Generator[None]:
    """Initialise, and answer whoever does so again in the block that all is well."""
    code = _call(table, _INITIALIZE, byref(settings))
    if code != _OK:
        text = f"{path} does not initialise (C_Initialize: {code:#x}): check hsm.module_arguments"
        raise ModuleUnusable(text)
    again = ctypes.CFUNCTYPE(c_ulong, c_void_p)(_is_initialized)
    own, table.functions[_INITIALIZE] = table.functions[_INITIALIZE], ctypes.cast(again, c_void_p).value
    try:
        yield
    finally:
        table.functions[_INITIALIZE] = own


def _is_initialized(_: object) -> int:
    return _OK


def _function_list(path: str) -> _FunctionList:
    loaded = ctypes.CDLL(path)
    pointer = POINTER(_FunctionList)()
    get_list = loaded.C_GetFunctionList
    get_list.restype = c_ulong
    get_list.argtypes = [POINTER(POINTER(_FunctionList))]
    _check(get_list(byref(pointer)), "C_GetFunctionList")
    return pointer.contents


def _call(table: _FunctionList, place: int, *arguments: object) -> int:
    """Call a function of the table; ctypes releases the GIL while it runs."""
    function = ctypes.CFUNCTYPE(c_ulong, *_ARGUMENTS[place])(table.functions[place])
    return int(function(*arguments))


def lend(data: bytearray) -> ctypes.Array[c_char]:
    """Lend a bytearray to C without copying it."""
    return (c_char * len(data)).from_buffer(data)


def _check(code: int, call: str) -> None:
    if code != _OK:
        raise error_of(code, call)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
