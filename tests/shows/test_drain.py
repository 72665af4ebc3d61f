"""SIGTERM in the middle of a hundred calls: each is told under its own keys to go elsewhere, and none is cut off.

What came back is counted by the numbers that each client put into its own frames.
"""

import signal
from pathlib import Path

import pytest
import trio

from sottovoce.client import ConnectFailed, Draining
from tests.running import running_proxy
from tests.shows.calls import PATIENCE, calling
from tests.shows.talkers import Talker

pytestmark = pytest.mark.interop(tool="softhsm2-util")
CALLS = 100
DRAIN_SECONDS = 3.0
STOP_SECONDS = 30.0
"""For a machine that has much else to do: what is shown is that nobody is cut off before being told."""
DRAINING = 4460


async def test_a_hundred_calls_are_all_told_to_go_elsewhere(directory: Path) -> None:
    talkers = [Talker() for _ in range(CALLS)]
    settings = (f"process.drain_seconds={DRAIN_SECONDS}", f"process.stop_seconds={STOP_SECONDS}")
    with running_proxy(directory, *settings) as proxy:
        async with trio.open_nursery() as nursery:
            for talker in talkers:
                with trio.fail_after(PATIENCE):
                    await nursery.start(talker.run, calling(proxy))
            proxy.process.send_signal(signal.SIGTERM)
            told_at = trio.current_time()
            await talkers[0].ended.wait()
            with pytest.raises(ConnectFailed):
                async with calling(proxy):
                    pass
        with trio.fail_after(PATIENCE):
            status = await trio.to_thread.run_sync(proxy.process.wait)
        ended = proxy.events("session.ended")
    assert status == 0
    assert [talker.code for talker in talkers] == [DRAINING] * CALLS
    assert all(isinstance(talker.failure, Draining) and talker.failure.is_proven for talker in talkers)
    assert [talker for talker in talkers if talker.has_gap] == []
    assert [event["code"] for event in ended] == [DRAINING] * CALLS
    times = sorted(talker.ended_at - told_at for talker in talkers)
    assert times[-1] - times[0] >= 0.5 * DRAIN_SECONDS, "not all at once"
