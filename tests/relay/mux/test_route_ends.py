"""Ends of connections and of calls on them: breaks, garbage, silence, leave, our own faults, and cancelled anywhere."""

import socket
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sottovoce.relay.mux.connection import SharedConnection
from sottovoce.relay.mux.machine import IDLE_SECONDS
from sottovoce.wire import frames
from tests.relay.calls import END, START, RecordingSink
from tests.relay.mux.house import house
from tests.relay.mux.talking import credit, frame, split
from tests.relay.steps import cancelled_at_each_step

SOUND = frames.encode_audio(b"abc", 0, None)
HEARD = ("audio", b"abc", 0, None)


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


@pytest.mark.parametrize("is_slow", [False, True], ids=["reads nothing", "reads a little"])
async def test_a_backend_that_talks_and_does_not_read_is_given_up(autojump_clock: MockClock, *, is_slow: bool) -> None:
    """A local socket has no kernel's word for it.  One that is slow is not given up, however much waits."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)  # noqa: FBT003  its only argument
    connection = SharedConnection(trio.SocketStream(trio.socket.from_stdlib_socket(ours)), b"", silence_seconds=10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        sink = RecordingSink()
        leg = connection.machine.open(START, sink, 300, trio.current_time(), lambda: None)
        await wait_all_tasks_blocked()
        theirs.send(frame("opened", 1))
        await wait_all_tasks_blocked()
        leg.begin()
        for _ in range(300):
            leg.audio(frames.encode_audio(bytes(160), 0, None), 0)
        theirs.send(credit(1, 300))  # so that all of it waits in one write
        for _ in range(25):
            theirs.send(frame("ping", 0, bytes(8)))
            if is_slow:
                theirs.recv(1500)
            await trio.sleep(1.0)
            if connection.machine.is_ended:
                break
        assert connection.machine.is_clogged
        assert connection.machine.is_ended is not is_slow
        if not is_slow:
            assert connection.machine.fault is not None
            assert "took nothing" in connection.machine.fault.detail
            assert [name for name, *_ in sink.told] == ["backend_closed"]
        nursery.cancel_scope.cancel()
    theirs.close()


async def test_dense_frames_of_all_calls_are_written_together() -> None:
    """So long lies between two writes.  The first of a quiet time leaves at once, and the last words in any case."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)  # noqa: FBT003  its only argument
    connection = SharedConnection(
        trio.SocketStream(trio.socket.from_stdlib_socket(ours)), b"", silence_seconds=10.0, gather_seconds=0.1
    )
    spoken = frames.encode_audio(bytes(160), 0, None)

    def heard() -> list[tuple[str, int]]:
        with suppress(BlockingIOError):
            return [(name, call) for name, call, _ in split(theirs.recv(65_536))[0]]
        return []

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        await wait_all_tasks_blocked()
        legs = [
            connection.machine.open(START, RecordingSink(), 50, trio.current_time(), lambda: None) for _ in range(2)
        ]
        assert heard() == [("open", 1)]
        theirs.send(frame("opened", 1) + frame("opened", 2) + credit(1, 100) + credit(2, 100))
        await trio.sleep(0.3)
        assert heard() == [("open", 2)]
        for _ in range(2):
            for leg in legs:
                leg.audio(spoken, 0)
                leg.flush()
        assert heard() == [("audio", 1)]
        await trio.sleep(0.3)
        assert heard() == [("audio", 2), ("audio", 1), ("audio", 2)]
        legs[0].audio(spoken, 0)
        legs[0].flush()
        for leg in legs:
            leg.stop(END)
        nursery.cancel_scope.cancel()
    assert heard() == [("audio", 1), ("stop", 1), ("stop", 2)]
    theirs.close()


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
        other, faulty = RecordingSink(), Faulty()
        async with home.call(other), home.call(faulty):
            await home.peers[0].say(frame("clear", 2) + frame("audio", 1, b"\0abc"))
            assert str(await faulty.crash()) == "ours"
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


@pytest.mark.parametrize("over_sockets", [False, True])
async def test_a_fault_of_our_own_while_writing_ends_the_connection_and_not_the_process(*, over_sockets: bool) -> None:
    async with house(over_sockets=over_sockets) as home:
        sink = RecordingSink()
        async with home.call(sink):
            await wait_all_tasks_blocked()
            connection = home.route._backend._connection
            assert connection is not None
            connection.machine.out.append("no bytes")  # type: ignore[arg-type]
            await home.peers[0].say(frame("ping", 0, bytes(8)))
            ((what, reason),) = await sink.hear(1)
            assert what == "backend_closed"
            assert "TypeError" in str(reason)
        async with home.call():
            assert len(home.peers) == 2


class _Faulty(RecordingSink):
    """A sink that breaks its word."""

    def audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        raise LookupError("ours")

    def hung_up(self, reason: str) -> None:
        raise LookupError("ours")


@pytest.mark.parametrize("over_sockets", [False, True])
@pytest.mark.parametrize("said", [frame("stop", 2), frame("audio", 2, b"\0abc")])
async def test_a_fault_of_our_own_ends_its_call_whenever_it_happens_and_no_other(
    said: bytes, *, over_sockets: bool
) -> None:
    async with house(over_sockets=over_sockets) as home:
        sink = RecordingSink()
        async with home.call(sink):
            (peer,) = home.peers
            peer.with_opened = said if said == frame("stop", 2) else b""

            faulty = _Faulty()
            async with home.call(faulty):
                await wait_all_tasks_blocked()
                await peer.say(said)
                assert isinstance(await faulty.crash(), LookupError)
            await wait_all_tasks_blocked()
            await peer.say(frame("audio", 1, b"\0abc"))
            await sink.hear(1)
        assert sink.told == [("audio", b"abc", 0, None)]


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
