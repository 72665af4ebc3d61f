"""What a bot sends at once is given out in frames, in order, at the speed of speech."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay.link.playout import (
    FLUSH_SECONDS,
    LEAD_SECONDS,
    MARK_SPACING_SECONDS,
    MAX_MARKS,
    MAX_WAITING_SECONDS,
    Playout,
)
from sottovoce.wire import FRAME_MILLISECONDS, MAX_MARK_BYTES

Given = list[tuple[float, bytes | str]]
AUDIO = bytes(range(256)) * 400


def playout(frame_ms: int = 20) -> Playout:
    return Playout(frame_ms, 8000, bytes)


def play(player: Playout, now: float, end: float = 1e9) -> Given:
    """Take at each deadline up to `end`; give what came and when."""
    given: Given = [(now, item) for item in player.take(now)]
    while (deadline := player.deadline()) is not None and deadline <= end:
        before = now
        now = max(now, deadline)
        items = player.take(now)
        assert items or now > before, "a deadline that changes nothing"
        given += [(now, item) for item in items]
    return given


def audio_of(given: Given) -> bytes:
    return b"".join(item for _, item in given if isinstance(item, bytes))


@given(
    st.lists(st.one_of(st.integers(0, 3000), st.text(max_size=5)), max_size=30),
    st.sampled_from(FRAME_MILLISECONDS),
    st.lists(st.floats(0, 0.5), min_size=30, max_size=30),
)
def test_samples_in_are_samples_out_and_marks_keep_their_place(
    sent: list[int | str], frame_ms: int, pauses: list[float]
) -> None:
    player, now, at, given = playout(frame_ms), 0.0, 0, []
    marks: list[tuple[str, int]] = []
    for item, pause in zip(sent, pauses, strict=False):
        if isinstance(item, int):
            assert player.put_audio(AUDIO[at : at + item], now) == 0
            at += item
        else:
            assert player.put_mark(item)
            marks.append((item, at))
        given += play(player, now, now + pause)
        now += pause
    given += play(player, now)
    assert audio_of(given) == AUDIO[:at]
    assert all(len(item) <= 8 * frame_ms for _, item in given if isinstance(item, bytes))
    heard, behind = [], 0
    for _, item in given:
        if isinstance(item, bytes):
            behind += len(item)
        else:
            names = player.played(item)
            assert names
            heard += [(name, behind) for name in names]
    assert [name for name, _ in heard] == [name for name, _ in marks]
    assert all(theirs >= ours for (_, theirs), (_, ours) in zip(heard, marks, strict=True))
    assert player.deadline() is None


@given(st.integers(1, 20_000), st.sampled_from(FRAME_MILLISECONDS))
def test_a_burst_is_given_at_the_speed_of_speech(length: int, frame_ms: int) -> None:
    player = playout(frame_ms)
    player.put_audio(AUDIO[:length], 5.0)
    given = play(player, 5.0)
    seconds = 0.0
    for now, item in given:
        assert seconds <= now - 5 + LEAD_SECONDS + 1e-9
        assert seconds >= now - 5 - FLUSH_SECONDS - 1e-9  # never behind, but for a part that might become a frame
        seconds += len(item) / 8000
    assert all(len(item) == 8 * frame_ms for _, item in given[:-1])


def test_audio_at_the_speed_of_speech_is_passed_on_at_once() -> None:
    player = playout()
    for number in range(100):
        player.put_audio(AUDIO[:160], number * 0.02)
        assert player.take(number * 0.02) == [AUDIO[:160]]
        assert player.deadline() is None


def test_a_mark_takes_the_part_of_a_frame_before_it_along() -> None:
    player = playout()
    player.put_audio(AUDIO[:200], 0)
    assert player.take(0) == [AUDIO[:160]]
    player.put_mark("x")
    assert player.take(0) == [AUDIO[160:200], "1:x"]


def test_a_part_of_a_frame_goes_when_nothing_follows() -> None:
    player = playout()
    player.put_audio(AUDIO[:100], 1.0)
    assert player.take(1.0) == []
    assert player.deadline() == 1.0 + FLUSH_SECONDS
    assert player.take(1.0 + FLUSH_SECONDS) == [AUDIO[:100]]


def test_marks_that_come_thick_are_one_for_the_client() -> None:
    player = playout()
    given: Given = []
    for number in range(50):  # as bots do that mark every chunk
        player.put_audio(AUDIO[:160], number * 0.02)
        player.put_mark(str(number))
        given += [(number * 0.02, item) for item in player.take(number * 0.02)]
    given += play(player, 1.0)
    times = [now for now, item in given if isinstance(item, str)]
    assert all(later - earlier >= MARK_SPACING_SECONDS - 1e-9 for earlier, later in pairwise(times))
    names = [name for _, item in given if isinstance(item, str) for name in player.played(item)]
    assert names == [str(number) for number in range(50)]


def test_clear_forgets_audio_and_gives_every_mark_back_in_order() -> None:
    player = playout()
    for name in ("a", "b", "a"):
        player.put_mark(name)
        player.put_audio(AUDIO[:8000], 0)
    given = player.take(0)
    assert [item for item in given if isinstance(item, str)] == ["1:a"]
    assert player.clear() == ["a", "b", "a"]
    assert player.deadline() is None
    assert player.take(5) == []
    assert player.played("1:a") == []  # a client may say so still
    player.put_mark("a")
    assert player.take(5) == ["2:a"]
    assert player.played("2:a") == ["a"]
    assert player.clear() == []


def test_after_clear_there_is_no_waiting() -> None:
    player = playout()
    player.put_audio(AUDIO[:16_000], 0)
    player.take(0)
    player.clear()
    player.put_audio(AUDIO[:160], 0.01)
    assert player.take(0.01) == [AUDIO[:160]]


def test_more_than_a_minute_is_left_out_and_counted() -> None:
    player = playout()
    assert player.put_audio(bytes(MAX_WAITING_SECONDS * 8000), 0) == 0
    assert player.put_audio(bytes(161), 0) == 2
    given = play(player, 0)
    assert len(audio_of(given)) == MAX_WAITING_SECONDS * 8000
    assert player.put_audio(bytes(161), 100) == 0


def test_many_small_messages_take_little_room() -> None:
    player = playout()
    for at in range(3000):
        player.put_audio(AUDIO[at : at + 1], 0)
    assert len(player._items) <= 2
    assert audio_of(play(player, 0)) == AUDIO[:3000]


def test_too_many_marks_are_not_taken() -> None:
    player = playout()
    player.put_audio(AUDIO[:8000], 0)
    assert all(player.put_mark(str(number)) for number in range(MAX_MARKS))
    assert not player.put_mark("one more")
    assert len(player.clear()) == MAX_MARKS
    assert player.put_mark("again")


def test_a_client_that_never_answers_costs_the_oldest_marks() -> None:
    player, given = playout(), []
    for number in range(MAX_MARKS + 5):
        player.put_mark(str(number))
        given += player.take(float(number))
    assert player.played(given[0]) == []
    assert player.played(given[-1]) == [str(MAX_MARKS + 4)]
    assert len(player.clear()) == MAX_MARKS - 1


@pytest.mark.parametrize("name", ["", "é" * 40, "x" * 1000, "\0", "🙂" * 20])
def test_the_client_knows_a_mark_by_a_name_that_fits(name: str) -> None:
    player = playout()
    player.put_mark(name)
    (alias,) = player.take(0)
    assert isinstance(alias, str)
    assert len(alias.encode()) <= MAX_MARK_BYTES
    assert alias.startswith("1:")
    assert player.played(alias) == [name]
