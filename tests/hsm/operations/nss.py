"""Makes a token in NSS softokn, as `certutil -N` does: `python nss.py DIRECTORY PIN`.

In a process of its own, for a library is initialised once a process.
"""

import ctypes
import sys
from ctypes import byref
from pathlib import Path

_PLACES = [f"/usr/lib/{place}/libsoftokn3.so" for place in ("x86_64-linux-gnu", "aarch64-linux-gnu")]
SOFTOKN = next((place for place in (*_PLACES, "/usr/lib64/libsoftokn3.so") if Path(place).exists()), _PLACES[0])
LABEL = "NSS Certificate DB"


def arguments(directory: str) -> str:
    """What the library is told when it is initialised."""
    return f"configdir='sql:{directory}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=passwordRequired"


class _Arguments(ctypes.Structure):
    _fields_ = (
        ("mutex_calls", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("parameters", ctypes.c_char_p),
        ("reserved", ctypes.c_void_p),
    )


def main(directory: str, pin: bytes) -> None:
    library = ctypes.CDLL(SOFTOKN)
    table = ctypes.c_void_p()
    assert library.C_GetFunctionList(byref(table)) == 0
    assert table.value is not None
    functions = (ctypes.c_void_p * 68).from_address(table.value + ctypes.sizeof(ctypes.c_void_p))

    def call(place: int, *given: object) -> None:
        kinds = [ctypes.c_ulong if isinstance(each, int) else ctypes.c_void_p for each in given]
        code = ctypes.CFUNCTYPE(ctypes.c_ulong, *kinds)(functions[place])(*given)
        assert code == 0, f"function {place}: {code:#x}"

    call(0, byref(_Arguments(flags=2, parameters=arguments(directory).encode())))
    session, slot, serial_and_writable = ctypes.c_ulong(), 2, 6
    call(12, slot, serial_and_writable, None, None, byref(session))
    call(18, session.value, 0, b"", 0)
    call(10, session.value, pin, len(pin))
    call(1, None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].encode())
