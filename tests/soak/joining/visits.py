"""What a client may do, from its connection to the end of that: several kinds, most of them no good.

Each frame says whose it is and its number.  A visit puts what it met into the tally: a frame that came back and is not
the next one, an end that is not what the visit asked for, is a fault.
"""

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trio

from sottovoce.client import (
    Audio,
    AuthFailed,
    BackendDown,
    Call,
    CallError,
    CallTruncated,
    ConnectFailed,
    Ended,
    RateLimited,
    SessionExpired,
    TicketStore,
)
from sottovoce.client.trio import connect
from tests.soak.joining.tally import Tally
from tests.soak.joining.wires import Wire, dial
from tests.soak.joining.world import World

FRAME_MS = 40
FRAME_BYTES = 16 * 2 * FRAME_MS
_FOR_EVER = 1_000_000
"""Frames."""
BURST_SECONDS = 0.004
PATIENCE = 30.0
MAX_HANDSHAKE_BYTES = 16_000
"""TLS and the voice handshake, both ways, are fewer; a connection that is cut after so many is a call for a moment."""


class Visitor:
    """One of the crowd: calls from an address of its own, and keeps its tickets."""

    def __init__(self, world: World, tally: Tally, place: int, seed: int) -> None:
        self._world = world
        self._tally = tally
        self._place = place
        self._random = random.Random(seed)  # noqa: S311  what to do next
        self._visit = 0
        self.tickets = TicketStore()

    async def visit(self, shortest: float, longest: float) -> None:
        """Do something for so many seconds."""
        [name] = self._random.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])
        self._tally.visits[name] += 1
        self._visit += 1
        seconds = self._random.uniform(shortest, longest)
        try:
            with trio.fail_after(seconds + PATIENCE):
                await _KINDS[name][1](self, seconds)
        except (CallError, OSError, trio.TooSlowError) as error:
            self._tally.fault(f"{name}: {type(error).__name__}: {error}")

    # Kinds of visits.

    async def hang_up(self, seconds: float) -> None:
        """Talk, hear everything, hang up; half of them with the ticket of the last time, some as a member."""
        with_ticket = self._random.random() < 0.5
        is_member = self._random.random() < 0.2
        options: dict[str, object] = {"tickets": self.tickets} if with_ticket else {}
        if is_member:
            options["token"] = self._world.token
        async with self._calling("members" if is_member else "well", await self._dial(), **options) as call:
            hearing = await self._talk(call, int(seconds * 1000 / FRAME_MS))
        self._tally.sent += hearing.sent
        self._tally.returned += hearing.returned + hearing.others  # behind a gap, which is a fault
        if not hearing.is_whole or hearing.ended is None or hearing.ended.code != 1000:
            self._tally.fault(f"a healthy call: {hearing} of {hearing.sent}")

    async def leave(self, seconds: float) -> None:
        """Hang up with frames under way."""
        async with self._calling("well", await self._dial()) as call:
            hearing = _Hearing(self._frame)
            await self._talk_until_it_ends(call, hearing, seconds)
        self._ordered(hearing)

    async def vanish(self, seconds: float) -> None:
        """Talk, and be gone without a word."""
        wire = await self._dial()
        hearing = _Hearing(self._frame)
        with suppress(CallTruncated):
            async with self._calling("well", wire) as call:
                await self._talk_until_it_ends(call, hearing, seconds)
                wire.cut()
        self._ordered(hearing)

    async def break_off(self, seconds: float) -> None:
        """Be gone at any point of the handshake, or soon after."""
        wire = await self._dial(cut_after=self._random.randint(1, MAX_HANDSHAKE_BYTES))
        hearing = _Hearing(self._frame)
        with suppress(CallTruncated, ConnectFailed):
            async with self._calling("well", wire) as call:
                await self._talk_until_it_ends(call, hearing, seconds)
        self._ordered(hearing)

    async def dawdle(self, seconds: float) -> None:
        """Send a lot and read nothing for a while: the oldest of what waits is dropped, or the call is ended."""
        wire = Wire(await dial(self._world.proxy.port, self._source, has_small_buffer=True))
        numbers: list[int] = []
        try:
            async with self._calling("well", wire) as call:
                wire.hold()
                with trio.move_on_after(min(seconds, self._random.uniform(0.5, 4))):
                    for number in range(1000):
                        await call.send(self._frame(number))
                        await trio.sleep(BURST_SECONDS)
                wire.resume()
                with trio.move_on_after(2):
                    await self._collect(call, numbers)
            self._end("dawdle", "hung up")
        except (RateLimited, SessionExpired, CallTruncated) as error:
            self._end("dawdle", type(error).__name__)
        self._tally.others_returned += len(numbers)
        if numbers != sorted(set(numbers)):
            self._tally.fault(f"a slow reader's frames came in another order: {numbers}")

    async def be_let_down(self, seconds: float) -> None:
        """Talk to a backend that may be gone, or go."""
        hearing = _Hearing(self._frame)
        try:
            async with self._calling("flaky", await self._dial()) as call:
                await self._talk_until_it_ends(call, hearing, seconds)
            self._end("be_let_down", "hung up")
        except BackendDown:
            self._end("be_let_down", "BackendDown")
        self._ordered(hearing)

    async def lie(self, seconds: float) -> None:
        """Show a token that nobody gave out."""
        try:
            async with self._calling("members", await self._dial(), token="bm9ib2R5J3Mgb3duIHRva2Vu") as call:
                await _next(call)
        except AuthFailed:
            return
        self._tally.fault("a wrong token was taken")

    # What they share.

    @property
    def _source(self) -> str:
        return f"127.30.{self._place}.1"

    async def _dial(self, cut_after: float = float("inf")) -> Wire:
        return Wire(await dial(self._world.proxy.port, self._source), cut_after)

    @asynccontextmanager
    async def _calling(self, route: str, wire: Wire, **options: object) -> AsyncGenerator[Call]:
        trust, tally = self._world.trust, self._tally
        url = f"{self._world.proxy.url}/{route}"
        async with connect(
            url,
            stream=wire,
            anchor=trust.anchors,
            ca=trust.ca,
            frame_ms=FRAME_MS,
            **options,  # pyright: ignore[reportArgumentType]
        ) as call:
            tally.calls += 1
            tally.resumed += call.statistics.is_resumed
            try:
                yield call
            finally:
                tally.epochs += call.statistics.epochs
                tally.reauthentications += call.statistics.reauthentications

    def _frame(self, number: int) -> bytes:
        mark = self._place.to_bytes(2) + self._visit.to_bytes(3) + number.to_bytes(3)
        return mark * (FRAME_BYTES // len(mark))

    async def _talk(self, call: Call, frames: int) -> "_Hearing":
        """Send so many frames, wait until they are back, hang up."""
        hearing = _Hearing(self._frame)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hearing.hear, call)
            await _send(call, hearing, frames)
            with trio.move_on_after(PATIENCE / 2):
                await hearing.until(frames)
            await call.close()
        hearing.raise_failure()
        return hearing

    async def _talk_until_it_ends(self, call: Call, hearing: "_Hearing", seconds: float) -> None:
        """Send frames for so long.  Raises the call's failure."""
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send, call, hearing, _FOR_EVER)
                await hearing.hear(call)
                nursery.cancel_scope.cancel()
        hearing.raise_failure()

    async def _collect(self, call: Call, numbers: list[int]) -> None:
        async for item in call:
            if isinstance(item, Audio):
                number = int.from_bytes(item.payload[5:8])
                numbers.append(number)
                if item.payload != self._frame(number):
                    self._tally.fault("a frame of somebody else, or a damaged one")

    def _ordered(self, hearing: "_Hearing") -> None:
        self._tally.others_returned += hearing.returned
        if not hearing.is_whole:
            self._tally.fault(f"frames before the end: {hearing}")

    def _end(self, kind: str, how: str) -> None:
        self._tally.ends[f"{kind}: {how}"] += 1


