"""What can be said of a configuration without starting anything: `sottovoce check`, and the first step of `serve`."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sottovoce.relay import Route, RouteMisconfigured, build_route
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem, find_file, load
from sottovoce.transport import TransportMisconfigured, refuse_tls_environment


class CheckReport(msgspec.Struct, frozen=True):
    """What is wrong, and what an operator should know although it is not."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def check(place: Path, changes: Iterable[str] = ()) -> CheckReport:
    """Check a directory's configuration and the files it names.  Raises ConfigurationInvalid if it cannot be read."""
    file = find_file(place)
    return check_loaded(load(file, changes), file)


def check_loaded(configuration: Configuration, file: Path) -> CheckReport:
    """Check a configuration that was read from `file`."""
    problems = [*_missing_files(configuration, file), *_environment(configuration)]
    notes: list[str] = []
    try:
        for route in build_routes(configuration, file).values():
            notes += route.warnings
    except ConfigurationInvalid as error:
        problems += error.problems
    return CheckReport(tuple(problems), tuple(notes))


def build_routes(configuration: Configuration, file: Path) -> dict[str, Route]:
    """Build every route.  Raises ConfigurationInvalid with all that are wrong."""
    routes: dict[str, Route] = {}
    problems: list[Problem] = []
    for name, route in configuration.routes.items():
        try:
            routes[name] = build_route(name, route, directory=file.absolute().parent)
        except RouteMisconfigured as error:
            reason = str(error).removeprefix(f"{error.path}: ").removesuffix(f"; {error.remedy}")
            problems.append(Problem(error.path, reason, error.remedy))
    if problems:
        raise ConfigurationInvalid(problems)
    return routes


def _missing_files(configuration: Configuration, file: Path) -> Iterable[Problem]:
    base = file.absolute().parent
    wanted = {
        "hsm.pin_file": Path(configuration.hsm.pin_file),
        "certs/anchor.json": base / "certs/anchor.json",
        "certs/ca.pem": base / "certs/ca.pem",
    }
    if configuration.hsm.module:
        wanted["hsm.module"] = Path(configuration.hsm.module)
    elif configuration.hsm.softhsm_config:
        wanted["hsm.softhsm_config"] = Path(configuration.hsm.softhsm_config)
    if configuration.identity.tokens_file:
        wanted["identity.tokens_file"] = Path(configuration.identity.tokens_file)
    for key, path in wanted.items():
        if not os.access(path, os.R_OK):
            reason = f"{path} cannot be read" if path.exists() else f"{path} is not there"
            yield Problem(key, reason, "restore it, or make a new directory with: sottovoce init DIR")


def _environment(configuration: Configuration) -> Iterable[Problem]:
    try:
        refuse_tls_environment(os.environ, allowed=configuration.process.allow_tls_environment)
    except TransportMisconfigured as error:
        yield Problem("process.allow_tls_environment", str(error), "or set it to true")
