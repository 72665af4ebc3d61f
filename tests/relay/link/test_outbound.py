"""The queue in front of a backend: order kept, oldest audio dropped and its hole told, control never dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay import BackendDown, BackendFault
from sottovoce.relay.link.outbound import MAX_CONTROLS, OutboundQueue


def test_things_leave_in_the_order_they_came() -> None:
    queue = OutboundQueue(10)
    queue.put_control("start")
    queue.put_audio(b"a", 0)
    queue.put_control("mark")
    queue.put_audio(b"b", 3)
    assert len(queue.items) == 4
    assert list(queue.drain()) == ["start", (b"a", 0), "mark", (b"b", 3)]
    assert not queue.items
    assert list(queue.drain()) == []


def test_the_oldest_frame_goes_and_the_next_inherits_the_hole() -> None:
    queue = OutboundQueue(2)
    queue.put_control("first")
    for number, frame in enumerate((b"a", b"b")):
        queue.put_audio(frame, number)
    queue.put_control("last")
    queue.put_audio(b"c", 0)
    assert list(queue.drain()) == ["first", (b"b", 2), "last", (b"c", 0)]
    assert queue.dropped_frames == 1


def test_one_frame_may_wait_alone() -> None:
    queue = OutboundQueue(1)
    for frame in (b"a", b"b", b"c"):
        queue.put_audio(frame, 0)
    assert list(queue.drain()) == [(b"c", 2)]


def test_a_full_queue_of_control_means_a_backend_that_does_not_read() -> None:
    queue = OutboundQueue(1)
    for number in range(MAX_CONTROLS):
        queue.put_control(str(number) if number % 2 else b"data")
    with pytest.raises(BackendDown) as caught:
        queue.put_control("one more")
    assert caught.value.fault is BackendFault.STUCK
    assert len(queue.items) == MAX_CONTROLS
    queue.drain()
    queue.put_control("room again")


@given(st.integers(1, 5), st.lists(st.tuples(st.sampled_from(["audio", "text", "drain"]), st.integers(0, 3))))
def test_nothing_is_lost_unseen(max_frames: int, steps: list[tuple[str, int]]) -> None:
    queue = OutboundQueue(max_frames)
    put_frames = put_texts = holes = 0
    left: list[object] = []
    for number, (step, lost) in enumerate(steps):
        if step == "audio":
            queue.put_audio(str(number).encode(), lost)
            put_frames, holes = put_frames + 1, holes + lost
        elif step == "text":
            queue.put_control(str(number))
            put_texts += 1
        else:
            left += queue.drain()
        assert sum(isinstance(item, tuple) for item in queue.items) <= max_frames
    left += queue.drain()
    audio = [item for item in left if isinstance(item, tuple)]
    assert len(audio) + queue.dropped_frames == put_frames
    assert sum(lost for _, lost in audio) == holes + queue.dropped_frames
    assert len(left) - len(audio) == put_texts
    order = [int(item[0] if isinstance(item, tuple) else item) for item in left]  # pyright: ignore[reportArgumentType]
    assert order == sorted(order)
