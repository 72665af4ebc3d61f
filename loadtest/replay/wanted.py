"""From what was asked for on the command line to a plan, with everything running that it needs."""

import ipaddress
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from loadtest.replay.audio import choose_recordings
from loadtest.replay.plan import FRAMES_PER_SECOND, SEALED_BYTES, SESSIONS_PER_SECOND, Kind, Plan, Target, Watched
from loadtest.replay.processes.crew import watched_of
from loadtest.replay.processes.looking import listeners_of
from loadtest.replay.processes.started import as_it_is, echo_backend, served_proxy
from loadtest.replay.routes import rate_problem
from loadtest.scenario.shape import Scenario
from sottovoce.app.wav import Recording
from sottovoce.client import Trust, trust_from_directory
from sottovoce.client.credentials import read_token
from sottovoce.client.trust import read_anchors, read_ca
from sottovoce.primitives import Secret

_RAW_ROUTE = "load"
_ECHO_ROUTE = "echo"

Say = Callable[[str], None]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `run` that decide what is done."""

    urls: tuple[str, ...] = ()
    config: Path | None = None
    routes: tuple[str, ...] = ()
    raw: bool = False
    changes: tuple[str, ...] = ()
    opaque: bool = False
    directory: Path | None = None
    anchor: Path | None = None
    ca: Path | None = None
    token: Path | None = None
    sessions: int = 10
    seconds: float = 10.0
    rate: float = FRAMES_PER_SECOND
    ramp: float = SESSIONS_PER_SECOND
    audio: Path | None = None
    tick: int = 0
    payload: int | None = None
    pin: bool = False
    scenario: Scenario | None = None
    """What decides in the place of `sessions`, `seconds`, `rate`, `ramp`, `tick` and `audio`."""

    def usage_problem(self) -> str | None:
        """Say what does not go together; None if all does."""
        if bool(self.urls) is (self.config is not None):
            return "give --url URL of a proxy that runs, or --config F to have one served"
        if not all(map(math.isfinite, (self.seconds, self.rate, self.ramp))):
            return "--seconds, --rate and --ramp want numbers that end"
        if not self.opaque and self.scenario is None and (problem := rate_problem(self.rate)):
            return f"--rate: {problem}"
        if self.config is None and (self.routes or self.raw or self.changes):
            return "--route, --raw and --set are for a proxy that is served for the run: give --config"
        if self.opaque and (self.config is not None or self.anchor or self.token or self.audio):
            return "--opaque sends messages to --url as they are: it takes --ca and --payload, and none of the rest"
        if self.payload is not None and not self.opaque:
            return "--payload is the size of the messages of --opaque: a call's frames have their own"
        if self.scenario is not None and self.opaque:
            return "a scenario is of calls, which --opaque has not"
        if self.scenario is not None and self.scenario.outages and not (self.config is not None and self.raw):
            return "the scenario takes the backend away: give --config F with --raw, so that it is ours"
        if self.urls and not self.opaque and (self.directory is None) is (self.anchor is None):
            return "give --dir DIR (made by sottovoce init), or --anchor FILE"
        return None


def prepare(wanted: Wanted, stack: ExitStack, say: Say) -> Plan:
    """Start what is to be started, on `stack`, and read every file.  Raises SottovoceError.

    `say` is told of recordings that are not used, and of what is not permitted here.
    """
    recordings = _recordings(wanted, say)
    token = None if wanted.token is None else _wiped_in_the_end(read_token(wanted.token), stack)
    wrap_server, wrap_backend = _pinned(stack, say) if wanted.pin else (as_it_is, as_it_is)
    watched, urls, switch = Watched(), wanted.urls, None
    if wanted.config is not None:
        changes = list(wanted.changes)
        routes = list(wanted.routes) or [] if wanted.raw else list(wanted.routes) or [_ECHO_ROUTE]
        backends: tuple[int, ...] = ()
        if wanted.raw:
            switch = backend = stack.enter_context(echo_backend(wrap_backend))
            changes += [f"routes.{_RAW_ROUTE}.adapter=raw", f"routes.{_RAW_ROUTE}.url={backend.url}"]
            if wanted.scenario is not None and wanted.scenario.takes_turns:
                changes.append(f"routes.{_RAW_ROUTE}.raw.header=true")
            routes, backends = [*routes, _RAW_ROUTE], (backend.pid,)
        proxy = stack.enter_context(served_proxy(wanted.config, changes, wrap_server))
        port = proxy.addresses[0].rpartition(":")[2]
        urls = tuple(f"wss://localhost:{port}/{route}" for route in routes)
        watched = msgspec.structs.replace(proxy.watched, backend=backends)
    else:
        watched = watched_behind(wanted)
    plan = Plan(
        targets=tuple(_targets(wanted, urls, token)),
        sessions=wanted.sessions,
        seconds=wanted.seconds,
        frames_per_second=wanted.rate,
        tick_us=wanted.tick,
        sessions_per_second=wanted.ramp,
        payload_bytes=wanted.payload or SEALED_BYTES,
        recordings=recordings,
        watched=watched,
        backend=switch,
    )
    return plan if wanted.scenario is None else _with_scenario(plan, wanted.scenario)


def _with_scenario(plan: Plan, scenario: Scenario) -> Plan:
    """Give the same run, of which a scenario decides what is done."""
    groups = scenario.plan_groups()
    return msgspec.structs.replace(
        plan,
        sessions=scenario.calls,
        seconds=scenario.seconds,
        frames_per_second=groups[0].frames_per_second,
        tick_us=scenario.tick_us,
        warm_up_seconds=scenario.warm_up_seconds,
        groups=groups,
        phases=scenario.plan_phases(),
        outages=scenario.plan_outages(),
        about=scenario.about,
    )


def target_of(wanted: Wanted) -> Target:
    """Give the first of the targets that are called with what a directory is trusted for.  Raises SottovoceError."""
    return _targets(wanted, wanted.urls, None)[0]


def _recordings(wanted: Wanted, say: Say) -> tuple[Recording, ...]:
    if wanted.audio is None:
        return ()
    chosen = choose_recordings(wanted.audio)
    for line in chosen.skipped:
        say(line)
    return chosen.recordings


def _targets(wanted: Wanted, urls: Sequence[str], token: Secret | None) -> list[Target]:
    if wanted.opaque:
        ca = None if wanted.ca is None else read_ca(wanted.ca)
        return [Target(url=url, kind=Kind.OPAQUE, ca=ca) for url in urls]
    trust = _trust(wanted)
    ca = trust.ca or None
    return [Target(url=url, anchors=trust.anchors, ca=ca, token=token) for url in urls]


def _trust(wanted: Wanted) -> Trust:
    directory = wanted.directory
    if directory is None and wanted.config is not None and wanted.anchor is None:
        directory = wanted.config if wanted.config.is_dir() else wanted.config.parent
    if directory is not None:
        found = trust_from_directory(directory)
        return found if wanted.ca is None else Trust(found.anchors, read_ca(wanted.ca))
    if wanted.anchor is None:  # which `usage_problem` has refused
        return Trust((), b"")
    return Trust(read_anchors(wanted.anchor), b"" if wanted.ca is None else read_ca(wanted.ca))


def watched_behind(wanted: Wanted) -> Watched:
    """Find the processes behind URLs of this machine, as far as they may be looked at."""
    ports = {port for url in wanted.urls if (port := _port_here(url))}
    listeners = tuple(sorted({pid for port in ports for pid in listeners_of(port)}))
    return Watched(proxy=listeners) if wanted.opaque else watched_of(listeners)


def _port_here(url: str) -> int | None:
    """Give the port of a URL of this machine; None for others, and for what is no URL, which whoever calls it says."""
    try:
        parts = urlsplit(url)
        is_here = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
        port = parts.port
    except ValueError:
        return None
    return port if is_here else None


def _pinned(stack: ExitStack, say: Say) -> tuple[Callable[[Sequence[str]], list[str]], ...]:
    """Give how servers and backends are started; this process is the generator's until the stack unwinds."""
    from loadtest.peers.servers.cores import find_cores  # noqa: PLC0415  a run that is not pinned needs none of it

    cores = find_cores()
    for remark in cores.remarks:
        say(remark)
    stack.enter_context(cores.as_generator())
    return cores.for_server, cores.for_backend


def _wiped_in_the_end(token: Secret, stack: ExitStack) -> Secret:
    stack.callback(token.wipe)
    return token
