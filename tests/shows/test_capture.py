"""The backend hears exactly what was said; whoever holds the TLS of the client leg sees records and lengths only.

The client's connection goes through a tap, its TLS keys are logged, and the capture is opened with them: what is left
is what an attacker has who owns the outer TLS.  Three controls show that the search would find what it looks for.
"""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sottovoce.client import Codec, Statistics
from sottovoce.transport import client_context
from tests.interop.relay.demo import demo_backend
from tests.running import ROOMY, running_proxy
from tests.shows import voice_records
from tests.shows.calls import calling, echo, speech
from tests.shows.tap import tapped
from tests.shows.tls13 import strip_tls
from tests.shows.voice_records import Runs, odd_lengths, sframe_records

pytestmark = pytest.mark.interop(tool="softhsm2-util")
PACE_SECONDS = 0.008
"""Speech played two and a half times as fast, so that a short test sees the keys turn."""


class Captured(NamedTuple):
    """One call, from all sides."""

    heard: list[bytes | dict[str, Any]]
    """What the backend recorded."""
    returned: list[bytes]
    raw: tuple[bytes, bytes]
    """The bytes of both directions as they were on the wire."""
    sealed: tuple[list[bytes], list[bytes]]
    """WebSocket messages of both directions, with TLS, framing and masks taken off."""
    statistics: Statistics

    @property
    def frames(self) -> list[bytes]:
        return [message for message in self.heard if isinstance(message, bytes)]

    @property
    def messages(self) -> list[bytes]:
        return [*self.sealed[0], *self.sealed[1]]


async def capture(
    directory: Path, monkeypatch: pytest.MonkeyPatch, frames: Sequence[bytes], *sets: str, **options: Any
) -> Captured:
    """Make a call through the tap, in which the frames come back from a backend in a process of its own."""
    key_log: list[bytes] = []
    monkeypatch.setattr("sottovoce.client.settings.client_context", partial(client_context, key_log=key_log.append))
    async with demo_backend(directory.parent) as backend:
        routes = ("routes.demo.adapter=raw", f"routes.demo.url={backend.url}", "routes.demo.queue_frames=1000")
        turning = ("voice.epoch_seconds=2", "voice.messages_per_key=50")
        with running_proxy(directory, *turning, ROOMY, *routes, *sets) as proxy:
            async with tapped(proxy.port) as (stream, tap), calling(proxy, "demo", stream=stream, **options) as call:
                echoed = await echo(call, frames, PACE_SECONDS)
                statistics = call.statistics
        heard = backend.heard()
    up, down = strip_tls(bytes(tap.from_client), bytes(tap.from_server), key_log)
    return Captured(
        heard,
        echoed.frames,
        (bytes(tap.from_client), bytes(tap.from_server)),
        (voice_records.messages(up), voice_records.messages(down)),
        statistics,
    )


async def test_the_backend_hears_all_of_it_and_the_wire_none(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = speech()
    frames = recording.frames(20)
    captured = await capture(directory, monkeypatch, frames)

    assert captured.frames == frames, "the backend hears exactly the frames sent, in order"
    assert captured.returned == frames
    start, *_, stop = captured.heard
    assert isinstance(start, dict)
    assert (start["type"], start["codec"], start["rate"]) == ("start", "pcm16", 16_000)
    assert start["identity"] is None
    assert isinstance(stop, dict)
    assert (stop["type"], stop["code"], stop["truncated"]) == ("stop", 1000, False)

    runs = Runs(recording.samples)
    assert len(runs) > 100_000
    assert runs.found_in(captured.messages) == 0
    assert runs.found_in(captured.raw) == 0
    for direction in captured.sealed:
        records = sframe_records(direction)
        assert len(records) > len(frames), "audio, and what turns the keys"
        assert odd_lengths(records) == set()
    assert captured.statistics.epochs >= 2
    assert captured.statistics.generations > captured.statistics.epochs

    # The controls: the backend's side of the proxy is found at once, and so is a record that leaks eight bytes.
    assert runs.found_in(captured.frames) > 0.99 * len(runs)
    leaky = bytearray(max(captured.messages, key=len))
    loud = max(range(0, len(recording.samples), 640), key=lambda start: len(set(recording.samples[start : start + 8])))
    leaky[100:108] = recording.samples[loud : loud + 8]
    assert runs.found_in([bytes(leaky)]) == 1


async def test_lengths_of_an_encoder_that_varies_become_buckets(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(16)  # noqa: S311  lengths of packets
    frames = [chance.randbytes(chance.randint(20, 200)) for _ in range(250)]
    captured = await capture(directory, monkeypatch, frames, codec=Codec.OPUS_48K_MONO)
    assert captured.frames == frames
    for direction in captured.sealed:
        lengths = {voice_records.plaintext_bytes(record) for record in sframe_records(direction)}
        assert odd_lengths(sframe_records(direction)) == set()
        assert lengths >= {88, 128, 168, 248}, "the buckets that 20 to 200 bytes fall into"
    assert Runs(b"".join(frames)).found_in(captured.messages) == 0


async def test_the_control_without_padding_the_lengths_are_there(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = speech().frames(20)[:60]
    captured = await capture(directory, monkeypatch, frames, "voice.padding=0")
    assert captured.frames == frames
    for direction in captured.sealed:
        assert 640 + 2 in odd_lengths(sframe_records(direction)), "the frame, its flags and its type"
