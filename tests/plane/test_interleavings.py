"""Whatever happens in whatever order, the client sees no gap, no record it cannot open, no end without a code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from sottovoce.session import Clear, Ended, Event, Mark, ServerSession, SignatureWanted
from sottovoce.transport import PeerClosed
from sottovoce.wire import Code
from tests.plane.scene import PLANES, MakePlane, Scene, frame, scene
from tests.session.dialogue import give_proof
from tests.session.keys import serving_keys

pytestmark = pytest.mark.parametrize("make_plane", PLANES.values(), ids=PLANES)


@dataclass
class Conversation:
    """A call that does to its flow what the edge does, and knows what the client has to hear."""

    there: Scene
    said: list[object] = field(default_factory=list)
    heard: list[object] = field(default_factory=list)
    frames: int = 0
    is_forgetful: bool = False
    is_echo: bool = False
    ends_in: str = ""
    has_ended: bool = False

    def __post_init__(self) -> None:
        call = self.there.call
        call.on_audio = self.audio
        call.settle = self.settle  # type: ignore[method-assign]
        call.made_room = self.made_room  # type: ignore[method-assign]

    @property
    def session(self) -> ServerSession:
        return self.there.pair.server

    @property
    def now(self) -> float:
        return trio.current_time()

    # What the flow tells.

    def audio(self, payload: bytes) -> None:
        if self.is_echo:
            self.say_audio()
        self.end_if("audio")

    def made_room(self) -> None:
        self.end_if("made_room")

    def settle(self) -> None:
        self.there.flow.rekey()
        for event in self.session.events():
            self.take(event)
        self.there.flow.flush()

    def take(self, event: Event) -> None:
        if isinstance(event, SignatureWanted):
            give_proof(self.session, event, serving_keys(), self.now)
            self.settle()
        elif isinstance(event, Ended):
            self.has_ended = True
            self.there.flow.ear = None
            self.there.flow.forget_all()
            self.there.flow.close_code = event.code

    # What it does.

    def end_if(self, where: str) -> None:
        if self.ends_in == where:
            self.session.close(Code.NORMAL, self.now)
            self.settle()

    def say_audio(self) -> None:
        self.frames += 1
        self.said.append(frame(self.frames))
        self.there.flow.send_audio(frame(self.frames), 0, None)

    def say_mark(self) -> None:
        mark = Mark(str(len(self.said)))
        self.said.append(mark)
        self.there.flow.send(lambda session, now: session.send_mark(mark.name, now))

    def clear(self) -> None:
        self.is_forgetful = True
        self.said.append(Clear())
        self.there.flow.forget_audio()
        self.there.flow.send(ServerSession.send_clear)

    def end_behind(self) -> None:
        def end(session: ServerSession, now: float) -> bool:
            session.close(Code.NORMAL, now)
            self.settle()
            return True

        self.there.flow.send(end)

    # What the client does.

    async def send(self, *records: bytes) -> None:
        if self.there.websocket.is_open:
            self.there.speak(*self.there.pair.client.to_send(), *records)
            await self.there.send()

    async def speak(self, count: int) -> None:
        if self.there.pair.client.is_open:
            await self.send(*[self.there.seal(number) for number in range(count)])

    async def ping_websocket(self) -> None:
        if self.there.websocket.is_open:
            self.there.websocket.send_ping(b"?")
            await self.there.send()

    async def ping(self) -> None:
        self.there.pair.client.send_ping(bytes(8), self.now)
        await self.send()

    async def read(self, seconds: float = 0.05) -> None:
        self.heard += await self.there.read(seconds)
        await self.send()

    async def step(self) -> None:
        """Begin an epoch, when the last one has begun at both ends."""
        client = self.there.pair.client
        for _ in range(5):
            await self.read()
        due = client.next_deadline()
        if due is not None and client.epoch == self.session.epoch:
            await trio.sleep_until(due)
            self.heard += client.on_deadline(self.now)
            await self.send()


def _ends_now(each: Conversation) -> None:
    each.ends_in = "now"
    each.end_if("now")


def _ends_in(where: str) -> Callable[[Conversation], None]:
    def mind(each: Conversation) -> None:
        each.ends_in = where

    return mind


def _echoes(each: Conversation) -> None:
    each.is_echo = True


SAID: dict[str, Callable[[Conversation], object]] = {
    "audio": Conversation.say_audio,
    "mark": Conversation.say_mark,
    "flush": lambda each: each.there.flow.flush(),
    "clear": Conversation.clear,
    "ask": lambda each: each.session.send_ping(bytes(8), each.now),
    "settle": Conversation.settle,
    "echo": _echoes,
}
DONE: dict[str, Callable[[Conversation], Awaitable[object]]] = {
    "one frame": lambda each: each.speak(1),
    "many frames": lambda each: each.speak(5),
    "WebSocket's ping": Conversation.ping_websocket,
    "ping": Conversation.ping,
    "read": Conversation.read,
    "step": Conversation.step,
}
ENDED: dict[str, Callable[[Conversation], object]] = {
    "end now": _ends_now,
    "end in audio": _ends_in("audio"),
    "end in made_room": _ends_in("made_room"),
    "end behind": Conversation.end_behind,
}
"""Of these one in a conversation, or none."""


async def converse(make_plane: MakePlane, kind: str, deeds: list[str], end: str, at: int) -> None:
    async with scene(make_plane, kind, epoch_seconds=300, messages_per_key=16, reauthenticate_every=2) as there:
        each = Conversation(there)
        for number, deed in enumerate([*deeds, ""]):
            if number == min(at, len(deeds)) and end:
                ENDED[end](each)
            if deed in SAID and not each.has_ended:
                SAID[deed](each)
            elif deed in DONE:
                await DONE[deed](each)
        for _ in range(30):
            there.flow.flush()
            await each.read()
        judge(each)


def judge(each: Conversation) -> None:
    """Hold what the client has heard against what was said."""
    heard = [what for what in each.heard if isinstance(what, bytes | Mark | Clear)]
    rest = iter(each.said)
    assert all(what in rest for what in heard), "in their order"
    audio = [what for what in heard if isinstance(what, bytes)]
    counted = each.there.flow.statistics
    assert len(audio) == counted.to_client
    ends = [what for what in each.heard if isinstance(what, Ended)]
    if each.has_ended:
        assert ends == [Ended(Code.NORMAL, "ended by the other side", local=False)]
        assert each.heard[-1] == PeerClosed(Code.NORMAL, "")
        return
    assert ends == []
    assert each.there.pair.client.is_open
    assert [what for what in heard if not isinstance(what, bytes)] == [
        what for what in each.said if not isinstance(what, bytes)
    ]
    if not each.is_forgetful:
        assert counted.to_client + counted.dropped == each.frames


@settings(max_examples=30)
@given(
    st.sampled_from(["memory", "socket"]),
    st.lists(st.sampled_from([*SAID, *DONE]), max_size=40),
    st.sampled_from(["", *ENDED]),
    st.integers(0, 40),
)
@example("memory", ["audio", "flush", "audio", "mark", "read"], "end in made_room", 2)
def test_any_order(make_plane: MakePlane, kind: str, deeds: list[str], end: str, at: int) -> None:
    trio.run(converse, make_plane, kind, deeds, end, at, clock=MockClock(autojump_threshold=0))
