"""What every data plane does, whoever carries the frames: each must pass this as it stands."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from sottovoce.plane import CROWD_CONTROLS, MAX_REPLY_BYTES, FlowStatistics, Loss
from sottovoce.session import Clear, Dtmf, Ended, EpochStarted, Mark, ServerSession
from sottovoce.transport import PeerClosed, TextMessage, WsFailed
from sottovoce.wire import Code
from tests.plane.scene import PATIENCE_SECONDS, PLANES, QUEUE_FRAMES, MakePlane, Scene, frame, scene
from tests.transport.lines.ends import settle

MUCH = bytes(60_000)

pytestmark = pytest.mark.parametrize("make_plane", PLANES.values(), ids=PLANES)


def heard(*numbers: int) -> list[bytes]:
    return [b"\0" + frame(number) for number in numbers]


def mark(name: str):  # noqa: ANN201  a control frame
    return lambda session, now: session.send_mark(name, now)


async def clog(there: Scene) -> None:
    """Have so much written that a client that reads nothing takes not all of it."""
    while not there.flow.is_clogged:
        there.flow.send_audio(frame(0), 0, None)
        there.flow.flush()
        await settle()


@pytest.mark.parametrize("kind", ["memory", "socket", "tcp"])
async def test_audio_passes_both_ways(make_plane: MakePlane, kind: str, autojump_clock: MockClock) -> None:
    async with scene(make_plane, kind) as there:
        for number in range(5):
            there.speak(there.seal(number))
            await there.send()
            there.flow.send_audio(frame(number), 0, None)
            there.flow.flush()
            assert await there.read() == [frame(number)]
        assert there.call.heard == heard(0, 1, 2, 3, 4)
        assert there.call.flushes == 5
        assert there.flow.statistics == FlowStatistics(from_client=5, to_client=5, dropped=0)
        assert there.call.arrivals == []


async def test_what_a_read_brings_together_is_flushed_once(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        there.speak(*(there.seal(number) for number in range(4)))
        await there.send()
        assert (there.call.heard, there.call.flushes) == (heard(0, 1, 2, 3), 1)
        for number in range(4):
            there.flow.send_audio(frame(number), 0, None)
        there.flow.flush()
        assert await there.read() == [frame(number) for number in range(4)]


@given(st.lists(st.sampled_from(["audio", "dtmf", "text"]), max_size=12), st.integers(1, 400))
def test_the_order_is_the_clients_however_its_bytes_are_cut(make_plane: MakePlane, said: list[str], size: int) -> None:
    async def run() -> None:
        async with scene(make_plane) as there:
            order: list[str] = []
            there.call.on_audio = lambda _: order.append("audio")
            for number, what in enumerate(said):
                if what == "audio":
                    there.speak(there.seal(number))
                elif what == "dtmf":
                    assert there.pair.client.send_dtmf(5, 100, trio.current_time())
                    there.speak(*there.pair.client.to_send())
                else:
                    there.websocket.send_text("no record")
            take = there.call.settle

            def settled() -> None:
                take()
                order.extend("dtmf" for event in there.call.events if isinstance(event, Dtmf))
                there.call.events.clear()

            there.call.settle = settled  # type: ignore[method-assign]
            there.call.arrived = lambda events: order.extend("text" for each in events if isinstance(each, TextMessage))  # type: ignore[method-assign]
            await there.send(size)
            assert order == said

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_a_new_epoch_in_the_midst_of_both_directions(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane, epoch_seconds=300) as there:
        client = there.pair.client
        due = client.next_deadline()
        assert due is not None
        await trio.sleep_until(due)
        client.on_deadline(trio.current_time())
        for number in range(40):
            there.speak(*client.to_send(), there.seal(number))
            await there.send()
            there.flow.send_audio(frame(number), 0, None)
            there.flow.flush()
            await there.read(0.02)
        assert client.epoch == there.pair.server.epoch == 2
        assert there.call.heard == heard(*range(40))
        assert any(isinstance(event, EpochStarted) for event in there.call.events)
        assert there.flow.statistics.to_client == 40


@pytest.mark.parametrize("every", [1, 3, 20])
async def test_frames_pass_as_ever_when_a_flow_is_had_rest(
    make_plane: MakePlane, every: int, autojump_clock: MockClock
) -> None:
    async with scene(make_plane, messages_per_key=16) as there:
        for number in range(60):
            if number % every == 0:
                there.flow.rest()
            there.speak(there.seal(number))
            await there.send()
            there.flow.send_audio(frame(number), 0, None)
            there.flow.flush()
            assert await there.read(0.02) == [frame(number)]
        assert there.call.heard == heard(*range(60))
        there.call.session.close(Code.NORMAL, trio.current_time())
        there.call.settle()
        there.flow.rest()
        assert isinstance((await there.read())[-1], Ended)


async def test_many_generations_pass(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane, messages_per_key=16) as there:
        for number in range(100):
            there.speak(there.seal(number))
            there.flow.send_audio(frame(number), 0, None)
        await there.send(1_000)
        there.flow.flush()
        assert there.call.heard == heard(*range(100))
        assert await there.read() == [frame(number) for number in range(100)]


async def test_a_slow_client_loses_the_oldest_audio_and_no_control_frame(
    make_plane: MakePlane, autojump_clock: MockClock
) -> None:
    async with scene(make_plane) as there:
        await clog(there)
        before = there.flow.statistics.to_client
        there.flow.send(mark("a"))
        for number in range(1, QUEUE_FRAMES + 3):
            there.flow.send_audio(frame(number), 0, None)
        there.flow.send(mark("b"))
        there.flow.flush()
        assert there.flow.statistics.dropped == 2
        kept = [frame(number) for number in range(3, QUEUE_FRAMES + 3)]
        told = await there.read()
        assert told[before:] == [Mark("a"), *kept, Mark("b")]
        assert there.pair.client.is_open  # no gap
        assert "made room" in there.call.told


async def test_what_waits_can_be_forgotten(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        await clog(there)
        before = there.flow.statistics.to_client
        there.flow.send_audio(frame(1), 0, None)
        there.flow.forget_audio()
        there.flow.send(ServerSession.send_clear)
        told = await there.read()
        assert told[before:] == [Clear()]
        await clog(there)
        there.flow.send(mark("never"))
        there.flow.forget_all()
        assert Mark("never") not in await there.read()


async def test_a_crowd_of_control_frames_is_told(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        await clog(there)
        for _ in range(CROWD_CONTROLS):
            assert not there.flow.is_crowded
            there.flow.send(mark("m"))
        assert there.flow.is_crowded
        assert not there.flow.is_full


async def test_whoever_waits_for_all_to_be_written(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there, trio.open_nursery() as nursery:
        await clog(there)
        nursery.start_soon(there.flow.flush_all)
        await settle()
        assert len(nursery.child_tasks) == 1
        await there.read()


async def test_patience_is_counted_from_the_last_that_was_taken(
    make_plane: MakePlane, autojump_clock: MockClock
) -> None:
    async with scene(make_plane) as there:
        flow = there.flow
        assert not flow.is_stalled(trio.current_time() + 1_000)  # nothing waits
        for _ in range(200):
            flow.send_audio(frame(0), 0, None)
        flow.flush()
        began = trio.current_time()
        assert flow.is_clogged
        assert there.call.told == ["falls due"]
        assert flow.stalls_at == began + PATIENCE_SECONDS
        assert not flow.is_stalled(began + PATIENCE_SECONDS - 1)
        await trio.sleep(PATIENCE_SECONDS)
        assert flow.is_stalled(trio.current_time())
        await there.read()
        assert not flow.is_stalled(trio.current_time() + 1_000)


async def test_a_record_that_is_none_ends_the_session(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        record = bytearray(there.seal(1))
        record[-1] ^= 1
        there.speak(bytes(record), there.seal(2))
        await there.send()
        ended = there.call.events[-1]
        assert isinstance(ended, Ended)
        assert (ended.code, there.call.heard) == (Code.DECRYPT_FAILED, [])
        assert isinstance((await there.read())[-1], Ended)  # the client hears why


async def test_after_the_epochs_age_nothing_is_opened_or_sealed(
    make_plane: MakePlane, autojump_clock: MockClock
) -> None:
    async with scene(make_plane, epoch_seconds=300) as there:
        record = there.seal(1)
        await trio.sleep(301)
        there.flow.send_audio(frame(1), 0, None)
        there.flow.flush()
        assert there.flow.statistics.to_client == 0
        assert "again" not in there.call.told
        await trio.sleep(100)
        there.speak(record)
        await there.send()
        assert there.call.heard == []
        assert isinstance(there.call.events[-1], Ended)


async def test_audio_with_a_timestamp_or_flags_is_audio(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        record = there.pair.client.seal_audio(frame(1), trio.current_time(), flags=0x20, timestamp=7)
        there.speak(record or b"", there.seal(2))
        await there.send()
        assert there.call.heard == [b"\x30" + (7).to_bytes(4) + frame(1), *heard(2)]
        there.flow.send_audio(frame(1), 0x20, 7)
        there.flow.flush()
        (got,) = await there.read()
        assert got == (7).to_bytes(4) + frame(1)


async def test_data_and_constant_padding_go_through_the_session(
    make_plane: MakePlane, autojump_clock: MockClock
) -> None:
    async with scene(make_plane, padding=2) as there:
        assert there.pair.client.send_audio(frame(1), trio.current_time())
        for _ in range(3):
            await trio.sleep(0.02)
            there.pair.client.on_deadline(trio.current_time())
            there.speak(*there.pair.client.to_send())
        await there.send()
        assert there.call.heard == heard(1)
        there.flow.send_audio(frame(2), 0, None)
        there.flow.flush()
        assert there.flow.statistics.to_client == 1  # in its slot
        for _ in range(3):
            await trio.sleep(0.02)
            there.pair.server.on_deadline(trio.current_time())
            there.flow.flush()
        assert frame(2) in await there.read()


async def test_nothing_comes_while_it_is_held(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there, trio.open_nursery() as nursery:
        there.flow.hold()
        there.speak(there.seal(1))
        nursery.start_soon(there.send)
        await trio.sleep(5)
        assert there.call.heard == []
        there.flow.resume()
        await settle()
        assert there.call.heard == heard(1)


async def test_without_an_ear_records_are_told_as_they_came(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        there.flow.ear = None
        there.speak(record := there.seal(1))
        await there.send()
        assert there.call.arrivals == [record]
        there.flow.ear = there.call
        there.flow.take(there.call.arrivals)
        assert there.call.heard == heard(1)


async def test_the_websockets_own_answers(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        there.websocket.send_ping(b"are you there?")
        await there.send()
        data = await there.peer.receive_some()
        assert data.endswith(b"are you there?")
        await clog(there)
        for _ in range(MAX_REPLY_BYTES // 100 + 1):
            there.websocket.send_ping(bytes(100))
            await there.send()
        assert "lost" in there.call.told
        assert there.flow.loss == Loss("the client asks and does not read the answers", is_clients_fault=True)


async def test_a_close_is_written_behind_all_that_waits(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        there.flow.send_audio(frame(1), 0, None)
        there.flow.close_code = 1000
        there.flow.flush()
        assert await there.read() == [frame(1), PeerClosed(1000, "")]
        await there.send()  # the client's half of the closing handshake
        assert there.flow.is_over
        there.flow.send_audio(frame(2), 0, None)  # nobody takes it
        there.flow.flush()
        assert not there.flow.is_clogged


async def test_an_end_without_a_close(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        there.speak(there.seal(1))
        await there.send()
        await there.peer.aclose()
        await settle()
        assert there.call.heard == heard(1)
        (failed,) = there.call.arrivals
        assert isinstance(failed, WsFailed)
        assert there.call.told == ["lost"]
        assert there.flow.loss is None


async def test_a_record_that_does_not_open_is_known_before_anything_is_told(
    make_plane: MakePlane, autojump_clock: MockClock
) -> None:
    async with scene(make_plane) as there:
        known: list[Loss | None] = []
        there.call.arrived = lambda _events: known.append(there.flow.loss)  # type: ignore[method-assign]
        there.call.connection_lost = lambda: known.append(there.flow.loss)  # type: ignore[method-assign]
        await there.peer.transport.send_all(b"\x17\x03\x03\x00\x40" + bytes(64))
        await settle()
        loss = Loss("TLS failed: decryption failed or bad record mac", is_clients_fault=True)
        assert known == [loss, loss]


async def test_an_ear_that_raises_ends_its_own_call(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    async with scene(make_plane) as there, scene(make_plane) as other:
        there.call.on_audio = fail
        there.speak(there.seal(1))
        await there.send()
        assert isinstance(there.call.error, ZeroDivisionError)
        other.speak(other.seal(1))
        await other.send()
        assert other.call.heard == heard(1)


async def test_a_dropped_flow_tells_nothing(make_plane: MakePlane, autojump_clock: MockClock) -> None:
    async with scene(make_plane) as there:
        await there.flow.drop()
        there.call.told.clear()
        there.flow.send_audio(frame(1), 0, None)
        there.flow.flush()
        await trio.aclose_forcefully(there.peer.transport)
        await settle()
        assert (there.call.told, there.call.error) == ([], None)


@pytest.mark.parametrize("kind", ["memory", "socket"])
async def test_dropped_while_something_has_not_left_it_tells_nothing_either(
    make_plane: MakePlane, kind: str, autojump_clock: MockClock
) -> None:
    async with scene(make_plane, kind) as there:
        await clog(there)
        there.flow.send(mark("waits"))
        there.call.told.clear()
        await there.flow.drop()
        there.flow.flush()
        there.flow.send_audio(frame(1), 0, None)
        there.flow.flush()
        assert Mark("waits") not in await there.read()
        await settle()
        assert (there.call.told, there.call.error) == ([], None)
