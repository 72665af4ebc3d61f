"""From a plan's targets and groups to sessions: names looked up, settings made once for all that share them."""

import socket
from itertools import count
from urllib.parse import urlsplit

import msgspec

from loadtest.replay.agenda import Rhythm
from loadtest.replay.book import Book
from loadtest.replay.errors import PlanRefused
from loadtest.replay.plan import Group, Kind, Plan, Target
from loadtest.replay.speech import Speech, speeches
from loadtest.replay.streams import NUMBER_BYTES, Endpoint, OpaqueAddress, OpaqueStream, Stream, VoiceStream
from sottovoce.client.settings import CallOptions, CallSettings, settings_for
from sottovoce.primitives import one_line
from sottovoce.transport import PqPolicy, RecordLayer, TlsContext, client_context

_FRAME_MS = (10, 20, 40, 60)
_NEAR = 0.01
_CONNECT_SECONDS = 2.0


def frame_milliseconds(frames_per_second: float) -> int:
    """Give the duration of a voice frame at a rate.  Raises PlanRefused where none has it."""
    for each in _FRAME_MS:
        if abs(frames_per_second * each / 1000 - 1) < _NEAR:
            return each
    raise PlanRefused(f"a call has 100, 50, 25 or 16.67 frames a second, not {frames_per_second:g}: choose one of them")


def rate_problem(frames_per_second: float) -> str | None:
    """Say why no call has so many frames a second; None if there are such calls."""
    try:
        frame_milliseconds(frames_per_second)
    except PlanRefused as error:
        return str(error)
    return None


def books_of(plan: Plan) -> list[tuple[str, str]]:
    """Give what is counted apart: each group at each target, in the order in which `Routes` has them."""
    return [(target.url, group.name) for group in plan.all_groups for target in plan.targets]


class Routes:
    """Makes sessions: a group's first for the first target, the next for the next, and round again."""

    def __init__(self, plan: Plan, book: Book) -> None:
        """Raises PlanRefused, or CallMisconfigured, for what cannot be called at all."""
        if not plan.targets:
            raise PlanRefused("there is nothing to call: give a URL")
        if plan.sessions < 1 or plan.seconds <= 0 or plan.frames_per_second <= 0 or plan.sessions_per_second <= 0:
            raise PlanRefused("sessions, seconds and rates are above 0: give such numbers")
        self._book = book
        self._sessions = count()
        self._endpoints: dict[tuple[str, int], Endpoint] = {}
        self._makers = [
            _Opaque(target, plan, self) if target.kind is Kind.OPAQUE else _Voice(target, plan, group, self)
            for group in plan.all_groups
            for target in plan.targets
        ]
        self._rhythms = [_rhythm(group) for group in plan.all_groups]
        self._turns = [count() for _ in plan.all_groups]
        self._targets = len(plan.targets)

    def begin(self, group: int) -> tuple[Stream, Endpoint]:
        """Make the next session of a group, by its place, and say where it is to connect to."""
        number = next(self._sessions)
        turn = next(self._turns[group])
        index = group * self._targets + turn % self._targets
        maker = self._makers[index]
        stream = maker.make(number, turn, self._book, index, self._rhythms[group])
        return stream, maker.endpoint

    def endpoint(self, host: str, port: int) -> Endpoint:
        """Look a name up, once."""
        if (host, port) not in self._endpoints:
            self._endpoints[host, port] = find_endpoint(host, port)
        return self._endpoints[host, port]


def _rhythm(group: Group) -> Rhythm:
    period = 1 / group.frames_per_second
    if not group.talks_seconds:
        return Rhythm(period)
    return Rhythm(period, max(1, round(group.talks_seconds / period)), max(1, round(group.pauses_seconds / period)))


def _context(host: str, target: Target) -> TlsContext:
    """Give settings for TLS whose records cost the generator little, and no memory to speak of."""
    return client_context(host, pq=PqPolicy.PREFER, ca_pem=target.ca, records=RecordLayer.OWN)


class _Voice:
    def __init__(self, target: Target, plan: Plan, group: Group, routes: Routes) -> None:
        self._milliseconds = frame_milliseconds(group.frames_per_second)
        self._target = target
        self._speeches = speeches(group.codec, self._milliseconds, plan.recordings)
        self._settings = [self._settings_for(speech) for speech in self._speeches]
        address = self._settings[0].address
        self.endpoint = routes.endpoint(address.host, address.port)

    def _settings_for(self, speech: Speech) -> CallSettings:
        target = self._target
        options = CallOptions(
            anchor=target.anchors,
            ca=target.ca,
            token=target.token,
            codec=speech.codec,
            frame_ms=self._milliseconds,
        )
        settings = settings_for(target.url, options)
        return msgspec.structs.replace(settings, tls=_context(settings.address.host, target))

    def make(self, number: int, turn: int, book: Book, index: int, rhythm: Rhythm) -> Stream:
        """Make a session."""
        which = turn % len(self._speeches)
        tails, settings = self._speeches[which].tails, self._settings[which]
        return VoiceStream(number, book.routes[index], book, tails, settings, rhythm)


class _Opaque:
    def __init__(self, target: Target, plan: Plan, routes: Routes) -> None:
        no_url = f"{one_line(target.url)} is no URL of a WebSocket: write it as wss://host:port/path"
        try:
            parts = urlsplit(target.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise PlanRefused(no_url) from None
        if parts.scheme not in {"ws", "wss"} or not host:
            raise PlanRefused(no_url)
        if plan.payload_bytes < NUMBER_BYTES:
            raise PlanRefused(f"a message has at least {NUMBER_BYTES} bytes, for its number: give a larger payload")
        is_tls = parts.scheme == "wss"
        tls = _context(host, target) if is_tls else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._address = OpaqueAddress(parts.netloc, path, tls)
        self._tails = [bytes(each % 251 for each in range(plan.payload_bytes - NUMBER_BYTES))]
        self.endpoint = routes.endpoint(host, port or (443 if is_tls else 80))

    def make(self, number: int, turn: int, book: Book, index: int, rhythm: Rhythm) -> Stream:
        """Make a session."""
        del turn
        return OpaqueStream(number, book.routes[index], book, self._tails, self._address, rhythm)


def find_endpoint(host: str, port: int) -> Endpoint:
    """Look a name up.  Where it has several addresses, the first that answers is taken.  Raises PlanRefused."""
    named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PlanRefused(f"{host} is a name that nobody knows: check the URL") from None
    endpoints = [Endpoint(named, family, address) for family, _, _, _, address in found]
    return next((each for each in endpoints if len(endpoints) > 1 and _answers(each)), endpoints[0])


def _answers(endpoint: Endpoint) -> bool:
    with socket.socket(endpoint.family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        return probe.connect_ex(endpoint.address) == 0
