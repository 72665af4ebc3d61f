"""SoftHSM, the embedded default: a token of our own, with its own configuration and directory, never the user's.

SoftHSM wants absolute paths in its configuration.  So the file is written anew when the directory has moved: a working
directory that was copied or renamed starts again.  A configuration that does not carry our first line is an operator's
and is left as it is.
"""

import contextlib
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
_TOKENS = "tokens"


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
    """Write our configuration anew if its directory has moved.  Raises TokenMissing where there is none."""
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
    right = configuration_text(configuration)
    if text == right:
        return
    fresh = configuration.with_name(f"{configuration.name}.{os.getpid()}")
    try:
        fresh.write_text(right)
        fresh.replace(configuration)
    except OSError as error:
        line = (
            f"SoftHSM's configuration {configuration} names another directory and cannot be written ({error.strerror})"
        )
        raise TokenMissing(line) from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()
