"""The token: its library, its files, its PIN's file, and whether it opens and signs.

A login rewrites SoftHSM's own file of a token in place (`hsm/softhsm`).  So it is tried on a copy that lies beside the
original for that moment, as closed to others as it; and not at all while a proxy runs, who has proved it already.  A
foreign module's PIN is never tried: a real token locks after a few refusals.
"""

import os
import shutil
import stat
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from sottovoce.app.doctor.findings import Finding, fail, ok, told, warn
from sottovoce.app.doctor.sockets import Holder
from sottovoce.app.doctor.token_child import COMMAND, LOOK, Look, Looked
from sottovoce.app.places import TokenPlaces
from sottovoce.hsm import (
    ONLY_NODE,
    HsmConfig,
    HsmError,
    HsmWrongPin,
    ModuleUnusable,
    NodeConfig,
    PinUnreadable,
    TokenMissing,
    configuration_text,
    open_token,
)
from sottovoce.hsm.seal import SealConfig

_PREFIX: Final = ".doctor-"
_STALE_SECONDS: Final = 600.0
_CONFIGURATION: Final = "softhsm2.conf"
_TOKENS: Final = "tokens"
_OWN_FILE: Final = "token.object"
_PATIENT_SECONDS: Final = 30.0
_RESTORE: Final = "restore the directory from its backup; without the token its keys are gone"
_NAMES: Final = ((HsmWrongPin, "pin"), (PinUnreadable, "pin"), (ModuleUnusable, "softhsm"), (TokenMissing, "token"))


class TokenNames(NamedTuple):
    """What the findings about a token are called: with its name where there are several."""

    softhsm: str
    token: str
    pin: str
    keys: str

    @classmethod
    def of(cls, places: TokenPlaces) -> "TokenNames":
        """Give those of a token."""
        which = "" if places.name == ONLY_NODE else f" {places.name}"
        return cls(f"softhsm{which}", f"token{which}", f"pin{which}", f"keys{which}")

    def of_error(self, error: HsmError) -> str:
        """Give the name of what an error is about."""
        return next((getattr(self, name) for kind, name in _NAMES if isinstance(error, kind)), self.keys)


def module_findings(config: NodeConfig, names: TokenNames) -> Iterable[Finding]:
    """See whether the PKCS#11 library is there."""
    try:
        path = config.library
    except ModuleUnusable as error:
        return [told(names.softhsm, error)]
    return [ok(names.softhsm, f"the PKCS#11 library is {path}")]


def pin_findings(config: NodeConfig, names: TokenNames, seal: SealConfig | None) -> Iterable[Finding]:
    """Look at the PIN's file from outside; who may read it, `check` has seen."""
    if seal is not None:
        return [ok(names.pin, f"the PIN is sealed in {seal.file}; not looked at")]
    path = config.pin_path
    if path is None:
        return [ok(names.pin, f"the PIN comes from {config.pin}; not looked at")]
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
        return [fail(names.pin, f"{path} holds no PIN", f"write the token's PIN into {path}, and: chmod 600 {path}")]
    if found.st_uid not in {os.geteuid(), 0}:
        what = f"{path} belongs to uid {found.st_uid}"
        return [warn(names.pin, what, f"run as its owner, or: chown {os.geteuid()} {path}")]
    return [ok(names.pin, f"{path} is there and closed to others")]


def token_findings(config: NodeConfig, names: TokenNames) -> Iterable[Finding]:
    """Look at SoftHSM's configuration and at the token's files."""
    if config.module or config.softhsm_file is None:
        return [ok(names.token, f"{config.token} is looked for by the module's own configuration")]
    directory = _tokens_of(Path(config.softhsm_config))
    if directory is None:
        what = f"{config.softhsm_config} has no line directories.tokendir"
        return [fail(names.token, what, "write directories.tokendir = PATH, or restore it from its backup")]
    if not directory.is_dir():
        return [fail(names.token, f"the directory of tokens {directory} is missing", _RESTORE)]
    tokens = [each for each in directory.iterdir() if each.is_dir()]
    if not tokens:
        return [fail(names.token, f"there is no token in {directory}", _RESTORE)]
    torn = [each for each in tokens if not _holds_something(each / _OWN_FILE)]
    if torn:
        return [_torn(names.token, torn[0], directory)]
    return [ok(names.token, f"{config.token} lies in {directory}")]


