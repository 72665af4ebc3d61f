"""The shells: one connection for all calls, made when it is wanted, and every frame of a turn in one write."""

import socket

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from sottovoce.relay import BackendDown, Leg
from sottovoce.relay.mux import Backend
from sottovoce.transport import TlsError, TlsReason
from sottovoce.wire import frames
from tests.relay.calls import END, RecordingSink
from tests.relay.mux.house import house
from tests.relay.mux.talking import frame

SOUND = frames.encode_audio(b"abc", 0, None)
HEARD = ("audio", b"abc", 0, None)


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
    await theirs.send_eof()

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


async def test_a_backend_that_takes_a_call_and_gives_it_up_at_once_is_not_asked_again(
    autojump_clock: MockClock,
) -> None:
    async with house(attempts=3) as home:
        home.next = {"with_opened": frame("error", 1, b'{"code": "failed"}')}
        sink = RecordingSink()
        async with home.call(sink) as leg:
            assert sink.told == [("backend_closed", "failed: it gave the call up: failed")]
            leg.stop(END)
        await trio.sleep(1)
        assert home.peers[0].names() == [("open", 1), ("stop", 1)]
        connection = home.route._backend._connection
        assert connection is not None
        assert connection.machine.calls == 0


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
