"""Which of all that is known a file is: by its first bytes, never by its name."""

import os
import stat
from pathlib import Path

from sottovoce.app.inspecting.folders import inspect_folder
from sottovoce.app.inspecting.inspection import Inspection, NotRecognised, fact
from sottovoce.app.inspecting.own import inspect_json, inspect_toml, inspect_voice_certificate
from sottovoce.app.inspecting.sound import inspect_wav
from sottovoce.app.inspecting.x509 import inspect_der, inspect_pem

MAX_READ_BYTES = 1 << 20
_CAPTURES = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
"""pcap in both byte orders and resolutions, and pcapng."""
_LOOKED_FOR = (
    "a certificate, key or request (PEM, DER), an anchor file, a voice certificate, a sealed seed, an audit log, a "
    "configuration, a file of clients, a WAV recording, a network capture, a directory of init, a SoftHSM token"
)


def inspect_path(path: Path) -> Inspection:
    """Say what a file or directory is.  Raises NotRecognised."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            found = inspect_folder(path)
        elif stat.S_ISREG(mode):
            found = _file(path)
        else:
            text = f"{path} is no file and no directory: give one of those, or wss://HOST:PORT"
            raise NotRecognised(text)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no file's name"
        text = f"{path} cannot be read ({why}): give the path of a file that can be read, or wss://HOST:PORT"
        raise NotRecognised(text) from None
    if found is None:
        text = f"{path} is nothing that is known here; looked for: {_LOOKED_FOR}"
        raise NotRecognised(text)
    return found


def _file(path: Path) -> Inspection | None:
    with open(path, "rb", opener=_open_without_waiting) as stream:
        data = stream.read(MAX_READ_BYTES)
    if not data:
        text = f"{path} is empty: look where it came from"
        raise NotRecognised(text)
    if data.startswith(_CAPTURES):
        what = "a network capture; of a call it shows who spoke when, and nothing of what was said"
        return Inspection("network capture", what, (fact("bytes", path.stat().st_size),))
    return (
        inspect_wav(path, data)
        or inspect_pem(data)
        or inspect_der(data)
        or inspect_json(path, data)
        or inspect_toml(path, data)
        or inspect_voice_certificate(data)
    )


def _open_without_waiting(path: str, flags: int) -> int:
    """Some of the kernel's files call themselves regular and have a reader wait for what may never come."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