async def key_findings(
    hsm: HsmConfig, places: TokenPlaces, names: TokenNames, base: Path, running: Holder | None
) -> tuple[list[Finding], Looked | None]:
    """Log in to a copy of the token and look at its keys; what it holds is None where that was not to be done."""
    config = places.config
    if running is not None:
        what = f"in use by the proxy that runs (pid {running.pid}), which has proved them; not tried here"
        return [ok(names.keys, what)], None
    if hsm.seal is not None:
        return [ok(names.keys, "not tried: the PIN is sealed; a proxy that is unsealed tries it")], None
    if config.module or config.softhsm_file is None:
        what = (
            f"not tried: {config.module or 'a token of somebody else'} may lock a PIN; sottovoce serve tries it, once"
        )
        return [ok(names.keys, what)], None
    try:
        with _copy_of(config) as copy:
            looked = await _look(_patient(hsm.alone(places.name, copy)), places, base)
    except HsmError as error:
        return [told(names.of_error(error), error)], None
    findings = [told(_renamed(name, names), HsmError(text)) for name, text in looked.problems]
    what = "a copy of the token opens with this PIN, and signs; every key is there"
    return findings or [ok(names.keys, what)], looked


def _renamed(name: str, names: TokenNames) -> str:
    return names.keys if name == "keys" else name


def _patient(config: HsmConfig) -> HsmConfig:
    return msgspec.structs.replace(config, start_seconds=_PATIENT_SECONDS, deadline_seconds=_PATIENT_SECONDS)


async def _look(copy: HsmConfig, places: TokenPlaces, base: Path) -> Looked:
    def ignore(*_: object) -> None:
        """A process that is lost fails the call."""

    async with open_token(copy, command=COMMAND, files=places.files(base), report=ignore) as token:
        return await token.call(LOOK, Look(), deadline_seconds=_PATIENT_SECONDS)


@contextmanager
def _copy_of(config: NodeConfig) -> Generator[NodeConfig]:
    """Copy the token's files beside their place for a moment.  Raises OSError where that cannot be done."""
    file = Path(config.softhsm_config)
    tokens = _tokens_of(file)
    if tokens is None:
        text = f"{file} names no directory of tokens: restore it from its backup"
        raise TokenMissing(text)
    _remove_stale(file.parent)
    place = file.parent / f"{_PREFIX}{os.getpid()}"
    place.mkdir(mode=0o700)
    try:
        shutil.copytree(tokens, place / _TOKENS)
        copy = place / _CONFIGURATION
        copy.write_text(configuration_text(copy.absolute()))
        yield msgspec.structs.replace(config, softhsm_config=str(copy.absolute()))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    """Remove what a doctor that was killed has left."""
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)


def _tokens_of(file: Path) -> Path | None:
    """Give the directory that SoftHSM's configuration names; of one that we wrote, the one beside it."""
    text = file.read_text(errors="replace")
    if text.startswith(configuration_text(file.absolute()).splitlines()[0]):
        return file.parent / _TOKENS
    values = [line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("directories.tokendir")]
    return Path(values[0]) if values and values[0] else None


def _holds_something(file: Path) -> bool:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return False  # a pipe would be waited for
        with file.open("rb") as stream:
            return any(stream.read(4096))
    except FileNotFoundError:
        return False


def _torn(name: str, token: Path, directory: Path) -> Finding:
    kept = directory.with_name("tokens.kept") / f"{token.name}.{_OWN_FILE}"
    what = f"{token / _OWN_FILE} is empty: a process was killed while it logged in"
    if kept.is_file():
        return warn(name, what, "sottovoce serve puts back the copy that it has kept")
    return fail(name, what, _RESTORE)
