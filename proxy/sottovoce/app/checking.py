"""What can be said of a configuration without starting anything: `sottovoce check`, and the first step of `serve`."""

import os
import re
import stat
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec

from sottovoce.app.places import (
    ANCHORS,
    CA_CERTIFICATE,
    SERVING_LIST,
    TokenPlaces,
    shown,
    token_places,
)
from sottovoce.hsm import HsmConfig
from sottovoce.hsm.seal import SealDamaged, SealStore
from sottovoce.identity import (
    Clients,
    ClientsUnusable,
    IdentityError,
    ServingKeysUnusable,
    check_authorities,
    issuing_anchor,
    load_anchors,
    load_ring,
    load_serving_keys,
    read_clients,
)
from sottovoce.pki import PkiError, check_root_certificate, general_names, read_issuing_certificate
from sottovoce.relay import Route, RouteMisconfigured, build_route
from sottovoce.settings import Configuration, ConfigurationInvalid, Problem, find_file, load
from sottovoce.transport import SystemClock, SystemEntropy, TransportMisconfigured, refuse_tls_environment

_RESTORE = "restore it from its backup, or make a new directory with: sottovoce init DIR"
_WITH_REMEDY = re.compile(r"(.*)[:;] ((?:ask|check|renew|restore|write) .*)")
_REMEDIES = {
    "identity.names": "write each name that clients use once, and fewer of them",
    "clients": "write it as docs/credentials.md tells",
}
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_READY = re.compile(rb"(?:(?:[\d.]+|\[[^]\s]+\]):\d+\n)*")
_MAX_READY_BYTES = 65_536


class CheckReport(msgspec.Struct, frozen=True):
    """What is wrong, and what an operator should know although it is not."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    of_tokens: tuple[Problem, ...] = ()
    """What is wrong with some tokens while another one is well: the proxy starts without them."""


def check(place: Path, changes: Iterable[str] = ()) -> CheckReport:
    """Check a directory's configuration and the files it names.  Raises ConfigurationInvalid if it cannot be read."""
    file = find_file(place)
    return check_loaded(load(file, changes), file)


def check_loaded(configuration: Configuration, file: Path) -> CheckReport:
    """Check a configuration that was read from `file`."""
    base = file.absolute().parent
    if special := tuple(_special_files(configuration, base)):
        return CheckReport(special, ())
    sealed, problem = _sealed_nodes(configuration.hsm)
    of_tokens = [tuple(_files(each, base, sealed)) for each in token_places(configuration.hsm)]
    lame = tuple(problem for problems in of_tokens for problem in problems)
    is_served = not all(of_tokens)
    problems = [
        *_environment(configuration),
        *problem,
        *(() if is_served else lame),
        *_ready_file(configuration),
        *_names(configuration),
        *_contents(configuration, base),
    ]
    notes = [f"hsm.{finding}" for finding in configuration.hsm.findings]
    try:
        for route in build_routes(configuration, file).values():
            notes += route.warnings
    except ConfigurationInvalid as error:
        problems += error.problems
    return CheckReport(tuple(problems), tuple(notes), lame if is_served else ())


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


def read_credentials(configuration: Configuration) -> Clients:
    """Give the judge of clients' credentials.  Raises ClientsUnusable."""
    return read_clients(configuration.clients, SystemClock().wall, SystemEntropy())


def _special_files(configuration: Configuration, base: Path) -> Iterable[Problem]:
    """Find pipes and devices where files belong: whoever opens one may wait for ever, so they come before all else."""
    wanted = {"audit.file": Path(configuration.audit.file)}
    if (seal := configuration.hsm.seal) is not None:
        wanted["hsm.seal.file"] = Path(seal.file)
    for each in token_places(configuration.hsm):
        for path in (each.serving_seed, each.anchor_seed, each.anchor_list, each.issuing):
            wanted[shown(path, base)] = path
        if (softhsm := each.config.softhsm_file) is not None:
            wanted[f"{each.section}.softhsm_config"] = softhsm
    wanted |= {name: base / name for name in (CA_CERTIFICATE, ANCHORS, SERVING_LIST)}
    for key, path in wanted.items():
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # `_files` and `_contents` tell
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            yield Problem(key, f"{path} is a pipe or a device, and no file", _RESTORE)


def _sealed_nodes(hsm: HsmConfig) -> tuple[frozenset[str] | None, tuple[Problem, ...]]:
    """Give the tokens whose PINs are sealed, None where there is no seal, and what is wrong with the seal.

    Of one that cannot be read all are said to be: the one problem is enough.
    """
    if hsm.seal is None:
        return None, ()
    try:
        record = SealStore(Path(hsm.seal.file), Path(hsm.seal.state_file)).read_record()
    except SealDamaged as error:
        what, _, _ = str(error).partition(": restore")
        problem = Problem("hsm.seal.file", what, "restore it from its backup: the shares open nothing else")
        return frozenset(hsm.all_nodes), (problem,)
    return frozenset(record.pins), ()


