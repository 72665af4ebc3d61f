"""Two ends over a simulated network: loss, reorder, duplication, delay; control records in order and late."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sottovoce.session.events import Ended
from tests.session.carriers import Network

FRAME_SECONDS = 0.02


def numbered(number: int) -> bytes:
    """An audio frame that says which one it is."""
    return number.to_bytes(4) * 40


@pytest.mark.protocol("P7.38", "P7.39", "P7.40", "P7.21", "P1.14")
def test_9000_frames_over_ten_percent_loss_blocks_of_eight_shuffled_and_duplicates() -> None:
    """Each arriving frame once, none twice; generations and root steps turn meanwhile, datagrams before the stream."""
    network = Network(4, epoch_seconds=20, messages_per_key=100)
    for number in range(9_000):
        now = number * FRAME_SECONDS
        network.turn(now, delay=0.3)
        for lane in (network.up, network.down):
            lane.speak(numbered(number), now)
            if number % 8 == 7:
                lane.land(now, loss=0.1, twice=0.1)
    assert network.epochs_started == 10
    assert not [event for event in network.events if isinstance(event, Ended)]
    for lane in (network.up, network.down):
        assert lane.sent == [numbered(number) for number in range(9_000)]
        assert len(lane.heard) == len(set(lane.heard)) == len(lane.arrived)
        assert set(lane.heard) <= set(lane.sent)
        assert 8_000 < len(lane.heard) < 8_200
        assert lane.repeated > 900
        assert lane.receiver.datagrams_lost == pytest.approx(9_000 - len(lane.heard), abs=16)
        assert lane.sender.generation > 0


@pytest.mark.protocol("P7.38", "P7.41", "P11.1")
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.5]),
    twice=st.sampled_from([0.0, 0.1, 1.0]),
    block=st.integers(1, 40),
    delay=st.sampled_from([0.0, 0.05, 0.4, 3.0]),
    per_key=st.sampled_from([16, 17, 64]),
    epoch_seconds=st.sampled_from([2, 5]),
)
@settings(deadline=None, max_examples=40)
def test_no_frame_is_heard_twice_and_nobody_fails_whatever_the_network_does(  # noqa: PLR0913, PLR0917  its vices
    seed: int, loss: float, twice: float, block: int, delay: float, per_key: int, epoch_seconds: int
) -> None:
    network = Network(seed, epoch_seconds=epoch_seconds, messages_per_key=per_key)
    client, server = network.pair.client, network.pair.server
    for number in range(400):
        now = number * FRAME_SECONDS
        network.turn(now, delay)
        for lane in (network.up, network.down):
            if client.is_open and server.is_open and lane.sender.may_send(now):
                lane.speak(numbered(number), now)
            if number % block == block - 1:
                lane.land(now, loss=loss, twice=twice)
        assert client.epoch - server.epoch in {0, 1}
    assert client.is_open
    assert server.is_open
    assert network.epochs_started >= 1 or delay == 3.0
    for lane in (network.up, network.down):
        assert len(lane.heard) == len(set(lane.heard))
        assert set(lane.heard) <= set(lane.sent)
        if block <= 8 and loss < 0.5:
            assert len(lane.heard) >= 0.9 * len(lane.arrived)


@pytest.mark.protocol("P11.39", "P7.21", "P7.19")
def test_a_silent_server_and_a_muted_client_still_switch_on_two_carriers() -> None:
    """Not one datagram in either direction: the control stream alone turns the epochs, of datagrams too."""
    network = Network(1, epoch_seconds=10)
    client, server = network.pair.client, network.pair.server
    assert client.send_mute(0.0, muted=True)
    for number in range(2_000):
        network.turn(number * FRAME_SECONDS, delay=0.1)
    assert network.epochs_started == 4
    assert client.epoch == server.epoch == 5
    now = 2_000 * FRAME_SECONDS
    for lane in (network.up, network.down):
        lane.speak(b"first words", now)
        lane.land(now, loss=0, twice=1)
        assert lane.heard == [b"first words"]
