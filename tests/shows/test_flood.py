"""A flood of bad hellos from one prefix, and calls from another: these are served as if there were no flood."""

from pathlib import Path

import pytest
import trio

from tests.running import RunningProxy, running_proxy
from tests.shows.calls import PATIENCE, calling, echo
from tests.shows.crowds import crowd

pytestmark = pytest.mark.interop(tool="softhsm2-util")
CALLS = 12
FRAMES = [bytes([number]) * 640 for number in range(1, 26)]
PACE_SECONDS = 0.02
OTHER_PREFIX = "127.2.0.1"


async def _call(proxy: RunningProxy) -> bool:
    """Call from the other prefix."""
    stream = await trio.open_tcp_stream("127.0.0.1", proxy.port, local_address=OTHER_PREFIX)
    async with calling(proxy, stream=stream) as call:
        echoed = await echo(call, FRAMES, PACE_SECONDS)
    return echoed.frames == FRAMES and echoed.ended is not None and echoed.ended.code == 1000


async def _until_refused(proxy: RunningProxy) -> None:
    while not proxy.events("connection.refused"):  # noqa: ASYNC110  another process writes the log
        await trio.sleep(0.1)


async def test_a_flood_from_one_prefix_leaves_another_served(directory: Path) -> None:
    with running_proxy(directory) as proxy, crowd("bad_hellos", proxy.port) as flood:
        with trio.fail_after(PATIENCE):
            await _until_refused(proxy)
        for _ in range(CALLS):
            with trio.fail_after(PATIENCE):
                assert await _call(proxy)
        flood.enough()
        met = await flood.told()
        refused = proxy.events("connection.refused")
    assert met["answered"] > 0
    assert met["refused"] > 0
    assert [event for event in refused if event["client"].startswith(OTHER_PREFIX)] == []
