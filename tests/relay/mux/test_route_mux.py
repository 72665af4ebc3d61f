"""The shells: one connection for all calls, made when it is wanted, and what becomes of calls when it breaks."""

import socket
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from sottovoce.relay import BackendDown, CallSink, CallStart, Leg
from sottovoce.relay.mux import Backend, MuxRoute
from sottovoce.relay.mux import frames as mux
from sottovoce.relay.mux.connection import SharedConnection
from sottovoce.relay.mux.machine import IDLE_SECONDS
from sottovoce.transport import TlsError, TlsReason
from sottovoce.wire import frames
from tests.relay.backend import Watched
from tests.relay.calls import END, START, RecordingSink
from tests.relay.mux.talking import Frame, credit, frame, split
from tests.relay.steps import cancelled_at_each_step

SOUND = frames.encode_audio(b"abc", 0, None)
HEARD = ("audio", b"abc", 0, None)


class Peer:
    """A backend at the other end of one connection; takes every call unless a test says otherwise."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard: list[Frame] = []
        self.greeting = mux.GREETING
        self.answer = True
        self.granted = 100
        self.pongs = True

    async def serve(self) -> None:
        """Greet, then read to the end, and answer what has to be answered."""
        try:
            await self._serve()
        finally:
            await trio.aclose_forcefully(self.stream)

    async def _serve(self) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(self.greeting)
            rest = b""
            while data := await self.stream.receive_some(65_536):
                rest += data
                if rest.startswith(mux.GREETING):
                    rest = rest[8:]
                new, rest = split(rest) if rest[:5] != b"SVMUX"[: len(rest)] else ([], rest)
                self.heard += new
                for name, call, body in new:
                    if name == "open" and self.answer:
                        await self.say(frame("opened", call) + credit(call, self.granted))
                    if name == "ping" and self.pongs:
                        await self.say(frame("pong", 0, body))

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def names(self) -> list[tuple[str, int]]:
        return [(name, call) for name, call, _ in self.heard]


class House:
    """A route, and the backends that it has dialled, in a nursery."""

    def __init__(self, nursery: trio.Nursery, *, attempts: int, over_sockets: bool) -> None:
        self._nursery = nursery
        self._over_sockets = over_sockets
        self.streams: list[Watched | trio.SocketStream] = []
        self.peers: list[Peer] = []
        self.failures: list[Exception | float] = []
        """For the next to dial: what to raise, or how long to take."""
        self.next: Mapping[str, object] = {}
        """Attributes of the next peers."""
        backend = Backend("bot:9000", self._open, attempts=attempts, timeout_seconds=2.0, silence_seconds=10.0)
        self.route = MuxRoute("support", backend, queue_frames=5)

    async def _open(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            await trio.sleep(failure)
        ours: Watched | trio.SocketStream
        theirs: trio.abc.Stream
        if self._over_sockets:
            ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
        else:
            one, theirs = memory_stream_pair()
            ours = Watched(one)
        self.streams.append(ours)
        peer = Peer(theirs)
        for name, value in self.next.items():
            setattr(peer, name, value)
        self.peers.append(peer)
        self._nursery.start_soon(peer.serve)
        return ours

    @asynccontextmanager
    async def call(self, sink: CallSink | None = None, start: CallStart = START) -> AsyncGenerator[Leg]:
        async with self.route.connect(start, sink or RecordingSink()) as leg:
            yield leg

    @property
    def are_closed(self) -> list[bool]:
        return [each.closed if isinstance(each, Watched) else each.socket.fileno() < 0 for each in self.streams]


@asynccontextmanager
async def house(*, attempts: int = 1, over_sockets: bool = False) -> AsyncGenerator[House]:
    async with trio.open_nursery() as nursery:
        yield House(nursery, attempts=attempts, over_sockets=over_sockets)
        nursery.cancel_scope.cancel()


async def test_calls_share_a_connection_and_it_is_kept() -> None:
    async with house() as home:
        sinks = [RecordingSink() for _ in range(3)]
        async with home.call(sinks[0]) as first, home.call(sinks[1]) as second:
            for leg in (first, second):
                leg.audio(SOUND, 0)
                leg.flush()
            await home.peers[0].say(frame("audio", 2, b"\0abc"))
            await wait_all_tasks_blocked()
            first.stop(END)
            second.stop(END)
        async with home.call(sinks[2]) as third:
            third.stop(END)
        await wait_all_tasks_blocked()
        (peer,) = home.peers
        assert [name for name in peer.names() if name[0] in {"audio", "stop"}] == [
            ("audio", 1), ("audio", 2), ("stop", 1), ("stop", 2), ("stop", 3),
        ]  # fmt: skip
        assert [sink.told for sink in sinks] == [[], [HEARD], []]
        assert home.are_closed == [False]


async def test_calls_that_come_together_wait_for_one_dial() -> None:
    async with house() as home, trio.open_nursery() as nursery:

        async def one() -> None:
            async with home.call() as leg:
                leg.stop(END)

        for _ in range(5):
            nursery.start_soon(one)
    assert len(home.peers) == 1
    assert [name for name in home.peers[0].names() if name[0] == "open"] == [("open", number) for number in range(1, 6)]


async def test_who_dials_may_be_cancelled_and_the_next_goes_on(autojump_clock: MockClock) -> None:
    async with house() as home:
        home.failures = [1.5]
        async with trio.open_nursery() as nursery:

            async def impatient() -> None:
                with trio.move_on_after(0.5):
                    async with home.call():
                        raise AssertionError("it was not cancelled")

            async def patient() -> None:
                async with home.call() as leg:
                    leg.stop(END)

            nursery.start_soon(impatient)
            await wait_all_tasks_blocked()
            nursery.start_soon(patient)
        assert len(home.peers) == 1
        assert trio.current_time() == pytest.approx(0.5)


async def test_all_frames_of_a_turn_leave_in_one_write() -> None:
    """Two clients say something at once: the hub tells both, and writes behind that."""
    async with house(over_sockets=True) as home, home.call() as first, home.call() as second:
        (stream,) = home.streams
        assert isinstance(stream, trio.SocketStream)
        writes: list[int] = []
        connection = home.route._backend._connection
        assert connection is not None
        line = connection._line
        write = line.write

        class Counting:
            """The line, which counts."""

            is_clogged = False

            def write(self, data: bytes) -> None:
                writes.append(len(data))
                write(data)

        connection._line = Counting()  # type: ignore[assignment]
        clients = [socket.socketpair() for _ in range(2)]
        hub = connection._hub
        for (ours, theirs), leg in zip(clients, (first, second), strict=True):
            theirs.send(b"x")

            def ready(_: int, ours: socket.socket = ours, leg: Leg = leg) -> None:
                ours.recv(1)
                leg.audio(SOUND, 0)
                leg.flush()

            hub.add(ours.fileno(), 1, ready)
        await wait_all_tasks_blocked()
        for ours, theirs in clients:
            hub.remove(ours.fileno(), hub.users[ours.fileno()])
            ours.close()
            theirs.close()
        connection._line = line
        assert writes == [2 * len(frame("audio", 1, b"\0abc"))]


@pytest.mark.parametrize("over_sockets", [False, True])
async def test_a_connection_that_breaks_ends_each_call_and_the_next_call_makes_another(*, over_sockets: bool) -> None:
    async with house(over_sockets=over_sockets) as home:
        sinks = [RecordingSink(), RecordingSink()]
        async with home.call(sinks[0]), home.call(sinks[1]):
            await home.peers[0].stream.aclose()
            await wait_all_tasks_blocked()
            for sink in sinks:
                ((what, reason),) = sink.told
                assert what == "backend_closed"
                assert str(reason).startswith("lost: ")
        async with home.call() as leg:
            leg.stop(END)
        assert home.are_closed == [True, False]


async def test_garbage_ends_the_connection_with_one_word_to_the_backend() -> None:
    async with house() as home:
        sink = RecordingSink()
        async with home.call(sink):
            await home.peers[0].say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await wait_all_tasks_blocked()
            assert sink.told == [("backend_closed", "bad_framing: a frame of 18516 bytes")]
            assert home.peers[0].names()[-1] == ("error", 0)
            assert home.are_closed == [True]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (b"HTTP/1.1 400", "bad_framing: bot:9000: it does not speak mux: it began with b'HTTP/1.1'"),
        (b"SVMUX\2\3\n", "bad_framing: bot:9000: it speaks versions 2 to 3 of mux, this proxy 1"),
        (b"SV", "unreachable: bot:9000: no answer in 2 s"),
    ],
)
async def test_a_backend_that_greets_otherwise(autojump_clock: MockClock, said: bytes, what: str) -> None:
    async with house() as home:
        home.next = {"greeting": said}
        with pytest.raises(BackendDown) as down:
            async with home.call():
                pass
        assert str(down.value) == what
        with pytest.raises(BackendDown) as down:
            await home.route.reach()
        assert str(down.value) == what
        assert home.are_closed == [True, True]


async def test_a_backend_that_closes_instead_of_greeting() -> None:
    ours, theirs = memory_stream_pair()
    await theirs.aclose()

    async def open_stream() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    backend = Backend("bot:9000", open_stream, attempts=1, timeout_seconds=2.0, silence_seconds=10.0)
    with pytest.raises(BackendDown, match="unreachable: bot:9000"):
        await backend.reach()


async def test_it_is_tried_again_with_pauses(autojump_clock: MockClock) -> None:
    async with house(attempts=4) as home:
        home.failures = [OSError("connection refused"), TlsError(TlsReason.PROTOCOL, "no TLS"), 5.0]
        async with home.call() as leg:
            leg.stop(END)
        assert trio.current_time() == pytest.approx(0.1 + 0.2 + 2.0 + 0.4)
        assert len(home.peers) == 1


async def test_a_refusal_is_tried_again_and_named_at_last(autojump_clock: MockClock) -> None:
    async with house(attempts=2) as home:
        home.next = {"answer": False}
        async with trio.open_nursery() as nursery:

            async def refuse() -> None:
                await trio.sleep(0.05)
                for number in (1, 2):
                    await home.peers[0].say(frame("refused", number, b'{"code": "busy"}'))
                    await trio.sleep(0.1)

            nursery.start_soon(refuse)
            with pytest.raises(BackendDown) as down:
                async with home.call():
                    pass
        assert str(down.value) == "refused: bot:9000: busy"
        assert len(home.peers) == 1


async def test_an_open_without_an_answer_is_given_up(autojump_clock: MockClock) -> None:
    async with house() as home:
        home.next = {"answer": False}
        with pytest.raises(BackendDown, match="no answer in 2 s"):
            async with home.call():
                pass
        await wait_all_tasks_blocked()
        assert home.peers[0].names() == [("open", 1), ("error", 1)]
        await home.peers[0].say(frame("opened", 1))
        home.peers[0].answer = True
        async with home.call() as leg:
            leg.stop(END)
        assert len(home.peers) == 1


async def test_a_stuck_backend_is_found_by_a_ping(autojump_clock: MockClock) -> None:
    async with house() as home:
        home.next = {"pongs": False}
        sink = RecordingSink()
        async with home.call(sink):
            await sink.hear(1)
            assert trio.current_time() == pytest.approx(10.0)
            assert sink.told == [("backend_closed", "lost: it said nothing for 10 s, not even pong")]


async def test_a_connection_that_nobody_uses_is_closed(autojump_clock: MockClock) -> None:
    async with house() as home:
        async with home.call() as leg:
            await trio.sleep(60)
            leg.stop(END)
        assert home.are_closed == [False]
        await trio.sleep(IDLE_SECONDS + 10)
        assert home.are_closed == [True]
        assert home.peers[0].names()[-1] == ("goaway", 0)
        async with home.call() as leg:
            leg.stop(END)
        assert len(home.peers) == 2


async def test_after_goaway_new_calls_go_elsewhere_and_old_ones_on() -> None:
    async with house() as home:
        sink = RecordingSink()
        async with home.call(sink) as old:
            await home.peers[0].say(frame("goaway", 0))
            await wait_all_tasks_blocked()
            async with home.call() as new:
                new.audio(SOUND, 0)
                new.flush()
                old.audio(SOUND, 0)
                old.flush()
                await wait_all_tasks_blocked()
                assert [peer.names()[-1] for peer in home.peers] == [("audio", 1), ("audio", 1)]
        assert sink.told == []


async def test_a_backend_that_does_not_read_holds_up_nobody_and_hears_the_end_later() -> None:
    """Its socket is full: audio makes room, what is said of the end arrives behind what was written before."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)  # noqa: FBT003  its only argument
    connection = SharedConnection(
        trio.SocketStream(trio.socket.from_stdlib_socket(ours)), frame("ping", 0, bytes(8)), silence_seconds=10.0
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        sink = RecordingSink()
        leg = connection.machine.open(START, sink, 5, trio.current_time(), lambda: None)
        await wait_all_tasks_blocked()
        theirs.send(frame("opened", 1) + credit(1, 100_000))
        await wait_all_tasks_blocked()
        leg.begin()
        spoken = frames.encode_audio(bytes(160), 0, None)
        for _ in range(1000):
            leg.audio(spoken, 0)
            leg.flush()
        assert connection.machine.is_clogged
        assert leg.statistics.frames_dropped_to_backend > 100
        leg.stop(END)
        heard = b""
        for _ in range(100):
            with suppress(BlockingIOError):
                heard += theirs.recv(65_536)
            await wait_all_tasks_blocked()
        told, rest = split(heard)
        assert not rest
        assert [name for name, *_ in told if name != "audio"] == ["open", "pong", "credit", "stop"]
        assert sum(name == "audio" for name, *_ in told) == leg.statistics.frames_to_backend
        nursery.cancel_scope.cancel()
    theirs.close()
    assert ours.fileno() < 0


async def test_an_exception_of_the_block_passes_as_it_is_and_the_backend_is_told() -> None:
    async with house() as home:
        with pytest.raises(KeyError, match="mine"):
            async with home.call():
                raise KeyError("mine")
        await wait_all_tasks_blocked()
        assert home.peers[0].names()[-1] == ("error", 1)


async def test_a_fault_of_our_own_ends_its_call_and_no_other() -> None:
    class Faulty(RecordingSink):
        def clear(self) -> None:
            raise LookupError("ours")

    async with house() as home:
        other = RecordingSink()
        async with home.call(other):
            with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="ours")):
                async with home.call(Faulty()):
                    await home.peers[0].say(frame("clear", 2) + frame("audio", 1, b"\0abc"))
                    await trio.sleep_forever()
            assert other.told == [HEARD]


