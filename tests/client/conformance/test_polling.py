"""A program with a loop of its own, a game or a user interface, looks whether something has come, and does not wait."""

import time

import pytest

from sottovoce.client import Audio
from sottovoce.client.sync import connect
from tests.client.conformance.hosts import Host
from tests.client.conformance.words import usual


def test_a_look_takes_what_is_there_and_does_not_wait_for_more(host: Host) -> None:
    frames = [bytes([number]) for number in range(20)]
    with connect(host.url, **usual({})) as call:
        for frame in frames:
            call.send(frame)
        time.sleep(0.5)
        assert [call.receive(timeout=0) for _ in frames] == [Audio(frame) for frame in frames]
        for timeout in (0, -1.0, 0.001):
            with pytest.raises(TimeoutError):
                call.receive(timeout=timeout)