def _files(places: TokenPlaces, base: Path, sealed: frozenset[str] | None) -> Iterable[Problem]:
    """Look for what a token's process and clients read; `sealed`: whose PINs are, None without a seal."""
    node, section = places.config, places.section
    pin, module = f"{section}.pin_file", f"{section}.module"
    wanted = {} if node.pin_path is None or sealed is not None else {pin: node.pin_path}
    if sealed is not None and places.name not in sealed:
        yield Problem(section, "the PIN of this token is not among the sealed ones", "make a new seal, of all tokens")
    if node.module:
        wanted[module] = Path(node.module)
    elif node.softhsm_file is not None:
        wanted[f"{section}.softhsm_config"] = node.softhsm_file
    for path in (places.serving_seed, _anchor_seed(places)):
        wanted[shown(path, base)] = path
    for key, path in wanted.items():
        try:
            mode = path.stat().st_mode
        except OSError as error:
            remedy = "write the path of your HSM's PKCS#11 library" if key == module else _RESTORE
            yield Problem(key, f"{path} cannot be read ({error.strerror})", remedy)
            continue
        if not os.access(path, os.R_OK):
            yield Problem(key, f"{path} cannot be read", "run as the user who owns it")
        elif key == pin and mode & _OPEN_TO_OTHERS:
            reason = f"{path} is open to others (mode {stat.S_IMODE(mode):04o})"
            yield Problem(key, reason, f"chmod 600 {path}")


def _anchor_seed(places: TokenPlaces) -> Path:
    """Give the sealed seed of the anchor that issues; of a list that cannot be read `_contents` tells."""
    try:
        return issuing_anchor(places.anchor_list)[1]
    except IdentityError:
        return places.anchor_seed


def _ready_file(configuration: Configuration) -> Iterable[Problem]:
    """See to it that what a start removes is a ready file, and not a PIN or a device because of a slip of the pen."""
    path = Path(configuration.process.ready_file)
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            with path.open("rb") as stream:
                if _READY.fullmatch(stream.read(_MAX_READY_BYTES)):
                    return
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{path} cannot be written ({error.strerror})"
        yield Problem("process.ready_file", reason, "give a path in a directory that may be written to")
        return
    yield Problem("process.ready_file", f"{path} is there and is no ready file", "give another path, or move it away")


def _names(configuration: Configuration) -> Iterable[Problem]:
    """See whether certificates can be made out for the names."""
    for check_names in (general_names, check_authorities):
        try:
            check_names(configuration.identity.names)
        except (PkiError, IdentityError) as error:
            yield _told("identity.names", error)
            return


def _contents(configuration: Configuration, base: Path) -> Iterable[Problem]:
    told: set[str] = set()
    places = token_places(configuration.hsm)
    readers: list[tuple[str, Callable[[], object]]] = []
    for each in places:
        name = shown(each.issuing, base)
        readers += [
            (name, partial(read_issuing_certificate, each.issuing)),
            (CA_CERTIFICATE, partial(_check_root, base / CA_CERTIFICATE, each.issuing, name)),
        ]
    readers.append((ANCHORS, lambda: load_anchors(base / ANCHORS)))
    readers += [(shown(each.anchor_list, base), partial(load_ring, each.anchor_list)) for each in places]
    readers.append((SERVING_LIST, lambda: _check_serving_keys(base / SERVING_LIST, [each.name for each in places])))
    readers.append(("clients", lambda: read_credentials(configuration)))
    for key, read in readers:
        try:
            read()
        except (PkiError, IdentityError) as error:
            if str(error) not in told:  # of the two that read the issuing certificate, one is enough
                told.add(str(error))
                yield _told(key, error)


def _check_root(root: Path, issuing: Path, name: str) -> None:
    check_root_certificate(root, read_issuing_certificate(issuing), name)


def _check_serving_keys(path: Path, names: list[str]) -> None:
    """See that every token is known to the others.  Raises ServingKeysUnusable."""
    listed = load_serving_keys(path)
    if listed is None and len(names) == 1:
        return
    missing = [name for name in names if name not in (listed or {})]
    if missing:
        what = "is not there" if listed is None else f"does not hold the keys of token {', '.join(missing)}"
        text = f"the list of serving keys {path} {what}: restore it from its backup"
        raise ServingKeysUnusable(text)


def _environment(configuration: Configuration) -> Iterable[Problem]:
    try:
        refuse_tls_environment(os.environ, allowed=configuration.process.allow_tls_environment)
    except TransportMisconfigured as error:
        reason = str(error).rpartition(": ")[0]
        yield Problem("process.allow_tls_environment", reason, "unset it, or set this to true")


def _told(key: str, error: PkiError | IdentityError) -> Problem:
    """Take one of our lines apart, where it ends in a remedy."""
    remedy = _REMEDIES.get(key, _RESTORE)
    if isinstance(error, ClientsUnusable):
        key = f"{key}.{error.key}"
    match = _WITH_REMEDY.fullmatch(str(error))
    return Problem(key, match[1], match[2]) if match else Problem(key, str(error), remedy)
