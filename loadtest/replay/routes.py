"""From a plan's targets to sessions: names looked up, settings made once for all sessions that share them."""

import socket
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.replay.book import Book, RouteBook
from loadtest.replay.errors import PlanRefused
from loadtest.replay.plan import Kind, Plan, Target
from loadtest.replay.streams import NUMBER_BYTES, Endpoint, OpaqueAddress, OpaqueStream, Stream, VoiceStream
from sottovoce.app.wav import Recording, read_wav
from sottovoce.client.settings import CallOptions, CallSettings, settings_for
from sottovoce.primitives import one_line
from sottovoce.transport import PqPolicy, client_context

_BUNDLED = Path(__file__).parents[1] / "audio/speech-16k.wav"
_FRAME_MS = (10, 20, 40, 60)
_NEAR = 0.01
_CONNECT_SECONDS = 2.0


def frame_milliseconds(frames_per_second: float) -> int:
    """Give the duration of a voice frame at a rate.  Raises PlanRefused where none has it."""
    for each in _FRAME_MS:
        if abs(frames_per_second * each / 1000 - 1) < _NEAR:
            return each
    raise PlanRefused(f"a call has 100, 50, 25 or 16.67 frames a second, not {frames_per_second:g}: choose one of them")


class Routes:
    """Makes sessions: the first for the first target, the next for the next, and round again."""

    def __init__(self, plan: Plan, book: Book) -> None:
        """Raises PlanRefused, or CallMisconfigured, for what cannot be called at all."""
        if not plan.targets:
            raise PlanRefused("there is nothing to call: give a URL")
        if plan.sessions < 1 or plan.seconds <= 0 or plan.frames_per_second <= 0 or plan.sessions_per_second <= 0:
            raise PlanRefused("sessions, seconds and rates are above 0: give such numbers")
        self._plan = plan
        self._book = book
        self._sessions = count()
        self._recordings = _audible(plan)
        self._makers = [
            _Opaque(target, plan) if target.kind is Kind.OPAQUE else _Voice(target, plan, self._recordings)
            for target in plan.targets
        ]

    def begin(self) -> tuple[Stream, Endpoint]:
        """Make the next session, and say where it is to connect to."""
        number = next(self._sessions)
        turn = number % len(self._makers)
        maker = self._makers[turn]
        return maker.make(number, self._book.routes[turn], self._book), maker.endpoint


def _audible(plan: Plan) -> tuple[Recording, ...]:
    if all(target.kind is Kind.OPAQUE for target in plan.targets):
        return ()
    return plan.recordings or (read_wav(_BUNDLED),)


class _Voice:
    def __init__(self, target: Target, plan: Plan, recordings: Sequence[Recording]) -> None:
        self._milliseconds = frame_milliseconds(plan.frames_per_second)
        self._target = target
        self._recordings = recordings
        self._tails = [_tails(recording, self._milliseconds) for recording in recordings]
        self._settings = [self._settings_for(recording) for recording in recordings]
        address = self._settings[0].address
        self.endpoint = find_endpoint(address.host, address.port)

    def _settings_for(self, recording: Recording) -> CallSettings:
        target = self._target
        options = CallOptions(
            anchor=target.anchors,
            ca=target.ca,
            token=target.token,
            codec=recording.codec,
            frame_ms=self._milliseconds,
        )
        return settings_for(target.url, options)

    def make(self, number: int, route: RouteBook, book: Book) -> Stream:
        """Make a session."""
        turn = number % len(self._recordings)
        return VoiceStream(number, route, book, self._tails[turn], self._settings[turn])


class _Opaque:
    def __init__(self, target: Target, plan: Plan) -> None:
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
        tls = client_context(host, pq=PqPolicy.PREFER, ca_pem=target.ca) if is_tls else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._address = OpaqueAddress(parts.netloc, path, tls)
        self._tails = [bytes(each % 251 for each in range(plan.payload_bytes - NUMBER_BYTES))]
        self.endpoint = find_endpoint(host, port or (443 if is_tls else 80))

    def make(self, number: int, route: RouteBook, book: Book) -> Stream:
        """Make a session."""
        return OpaqueStream(number, route, book, self._tails, self._address)


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


def _tails(recording: Recording, milliseconds: int) -> list[bytes]:
    """Cut a recording into whole frames, each without the bytes that its number takes the place of."""
    size = recording.codec.frame_bytes(milliseconds)
    return [frame.ljust(size, b"\0")[NUMBER_BYTES:] for frame in recording.frames(milliseconds)]
