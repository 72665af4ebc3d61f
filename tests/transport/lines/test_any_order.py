"""Whatever both ends do, in whatever order and pieces: everything arrives, once and in order."""

from typing import NamedTuple

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.transport.lines.ends import Ends, ends, settle

SIZES = st.sampled_from([1, 2, 200, 4_095, 4_096, 4_097, 16_384, 16_385, 70_000, 400_000])


class Say(NamedTuple):
    """The peer writes."""

    size: int


class Write(NamedTuple):
    """We write."""

    size: int


class Read(NamedTuple):
    """The peer reads so much."""

    size: int


STEPS = st.one_of(
    st.builds(Say, SIZES),
    st.builds(Write, SIZES),
    st.builds(Read, SIZES),
    st.sampled_from(["hold", "resume", "turn", "hold when told", "echo when told", "say all"]),
)


class Story:
    """What was said, and what was heard, at both ends."""

    def __init__(self, both: Ends) -> None:
        self.both = both
        self.said = bytearray()
        self.written = bytearray()
        self.heard = bytearray()
        self.has_said_all = False
        self.pending: list[str] = []
        both.user.on_received = self.received

    def received(self, data: bytes) -> None:
        what = self.pending.pop() if self.pending else ""
        if what == "hold when told":
            self.both.line.hold()
        elif what == "echo when told":
            self.write(data)

    def write(self, data: bytes) -> None:
        self.both.line.write(data)
        self.written += data

    def fresh(self, size: int) -> bytes:
        """Give bytes that tell where they stand."""
        start = len(self.said) + len(self.written)
        return b"".join(number.to_bytes(4) for number in range(start, start + size // 4 + 1))[:size]

    async def hear(self, size: int) -> None:
        with trio.move_on_after(1):
            while size > 0:
                data = await self.both.peer.receive_some(size)
                self.heard += data
                size -= len(data)

    async def step(self, step: Say | Write | Read | str) -> None:
        both = self.both
        match step:
            case Say(size) if not self.has_said_all:
                piece = self.fresh(size)
                self.said += piece
                both.say(piece)
            case Write(size):
                self.write(self.fresh(size))
            case Read(size):
                await self.hear(size)
            case "hold":
                both.line.hold()
            case "resume":
                both.line.resume()
            case "turn":
                await settle()
            case "hold when told" | "echo when told":
                self.pending.insert(0, step)
            case "say all" if not self.has_said_all:
                self.has_said_all = True
                both.peer_does(both.say_all)
            case _:
                pass

    async def finish(self) -> None:
        """Let all that was begun come to its end."""
        both = self.both
        self.pending.clear()
        both.line.resume()
        await settle()
        while len(self.heard) < len(self.written):
            await self.hear(len(self.written) - len(self.heard))
            await settle()
        assert not both.line.is_clogged
        assert both.user.data == bytes(self.said)
        assert bytes(self.heard) == bytes(self.written)
        if not self.has_said_all:
            assert "lost" not in both.user.words
            both.peer_does(both.peer.aclose)
            await settle()
        assert both.user.of("lost") == [""]
        assert "crashed" not in both.user.words


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEPS, max_size=25))
def test_everything_arrives_once_and_in_order(kind: str, steps: list[Say | Write | Read | str]) -> None:
    async def scene() -> None:
        async with ends(kind) as both:
            story = Story(both)
            for step in steps:
                await story.step(step)
            await story.finish()

    trio.run(scene, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("kind", ["tcp", "socket"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=12), goes_at=st.integers(0, 12))
def test_a_peer_that_goes_in_the_middle(kind: str, steps: list[Say | Write | Read | str], goes_at: int) -> None:
    """What was heard is the beginning of what was said; the end is told once; nobody waits for ever."""

    async def scene() -> None:
        async with ends(kind) as both:
            story = Story(both)
            for at, step in enumerate([*steps, "turn"]):
                if at == goes_at:
                    await both.go()
                if at < goes_at or not isinstance(step, Read):
                    await story.step(step)
            await both.go()
            story.pending.clear()
            both.line.resume()
            await settle()
            assert len(both.user.of("lost")) == 1
            assert not both.line.is_clogged
            assert bytes(story.said).startswith(both.user.data)

    trio.run(scene, clock=MockClock(autojump_threshold=0))
