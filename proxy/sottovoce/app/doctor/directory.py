"""What is looked at on the machine that the proxy runs on, and in what order each thing rests on others."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from sottovoce.app.checking import build_routes, check_loaded
from sottovoce.app.doctor.certificates import anchor_findings, certificate_findings
from sottovoce.app.doctor.files import audit_findings, disk_findings, permission_findings
from sottovoce.app.doctor.findings import Check, Finding, Look, Report, examine, fail, ok, warn
from sottovoce.app.doctor.host import Machine, read_machine, under_limits_of
from sottovoce.app.doctor.machine import machine_findings
from sottovoce.app.doctor.network import backend_findings, port_findings, running_findings, tls_findings
from sottovoce.app.doctor.sockets import Holder, locker_of
from sottovoce.app.doctor.token import key_findings, module_findings, pin_findings, token_findings
from sottovoce.app.places import ANCHOR_KEY, ANCHOR_LIST, ANCHORS, CA_CERTIFICATE, ISSUING, SERVING_KEY
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem, load
from sottovoce.transport import PqPolicy

if TYPE_CHECKING:
    from sottovoce.app.doctor.token_child import Looked

_USUAL_CALLS: Final = 1_000
"""For a machine without a configuration."""
_OWNERS: Final = {
    "hsm.pin_file": "pin",
    "hsm.module": "softhsm",
    "hsm.softhsm_config": "token",
    "audit.file": "audit",
    SERVING_KEY: "keys",
    ANCHOR_KEY: "keys",
    ANCHOR_LIST: "keys",
    ISSUING: "certificates",
    CA_CERTIFICATE: "certificates",
    ANCHORS: "anchor",
}
"""Which finding a problem of the configuration's check belongs to; all others are the configuration's own."""
_SHOWN_PROBLEMS: Final = 5


async def examine_machine(machine: Machine | None = None) -> Report:
    """Look at the machine alone."""
    seen = machine or read_machine()
    return await examine(
        [
            Check("machine", _now(lambda: machine_findings(seen, _USUAL_CALLS))),
            Check("tls", _now(lambda: tls_findings([PqPolicy.REQUIRE], seen.openssl, seen.wall)), ("libraries",)),
        ]
    )


async def examine_directory(file: Path, machine: Machine | None = None) -> Report:
    """Look at the machine and at the directory whose configuration is `file`."""
    seen = machine or read_machine()
    try:
        configuration = load(file)
    except ConfigurationInvalid as error:
        broken = _problem_findings("configuration", error.problems)
        rest = [
            Check(name, _now(list), ("configuration",)) for name in ("pin", "token", "keys", "certificates", "ports")
        ]
        return await examine(
            [
                Check("machine", _now(lambda: machine_findings(seen, _USUAL_CALLS))),
                Check("configuration", _now(lambda: broken)),
                *rest,
            ]
        )
    return await examine(_Directory(file, configuration, seen).checks())


class _Directory:
    """A directory whose configuration can be read."""

    def __init__(self, file: Path, configuration: Configuration, machine: Machine) -> None:
        self._file = file
        self._base = file.absolute().parent
        self._configuration = configuration
        self._running: Holder | None = locker_of(Path(configuration.audit.file))
        self._machine = machine if self._running is None else under_limits_of(machine, self._running.pid)
        self._looked: Looked | None = None
        self._told_of_keys: list[Finding] = []
        problems = check_loaded(configuration, file)
        self._notes = problems.notes
        self._problems: dict[str, list[Problem]] = {}
        for each in problems.problems:
            self._problems.setdefault(_OWNERS.get(each.path, "configuration"), []).append(each)

    def checks(self) -> list[Check]:
        """Give the checks, each behind what it rests on."""
        hsm, base, wall = self._configuration.hsm, self._base, self._machine.wall
        listeners = self._configuration.all_listeners().values()
        calls, policies = sum(each.max_connections for each in listeners), dict.fromkeys(each.pq for each in listeners)
        audit = Path(self._configuration.audit.file)
        return [
            Check("machine", _now(lambda: machine_findings(self._machine, calls))),
            Check("tls", _now(lambda: tls_findings(policies, self._machine.openssl, wall)), ("libraries",)),
            Check("configuration", _now(self._configuration_findings)),
            Check("proxy", _now(self._proxy_findings)),
            Check("permissions", _now(lambda: permission_findings(base))),
            Check("disk", _now(lambda: disk_findings(base))),
            self._check("audit", lambda: audit_findings(audit)),
            self._check("softhsm", lambda: module_findings(hsm)),
            self._check("token", lambda: token_findings(hsm)),
            self._check("pin", lambda: pin_findings(hsm)),
            Check("keys", self._key_findings, ("libraries", "softhsm", "token", "pin")),
            self._check("certificates", lambda: certificate_findings(base, wall)),
            Check("anchor", _now(self._anchor_findings), ("softhsm", "token", "pin", "keys")),
            Check("ports", _now(lambda: port_findings(self._configuration, self._running))),
            Check("backends", self._backend_findings, ("configuration",)),
        ]

    def _check(self, name: str, look: Callable[[], Iterable[Finding]], rests_on: tuple[str, ...] = ()) -> Check:
        """Say what the configuration's check has against a thing, and look at it only if that is nothing."""
        problems = self._problems.get(name)
        return Check(name, _now(lambda: _problem_findings(name, problems) if problems else look()), rests_on)

    def _configuration_findings(self) -> Iterable[Finding]:
        problems = self._problems.get("configuration", [])
        notes = [warn("configuration", *_in_two(note)) for note in self._notes]
        how = "" if self._running is None else f"; a proxy runs over it (pid {self._running.pid})"
        return [*_problem_findings("configuration", problems), *notes] or [
            ok("configuration", f"{self._file} holds{how}")
        ]

    async def _key_findings(self) -> Iterable[Finding]:
        if problems := self._problems.get("keys"):
            return _problem_findings("keys", problems)
        findings, self._looked = await key_findings(self._configuration.hsm, self._base, self._running)
        return [*findings, *self._told_of_keys]

    def _proxy_findings(self) -> Iterable[Finding]:
        """Ask a proxy that runs; what it says of its token is kept for where that may have a cause of its own."""
        told = running_findings(self._configuration, self._running)
        self._told_of_keys = [each for each in told if each.name == "keys"]
        return [each for each in told if each.name != "keys"]

    def _anchor_findings(self) -> Iterable[Finding]:
        if problems := self._problems.get("anchor"):
            return _problem_findings("anchor", problems)
        return anchor_findings(self._base, self._configuration.identity.names, self._looked)

    async def _backend_findings(self) -> Iterable[Finding]:
        return await backend_findings(build_routes(self._configuration, self._file))


def _now(look: Callable[[], Iterable[Finding]]) -> Look:
    """Make an asynchronous look of one that waits for nothing but the disk."""

    async def looked() -> Iterable[Finding]:
        await trio.lowlevel.checkpoint()
        return look()

    return looked


def _problem_findings(name: str, problems: Iterable[Problem]) -> list[Finding]:
    every = list(problems)
    findings = [
        fail(name, each.reason if name != "configuration" else f"{each.path}: {each.reason}", each.remedy)
        for each in every[:_SHOWN_PROBLEMS]
    ]
    if len(every) > _SHOWN_PROBLEMS:
        findings.append(fail(name, f"{len(every) - _SHOWN_PROBLEMS} more", "sottovoce check DIR names them all"))
    return findings


def _in_two(note: str) -> tuple[str, str]:
    happened, _, remedy = note.rpartition("; ")
    return (happened, remedy) if happened else (note, "see docs/threats.md")
