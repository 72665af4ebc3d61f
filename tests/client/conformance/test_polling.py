"""A program with a loop of its own, a game or a user interface, looks whether something has come, and does not wait."""

import time

import pytest

from sottovoce.client import Audio
from sottovoce.client.sync import connect, wish
from tests.client.conformance.hosts import Host
from tests.client.conformance.words import usual

PATIENCE_SECONDS = 20.0
"""For what takes no time on a machine with nothing else to do."""


def test_a_look_takes_what_is_there_and_does_not_wait_for_more(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wish, "_LOOK_SECONDS", PATIENCE_SECONDS)
    frames = [bytes([number]) for number in range(20)]
    with connect(host.url, **usual({})) as call:
        for frame in frames:
            call.send(frame)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while call.statistics.frames_received < len(frames):
            assert time.monotonic() < give_up_at
            time.sleep(0.01)  # the call's thread takes them in
        assert [call.receive(timeout=0) for _ in frames] == [Audio(frame) for frame in frames]
        for timeout in (0, -1.0, 0.001):
            with pytest.raises(TimeoutError):
                call.receive(timeout=timeout)
