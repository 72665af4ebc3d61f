"""A call of many epochs and a million records, at the speed of the machine: nothing grows, nothing is lost."""

import gc
import resource
from collections.abc import Callable

import pytest

from tests.session.dialogue import talking

RECORDS = 1_000_000
EPOCHS = 50


@pytest.mark.soak
def test_a_million_records_over_fifty_epochs(figure: Callable[[str], None]) -> None:
    pair = talking(epoch_seconds=60, messages_per_key=1000)
    now, grown_from = 0.0, 0
    for epoch in range(1, EPOCHS + 1):
        for number in range(RECORDS // EPOCHS):
            frame = number.to_bytes(4) * 40
            for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
                record = sender.seal_audio(frame, now)
                assert record is not None
                assert receiver.open_audio(record, now) == b"\0" + frame
        assert pair.client.epoch == epoch
        due = pair.client.next_deadline()
        assert due is not None
        now = due
        pair.at(now)
        pair.tick(now)
        if epoch == 2:
            gc.collect()
            grown_from = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown_from
    figure(f"{2 * RECORDS} records, {EPOCHS} epochs, memory grew by {grown} KiB after the second epoch")
    assert grown < 0.05 * grown_from
