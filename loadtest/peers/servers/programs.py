"""Where a peer's program is, which version it has, and how it is had without installing it.

`install` fetches Debian's packages and unpacks them under `.venv/peers`: no service is made or started, nothing of the
system is changed, and no right is needed but to write there.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sottovoce.primitives import SottovoceError, one_line

UNPACKED = Path(sys.prefix) / "peers"
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_LIBRARIES = ("usr/lib", "lib")
_VERSION = re.compile(r"(?:version |nginx/)(\d+(?:\.\d+)+)")
_APT_SECONDS = 300


class InstallationFailed(SottovoceError):
    """A peer could not be fetched; the text says why and what to do instead."""


class Program(msgspec.Struct, frozen=True):
    """A peer that can run."""

    name: str
    path: str
    version: str
    environment: dict[str, str] | None = None
    """What it runs with; None: as this process."""


def remedy(name: str) -> str:
    """Say how to get a peer."""
    return (
        f"{name} is missing: apt-get install --no-install-recommends {name} (Debian starts it: systemctl disable --now "
        f"{name}), or --install, which unpacks it under {UNPACKED} and starts nothing"
    )


def find_program(name: str, unpacked: Path = UNPACKED) -> Program | None:
    """Look for a peer: on the PATH, where Debian keeps daemons, where `install` puts it; None without one that runs."""
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM))
    for path, environment in (
        (shutil.which(name, path=search), None),
        (shutil.which(name, path=str(unpacked / "usr/sbin")), _with_libraries(unpacked)),
    ):
        if path is not None and (version := _version(path, environment)) is not None:
            return Program(name, path, version, environment)
    return None


def install(name: str, unpacked: Path = UNPACKED) -> Program:
    """Fetch a peer and what it needs, unpack both.  Raises InstallationFailed."""
    apt_get, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt_get is None or dpkg_deb is None:
        raise InstallationFailed(f"--install fetches Debian packages, and apt-get is not here: install {name} yourself")
    with tempfile.TemporaryDirectory(prefix="sottovoce-peers-") as temporary:
        archives = Path(temporary)
        (archives / "partial").mkdir()
        options = ("-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={archives}")
        words = ("install", "--yes", "--quiet", "--no-install-recommends", "--download-only", name)
        _run(name, [apt_get, *options, *words])
        packages = sorted(archives.glob("*.deb"))
        if not packages:  # the system has it, in a state that does not run
            raise InstallationFailed(f"{name} is installed and does not run: apt-get install --reinstall {name}")
        unpacked.mkdir(parents=True, exist_ok=True)
        for package in packages:
            _run(name, [dpkg_deb, "-x", str(package), str(unpacked)])
    program = find_program(name, unpacked)
    if program is None:
        raise InstallationFailed(
            f"{name} was unpacked under {unpacked} and does not run there: "
            f"apt-get install --no-install-recommends {name}"
        )
    return program


def _run(name: str, command: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603  Debian's own tools
            command, capture_output=True, text=True, check=False, timeout=_APT_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        raise InstallationFailed(f"{name} could not be fetched in {_APT_SECONDS} s: try again, or install it") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        tool = Path(command[0]).name
        raise InstallationFailed(f"{name} could not be fetched: {tool}: {one_line(said)}: try apt-get update")


def _with_libraries(unpacked: Path) -> dict[str, str]:
    """The environment in which libraries that were unpacked are found, too."""
    roots = [unpacked / folder for folder in _LIBRARIES]
    folders = [str(each) for root in roots for each in (root, *sorted(root.glob("*-linux-gnu*")))]
    return os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(folders)}


def _version(path: str, environment: Mapping[str, str] | None) -> str | None:
    """Ask a program for its version; None for one that does not run."""
    try:
        done = subprocess.run(  # noqa: S603  a peer that was asked for
            [path, "-v"], capture_output=True, text=True, check=False, timeout=10, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout + done.stderr)
    return found[1] if done.returncode == 0 and found else None
