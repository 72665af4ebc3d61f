"""TLS by a real handshake, the ports the proxy wants, what a running one says of itself, and the backends."""

import errno
import os
from collections.abc import Iterable, Mapping
from typing import Final

import trio

from sottovoce.admin import Concern, Unanswered, ask_status, url_of
from sottovoce.app.control import NotThere, Unordered, find_admin
from sottovoce.app.doctor.findings import Finding, fail, ok, warn
from sottovoce.app.doctor.sockets import PROXY, Holder, bind_error, holder_of
from sottovoce.edge import parse_address
from sottovoce.pki import throwaway_identity
from sottovoce.relay import BackendDown, Route
from sottovoce.relay.link import BackendRoute
from sottovoce.relay.mux import MuxRoute
from sottovoce.settings import Configuration
from sottovoce.transport import PqPolicy, SelfTestFailed, TransportMisconfigured, self_test, server_context

_MAX_PRIVILEGED: Final = 1023
_NAMES: Final = {"hsm": "keys", "backend": "backend"}
_VERSIONS: Final = "install the versions that requirements.lock names: pip install --upgrade 'sottovoce[server]'"


def tls_findings(policies: Iterable[PqPolicy], openssl: str, wall: float) -> list[Finding]:
    """Shake hands with oneself under each policy, as a start does."""
    groups: dict[str, str] = {}
    for pq in policies:
        try:
            groups[pq.value] = self_test(server_context(throwaway_identity(wall), pq=pq))
        except (SelfTestFailed, TransportMisconfigured) as error:
            return [fail("tls", str(error).rpartition(": ")[0], _VERSIONS)]
    told = ", ".join(f"{group} (pq = {pq})" for pq, group in groups.items())
    return [ok("tls", f"OpenSSL {openssl} in a real handshake: TLS 1.3 with {told}")]


def port_findings(configuration: Configuration, running: Holder | None) -> list[Finding]:
    """See whether each address can be had, or is held by our own proxy."""
    wanted = {name: each.address for name, each in configuration.all_listeners().items()}
    wanted["admin"] = configuration.admin.address
    return [_port(name, address, running) for name, address in wanted.items()]


def _port(section: str, text: str, running: Holder | None) -> Finding:
    address = parse_address(text)
    name = f"port {section}"
    if address.port == 0:
        return ok(name, f"{text} takes a free one")
    another = f"sottovoce serve DIR --set {section}.address={address.host}:PORT"
    holder = holder_of(address.host, address.port)
    if holder is not None:
        if running is not None and holder.pid in {running.pid, 0}:
            return ok(name, f"{text} is held by the proxy that runs (pid {running.pid})")
        who = f"pid {holder.pid} ({holder.program})" if holder.pid else "a process of another user"
        end_it = f"kill {holder.pid}" if holder.pid else f"ss -ltnp 'sport = :{address.port}' as root names it"
        or_else = "" if holder.program == PROXY else f"; or end that ({end_it})"
        return fail(name, f"{text} is in use by {who}", f"take another port: {another}{or_else}")
    error = bind_error(address.host, address.port)
    if error is None:
        return ok(name, f"{text} is free")
    return fail(name, f"{text} cannot be had ({error.strerror})", _bind_remedy(error, address.port, another))


def _bind_remedy(error: OSError, port: int, another: str) -> str:
    if error.errno == errno.EACCES and port <= _MAX_PRIVILEGED:
        return f"AmbientCapabilities=CAP_NET_BIND_SERVICE in the service's unit, or a port above {_MAX_PRIVILEGED}"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this machine has that address: write one of `ip address`, or 0.0.0.0"
    return f"take another one: {another}"


def running_findings(configuration: Configuration, running: Holder | None) -> list[Finding]:
    """Ask the proxy that runs how it does: it alone knows of its token and its certificates."""
    if running is None:
        return [ok("proxy", "none runs over this directory")]
    try:
        found = find_admin(configuration)
        status = ask_status(url_of(found.admin))
    except NotThere:
        return [_unasked(running, "it is still starting, or serves with another process.ready_file (--set)")]
    except (Unanswered, Unordered) as error:
        return [_unasked(running, f"could not be asked: {str(error).partition(': ')[0]}")]
    told = [_concern(each) for each in status.concerns]
    if found.doubt:
        return [*told, _unasked(running, f"could not be asked itself ({found.doubt}); who was may be another's")]
    return [*told, ok("proxy", f"one runs (pid {status.pid}), {status.state}, with {status.calls.now} calls")]


def _unasked(running: Holder, why: str) -> Finding:
    remedy = "sottovoce status URL, with the URL of its admin address (event proxy.ready)"
    return warn("proxy", f"one runs (pid {running.pid}), and {why}", remedy)


def _concern(concern: Concern) -> Finding:
    """Give a proxy's concern as a line; one about what is looked at here too has that name, so that it stands once."""
    kind, _, which = concern.cause.partition(".")
    name = f"{_NAMES[kind]} {which}".strip() if kind in _NAMES else concern.cause
    is_failure = concern.severity == "unready" or (concern.severity == "degraded" and kind != "backend")
    return (fail if is_failure else warn)(name, concern.what, concern.remedy)


async def backend_findings(routes: Mapping[str, Route]) -> list[Finding]:
    """Dial each backend once, as for a call; one that is away is a warning: it may come later."""
    findings: list[Finding] = []

    async def reach(name: str, route: BackendRoute | MuxRoute) -> None:
        try:
            await route.reach()
        except BackendDown as error:
            remedy = f"start the backend, or correct routes.{name}.url; more: sottovoce explain {error.fault}"
            findings.append(warn(f"backend {name}", str(error), remedy))
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else "the system refused"
            findings.append(warn(f"backend {name}", why, f"correct routes.{name}.url"))
        else:
            findings.append(ok(f"backend {name}", "answers"))

    async with trio.open_nursery() as nursery:
        for name, route in routes.items():
            if isinstance(route, BackendRoute | MuxRoute):
                nursery.start_soon(reach, name, route)
    return findings or [ok("backends", "no route has one")]
