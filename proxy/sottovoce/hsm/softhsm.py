"""SoftHSM, the embedded default: a token of our own, with its own configuration and directory, never the user's.

SoftHSM wants absolute paths in its configuration.  So the file is written anew when the directory has moved: a working
directory that was copied or renamed starts again.  A configuration that does not carry our first line is an operator's
and is left as it is.

SoftHSM writes a token's own file (its label, its PIN's blobs and the key to all others) anew at each login, in place:
ftruncate, then write.  A process that is killed between the two leaves an empty file, and with it every key is lost
(seen with SoftHSM 2.6.1).  So a copy is kept beside the tokens, and put back before the next start.
"""

import contextlib
import errno
import os
import sys
from pathlib import Path

from sottovoce.hsm.errors import ModuleUnusable, TokenMissing

_FIRST_LINE = "# Written by sottovoce: the tokens lie beside this file, and it is written anew when they are moved."
_PLACES = (
    Path(sys.prefix) / "lib/softhsm/libsofthsm2.so",
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR}
"""Not ours to read, or to write: then SoftHSM does not write it either."""
_TOKENS, _KEPT, _OWN_FILE = "tokens", "tokens.kept", "token.object"


def find_softhsm() -> str:
    """Give the path of SoftHSM's library.  Raises ModuleUnusable where none is installed."""
    for place in _PLACES:
        if place.exists():
            return str(place)
    text = (
        "SoftHSM is not installed: install it (Debian: apt install softhsm2), or set hsm.module to your HSM's library"
    )
    raise ModuleUnusable(text)


def new_configuration(configuration: Path) -> None:
    """Make a directory for tokens and a configuration beside it that points there."""
    (configuration.parent / _TOKENS).mkdir(mode=0o700)
    configuration.write_text(configuration_text(configuration))


def configuration_text(configuration: Path) -> str:
    """Give the configuration as it is at that (absolute) path."""
    tokens = configuration.parent / _TOKENS
    return f"{_FIRST_LINE}\ndirectories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"


def refresh_configuration(configuration: Path) -> None:
    """Before a start: write our configuration anew if its directory has moved, and mend a token that was cut off.

    Raises TokenMissing where there is none, OSError where the disk does not allow to start now.
    """
    try:
        text = configuration.read_text()
    except OSError as error:
        line = f"SoftHSM's configuration {configuration} cannot be read ({error.strerror}): set hsm.softhsm_config"
        raise TokenMissing(line) from None
    if not text.startswith(_FIRST_LINE):
        return
    if not (configuration.parent / _TOKENS).is_dir():
        line = f"{configuration.parent / _TOKENS} is missing, and the token with it: restore it from its backup"
        raise TokenMissing(line)
    _mend_tokens(configuration.parent)
    right = configuration_text(configuration)
    if text == right:
        return
    try:
        _replace(configuration, right.encode())
    except OSError as error:
        line = (
            f"SoftHSM's configuration {configuration} names another directory and cannot be written ({error.strerror})"
        )
        raise TokenMissing(line) from None


def _mend_tokens(directory: Path) -> None:
    """Keep a copy of each token's own file, and put it back where the file is empty.

    The last token process has ended and the next one is not there yet.  Where a command has a process of its own that
    logs in just now, the file may be empty for a moment only; what is put back then is what that one writes, since a
    login changes nothing that the file says.  Raises OSError where there is no room for the first copy: a login then
    could be the token's end.
    """
    for token in (directory / _TOKENS).iterdir():
        file, kept = token / _OWN_FILE, directory / _KEPT / f"{token.name}.{_OWN_FILE}"
        before = b""
        try:
            now = file.read_bytes()
            before = kept.read_bytes() if kept.exists() else b""
            if not any(now) and before:
                _replace(file, before)
            elif now != before and len(now) >= len(before):
                kept.parent.mkdir(mode=0o700, exist_ok=True)
                _replace(kept, now)
        except OSError as error:
            if error.errno not in _NOT_OURS and not before:
                raise


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, with the mode that only its owner may use."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()