class _Hearing:
    """What of one's own frames came back."""

    def __init__(self, frame: Callable[[int], bytes]) -> None:
        self.sent = 0
        self.returned = 0
        """Those that were the next one."""
        self.others = 0
        self.ended: Ended | None = None
        self._failure: CallError | None = None
        self.frame = frame
        self._news = trio.Event()

    @property
    def is_whole(self) -> bool:
        """Whether every frame that came was the one behind that before it."""
        return self.others == 0

    def take(self, item: object) -> None:
        if isinstance(item, Ended):
            self.ended = item
        elif isinstance(item, Audio):
            if item.payload == self.frame(self.returned):
                self.returned += 1
            else:
                self.others += 1
        self._news.set()
        self._news = trio.Event()

    async def hear(self, call: Call) -> None:
        """Hear all; a failure is kept for later, since nurseries wrap what is raised in them."""
        try:
            async for item in call:
                self.take(item)
        except CallError as error:
            self._failure = error

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def until(self, frames: int) -> None:
        while self.returned < frames:
            await self._news.wait()

    def __str__(self) -> str:
        return f"{self.returned} came back in order, {self.others} were others, ended by {self.ended}"


async def _send(call: Call, hearing: _Hearing, frames: int) -> None:
    begin = trio.current_time()
    with suppress(CallError):  # who hears is told why
        for number in range(frames):
            await trio.sleep_until(begin + number * FRAME_MS / 1000)
            await call.send(hearing.frame(number))
            hearing.sent += 1


async def _next(call: Call) -> object:
    async for item in call:
        return item
    return None


_Act = Callable[[Visitor, float], Awaitable[None]]
_KINDS: dict[str, tuple[float, _Act]] = {
    "hung up": (8, Visitor.hang_up),
    "left in the middle": (2, Visitor.leave),
    "vanished": (2, Visitor.vanish),
    "broke off the handshake": (3, Visitor.break_off),
    "did not read": (1, Visitor.dawdle),
    "with a backend that comes and goes": (2, Visitor.be_let_down),
    "with a wrong token": (1, Visitor.lie),
}
"""How often each comes, against the others."""
