"""What is looked at on the machine that the proxy runs on, and in what order each thing rests on others."""

from collections.abc import Callable, Iterable
from functools import partial
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
from sottovoce.app.doctor.token import TokenNames, key_findings, module_findings, pin_findings, token_findings
from sottovoce.app.places import ANCHORS, CA_CERTIFICATE, SERVING_LIST, TokenPlaces, shown, token_places
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem, load
from sottovoce.transport import PqPolicy

if TYPE_CHECKING:
    from sottovoce.app.doctor.token_child import Looked

_USUAL_CALLS: Final = 1_000
"""For a machine without a configuration."""
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
        self._tokens = token_places(configuration.hsm)
        self._names = {each.name: TokenNames.of(each) for each in self._tokens}
        self._looked: dict[str, Looked] = {}
        self._told_of_keys: list[Finding] = []
        problems = check_loaded(configuration, file)
        self._notes = problems.notes
        self._problems: dict[str, list[Problem]] = {}
        owners = self._owners()
        for each in (*problems.problems, *problems.of_tokens):
            self._problems.setdefault(owners.get(each.path, "configuration"), []).append(each)

    def _owners(self) -> dict[str, str]:
        """Give which finding a problem of the configuration's check belongs to; others are the configuration's own."""
        owners = {"audit.file": "audit", CA_CERTIFICATE: "certificates", ANCHORS: "anchor", SERVING_LIST: "keys"}
        for each in self._tokens:
            names = self._names[each.name]
            owners |= {
                f"{each.section}.pin_file": names.pin,
                f"{each.section}.module": names.softhsm,
                f"{each.section}.softhsm_config": names.token,
                shown(each.issuing, self._base): "certificates",
            }
            sealed = (each.serving_seed, each.anchor_seed, each.anchor_list)
            owners |= {shown(path, self._base): names.keys for path in sealed}
        return owners

    def checks(self) -> list[Check]:
        """Give the checks, each behind what it rests on."""
        base, wall = self._base, self._machine.wall
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
            *(check for each in self._tokens for check in self._token_checks(each)),
            self._check("certificates", lambda: certificate_findings(base, self._tokens, wall)),
            Check("anchor", _now(self._anchor_findings), self._anchor_rests_on()),
            Check("ports", _now(lambda: port_findings(self._configuration, self._running))),
            Check("backends", self._backend_findings, ("configuration",)),
        ]

    def _token_checks(self, places: TokenPlaces) -> Iterable[Check]:
        """Give those of one token."""
        config, names = places.config, self._names[places.name]
        yield self._check(names.softhsm, lambda: module_findings(config, names))
        yield self._check(names.token, lambda: token_findings(config, names))
        yield self._check(names.pin, lambda: pin_findings(config, names, self._configuration.hsm.seal))
        rests_on = ("libraries", names.softhsm, names.token, names.pin)
        yield Check(names.keys, partial(self._key_findings, places, names), rests_on)

    def _anchor_rests_on(self) -> tuple[str, ...]:
        """Of several tokens one that cannot be looked at keeps nobody from looking at the anchors of the others."""
        return tuple(self._names[self._tokens[0].name]) if len(self._tokens) == 1 else ()

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

    async def _key_findings(self, places: TokenPlaces, names: TokenNames) -> Iterable[Finding]:
        if problems := [*self._problems.get(names.keys, ()), *self._problems.get("keys", ())]:
            return _problem_findings(names.keys, dict.fromkeys(problems))
        findings, looked = await key_findings(self._configuration.hsm, places, names, self._base, self._running)
        if looked is not None:
            self._looked[places.name] = looked
        return [*findings, *(each for each in self._told_of_keys if each.name == names.keys)]

    def _proxy_findings(self) -> Iterable[Finding]:
        """Ask a proxy that runs; what it says of a token is kept for where that may have a cause of its own."""
        told = running_findings(self._configuration, self._running)
        of_keys = {names.keys for names in self._names.values()}
        self._told_of_keys = [each for each in told if each.name in of_keys]
        return [each for each in told if each.name not in of_keys]

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
