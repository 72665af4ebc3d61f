from sottovoce.plane import MAX_CONTROLS, AudioFrame, ClientQueue
from sottovoce.session import ServerSession
from tests.session.dialogue import Pair, talking

NOW = 1.0


def frame(number: int) -> AudioFrame:
    return (bytes([number]) * 20, 0, None)


def mark(name: str):  # noqa: ANN201  a closure of the queue's kind
    return lambda session, now: session.send_mark(name, now)


def heard(pair: Pair, records: list[bytes]) -> list[object]:
    """What the client makes of records: codec bytes, or the event's name."""
    told: list[object] = []
    for record in records:
        payload = pair.client.open_audio(record, NOW)
        told += [payload[1:]] if payload is not None else [type(event).__name__ for event in pair.client.events()]
    return told


def sealed(queue: ClientQueue, session: ServerSession, now: float = NOW) -> list[bytes]:
    records: list[bytes] = []
    queue.seal_into(records, session, now)
    return records


def test_order_is_kept_among_audio_and_control() -> None:
    pair, queue = talking(), ClientQueue(10)
    queue.put_audio(frame(1))
    queue.put_control(mark("a"))
    queue.put_audio(frame(2))
    assert heard(pair, sealed(queue, pair.server)) == [frame(1)[0], "Mark", frame(2)[0]]
    assert queue.sealed_frames == 2
    assert len(queue.items) == 0


def test_the_sessions_own_records_go_first() -> None:
    pair, queue = talking(), ClientQueue(10)
    queue.put_audio(frame(1))
    assert pair.server.send_mark("own", NOW)
    assert heard(pair, sealed(queue, pair.server)) == ["Mark", frame(1)[0]]


def test_the_oldest_audio_is_dropped_before_it_is_sealed_and_control_is_kept() -> None:
    pair, queue = talking(), ClientQueue(2)
    queue.put_audio(frame(1))
    queue.put_control(mark("a"))
    for number in (2, 3, 4):
        queue.put_audio(frame(number))
    assert queue.dropped_frames == 2
    assert heard(pair, sealed(queue, pair.server)) == ["Mark", frame(3)[0], frame(4)[0]]
    assert pair.client.is_open


def test_past_the_epochs_age_everything_waits_in_its_place() -> None:
    pair, queue = talking(), ClientQueue(10)
    queue.put_control(mark("a"))
    queue.put_audio(frame(1))
    assert sealed(queue, pair.server, 301.0) == []
    assert len(queue.items) == 2
    queue_of_audio = ClientQueue(10)
    queue_of_audio.put_audio(frame(1))
    assert sealed(queue_of_audio, pair.server, 301.0) == []
    assert len(queue_of_audio.items) == 1


def test_barge_in_drops_the_audio_and_nothing_else() -> None:
    pair, queue = talking(), ClientQueue(10)
    queue.put_audio(frame(1))
    queue.put_control(mark("a"))
    queue.put_audio(frame(2))
    queue.drop_audio()
    queue.put_audio(frame(3))
    assert heard(pair, sealed(queue, pair.server)) == ["Mark", frame(3)[0]]


def test_a_control_frame_that_ends_the_session_takes_the_rest_with_it() -> None:
    pair, queue = talking(), ClientQueue(10)

    def hang_up(session: ServerSession, now: float) -> bool:
        session.close(1000, now)
        queue.clear()
        return True

    queue.put_audio(frame(1))
    queue.put_control(hang_up)
    queue.put_audio(frame(2))
    assert heard(pair, sealed(queue, pair.server)) == [frame(1)[0], "Ended"]
    assert len(queue.items) == 0


def test_it_says_when_a_client_does_not_read() -> None:
    queue = ClientQueue(1)
    for _ in range(MAX_CONTROLS):
        assert queue.controls < MAX_CONTROLS
        queue.put_control(mark("a"))
    assert queue.controls == MAX_CONTROLS


def test_under_padding_class_2_frames_wait_here_until_the_session_takes_one() -> None:
    pair, queue = talking(padding=2), ClientQueue(10)
    queue.is_paced = True
    for number in (1, 2, 3):
        queue.put_audio(frame(number))
    assert sealed(queue, pair.server) == []
    assert (len(queue.items), queue.sealed_frames, pair.server.frames_waiting) == (2, 1, 1)