async def test_a_fault_of_our_own_that_is_no_calls_ends_all(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house() as home:
        sink = RecordingSink()
        async with home.call(sink):
            connection = home.route._backend._connection
            assert connection is not None
            monkeypatch.setattr(connection.machine, "_read", lambda *_: 1 / 0)
            await home.peers[0].say(b"x")
            await wait_all_tasks_blocked()
            ((what, reason),) = sink.told
            assert (what, reason) == (
                "backend_closed",
                "lost: a fault in the proxy: ZeroDivisionError: division by zero",
            )


async def test_a_connection_of_an_earlier_run_is_not_used() -> None:
    async with house() as home:
        async with home.call():
            pass
        connection = home.route._backend._connection
        assert connection is not None
        connection.crashed(LookupError("as if its run had ended"))
        async with home.call():
            pass
        assert len(home.peers) == 2


async def test_cancelled_at_every_step() -> None:
    """Wherever a call is cancelled, the others go on, and the backend hears an end of every call it heard of."""
    async with house() as home:
        sink = RecordingSink()
        async with home.call(sink) as other:

            async def run() -> None:
                async with home.call() as leg:
                    leg.audio(SOUND, 0)
                    leg.flush()
                    await trio.lowlevel.checkpoint()
                    leg.stop(END)

            tries = 0
            async for _ in cancelled_at_each_step(run):
                tries += 1
                await wait_all_tasks_blocked()
            assert tries > 3
            other.audio(SOUND, 0)
            other.flush()
            await wait_all_tasks_blocked()
            assert sink.told == []
        (peer,) = home.peers
        names = peer.names()
        assert ("audio", 1) in names
        opened = {call for name, call in names if name == "open"} - {1}
        assert opened == {call for name, call in names if name in {"stop", "error"}} - {1}
        assert all(sum(each in {("stop", call), ("error", call)} for each in names) == 1 for call in opened)


async def test_the_first_call_cancelled_at_every_step_leaves_a_connection_that_serves() -> None:
    async def run() -> None:
        async with house() as home, home.call() as leg:
            leg.stop(END)

    async for _ in cancelled_at_each_step(run):
        await wait_all_tasks_blocked()


def test_a_header_is_what_the_document_says() -> None:
    assert struct.calcsize(">HIB") == mux.HEADER_BYTES
