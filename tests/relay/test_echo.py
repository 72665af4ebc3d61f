"""The built-in echo: everything back in order, silence after the end."""

import pytest

from sottovoce.relay import LegStatistics
from sottovoce.relay.echo import EchoRoute
from sottovoce.wire import frames
from tests.relay.calls import END, START, RecordingSink


async def test_everything_comes_back_in_order() -> None:
    sink = RecordingSink()
    async with EchoRoute("echo").connect(START, sink) as leg:
        leg.audio(frames.encode_audio(b"one", frames.FLAG_TALK_SPURT, None), 0)
        leg.dtmf(5, 160)
        leg.audio(frames.encode_audio(b"two", 0, 320), 1)
        leg.json(b'{"a":1}')
        leg.data(b"opaque")
        leg.mute(muted=True)
        leg.mark_played("never set")
        assert sink.told == [
            ("audio", b"one", frames.FLAG_TALK_SPURT, None),
            ("dtmf", 5, 160),
            ("audio", b"two", 0, 320),
            ("json", b'{"a":1}'),
            ("data", b"opaque"),
        ]
        assert leg.statistics == LegStatistics(
            frames_to_backend=3, frames_from_backend=3, frames_dropped_to_backend=0, frames_dropped_from_backend=0
        )


async def test_after_stop_or_leaving_it_is_silent() -> None:
    sink = RecordingSink()
    route = EchoRoute("echo")
    async with route.connect(START, sink) as stopped:
        stopped.stop(END)
        stopped.audio(b"\0late", 0)
    async with route.connect(START, sink) as left:
        pass
    for leg in (stopped, left):
        leg.audio(b"\0late", 0)
        leg.data(b"late")
        leg.dtmf(1, 1)
        leg.json(b"{}")
    assert sink.told == []


async def test_an_exception_of_the_block_passes_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with EchoRoute("echo").connect(START, RecordingSink()):
            raise KeyError("mine")
