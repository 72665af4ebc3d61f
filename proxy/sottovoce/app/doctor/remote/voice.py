"""The voice handshake, as a client makes it, and a second of sound to hear whether anything comes back."""

import statistics
from collections import deque
from contextlib import suppress
from typing import Final

import msgspec
import trio

from sottovoce.app.doctor.findings import Finding, fail, ok, warn
from sottovoce.app.doctor.remote.carriage import failing
from sottovoce.app.doctor.remote.target import Remote
from sottovoce.client import Audio, AuthFailed, Call, CallError, Codec, Ended, Statistics, connect

FRAMES: Final = 50
FRAME_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 5.0
"""How long a backend may take to say something."""
_FRAME: Final = bytes(640)


class Heard(msgspec.Struct):
    """What came of the second of sound."""

    sent: int = 0
    round_trips: list[float] = msgspec.field(default_factory=list[float])
    failure: CallError | None = None
    """What ended the open call."""
    ended: str = ""


async def shake_voice(remote: Remote, heard: Heard) -> list[Finding]:
    """Make a call: judge anchor, certificate and signatures as every client does; send silence for a second."""
    began, took = trio.current_time(), 0.0
    figures = Statistics()
    try:
        async with connect(
            remote.url, anchor=remote.anchors, ca=remote.ca, token=remote.token, key=remote.key, codec=Codec.PCM16_16K
        ) as call:
            figures = call.statistics
            took = 1000 * (trio.current_time() - began)
            await _listen(call, heard)
    except CallError as error:
        return [_refused(error, remote)]
    signed = " + ".join(figures.server_signatures)
    what = f"sealed under {figures.suite}, signed by {signed}; voice {figures.voice_ms or 0:.0f} of {took:.0f} ms"
    return [ok("voice", what)]


def echo_findings(heard: Heard) -> list[Finding]:
    """Say what came back."""
    back = len(heard.round_trips)
    if heard.failure is not None:
        return [failing("backend", heard.failure)]
    if heard.ended and not back:
        return [warn("backend", f"it ended the call at once ({heard.ended})", "nothing, if it is meant to hang up")]
    if not back:
        what = f"connected, and nothing came back in {PATIENCE_SECONDS:g} s: the route's backend does not answer"
        return [
            warn("backend", what, "nothing, if it only listens; else see whether it gets the call and what it sends")
        ]
    p50 = 1000 * statistics.median(heard.round_trips)
    what = f"{back} frames came back for {heard.sent}, the first half of them within {p50:.1f} ms"
    return [ok("backend", what)]


def no_anchor() -> list[Finding]:
    """Say why the voice handshake was not made."""
    return [warn("voice", "not tried: no anchor is given", "give --dir DIR, or --anchor FILE of the server's operator")]


async def _listen(call: Call, heard: Heard) -> None:
    waiting: deque[float] = deque()

    async def send() -> None:
        began = trio.current_time()
        with suppress(CallError):  # whoever listens hears why
            for number in range(FRAMES):
                await trio.sleep_until(began + number * FRAME_SECONDS)
                waiting.append(trio.current_time())
                await call.send(_FRAME)
                heard.sent += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        with trio.move_on_after(FRAMES * FRAME_SECONDS + PATIENCE_SECONDS):
            try:
                await _take(call, waiting, heard)
            except CallError as error:
                heard.failure = error
        nursery.cancel_scope.cancel()


async def _take(call: Call, waiting: deque[float], heard: Heard) -> None:
    async for item in call:
        match item:
            case Audio() if waiting:
                heard.round_trips.append(trio.current_time() - waiting.popleft())
            case Ended(label=label):
                heard.ended = label
            case _:
                pass
        if len(heard.round_trips) >= FRAMES:
            return


def _refused(error: CallError, remote: Remote) -> Finding:
    is_unnamed = remote.token is None and remote.key is None
    if isinstance(error, AuthFailed) and not error.local and is_unnamed:
        what = "the server proved itself, and wants to know who calls"
        return fail("voice", what, "give --token FILE or --key FILE of a client that may call")
    return failing("voice", error)
