"""Who may read and write the directory, the room on its disk, and the audit log in it."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sottovoce.app.doctor.findings import Finding, fail, ok, told, warn
from sottovoce.audit import AuditBroken, AuditFailed, verify_audit

_PRIVATE: Final = ("secrets", "keys", "hsm", "audit")
_PUBLIC: Final = ("", "certs", "run", "sottovoce.toml", "certs/anchor.json")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_WRITERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MEGABYTE: Final = 1 << 20
_LEAST_FREE: Final = 64 * _MEGABYTE
_LITTLE_FREE: Final = 1024 * _MEGABYTE
MAX_VERIFIED_BYTES: Final = 256 * _MEGABYTE
"""A longer audit log is not read through here."""


def permission_findings(base: Path) -> list[Finding]:
    """See that nobody else reads secrets and nobody else writes anything."""
    findings = list(_open_ones(base))
    owner = base.stat().st_uid
    if owner != os.geteuid():
        what = f"{base} belongs to uid {owner}, and this is uid {os.geteuid()}"
        findings.append(warn("permissions", what, "run as its owner, as the proxy does"))
    return findings or [ok("permissions", "secrets are closed to others, and nobody else may write")]


def _open_ones(base: Path) -> Iterator[Finding]:
    for name in _PRIVATE:
        mode = _mode(base / name)
        if mode & _OTHERS:
            what = f"{base / name} is open to others (mode {mode:04o})"
            yield fail("permissions", what, f"chmod 700 {base / name}")
    for path in (*(base / name for name in _PUBLIC), *sorted(base.glob("certs/*.pem"))):
        mode = _mode(path)
        if mode & _WRITERS:
            yield fail("permissions", f"others may write {path} (mode {mode:04o})", f"chmod go-w {path}")


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0


def disk_findings(base: Path) -> list[Finding]:
    """See that there is room: without it no audit record can be written, and no call is let in."""
    free = shutil.disk_usage(base).free
    what = f"{free // _MEGABYTE} MiB are free on the disk of {base}"
    remedy = "make room: a proxy that cannot write its audit log takes no calls"
    if free < _LEAST_FREE:
        return [fail("disk", what, remedy)]
    if free < _LITTLE_FREE:
        return [warn("disk", what, remedy)]
    return [ok("disk", what)]


def audit_findings(path: Path) -> list[Finding]:
    """Verify the audit log, unless it is huge."""
    try:
        size = path.stat().st_size
        if size > MAX_VERIFIED_BYTES:
            what = f"{path} has {size // _MEGABYTE} MiB and was not read through; each start does that"
            return [warn("audit", what, "sottovoce audit verify DIR checks it, and takes its time")]
        report = verify_audit(path)
    except FileNotFoundError:
        return [fail("audit", f"{path} is missing", "restore it from its backup: it is the record of the token's keys")]
    except (AuditBroken, AuditFailed) as error:
        return [told("audit", error)]
    torn = f"; {report.torn_bytes} bytes of a last line are not finished" if report.torn_bytes else ""
    return [ok("audit", f"{report.records} records, the chain is whole, head {report.head[:16]}{torn}")]
