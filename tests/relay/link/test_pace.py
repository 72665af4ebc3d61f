"""What a backend may send: the protocol's bucket for control, a minute ahead for audio."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay.link.pace import TokenBucket, audio_bucket, control_bucket


def taken(bucket: TokenBucket, now: float) -> int:
    count = 0
    while bucket.take(now):
        count += 1
    return count


def test_control_is_250_at_once_and_50_a_second() -> None:
    bucket = control_bucket(100.0)
    assert taken(bucket, 100.0) == 250
    assert taken(bucket, 101.0) == 50
    assert taken(bucket, 1000.0) == 250


@pytest.mark.parametrize(("frame_ms", "burst", "in_a_second"), [(10, 6000, 200), (20, 3000, 100), (60, 1000, 33)])
def test_audio_may_be_a_minute_ahead(frame_ms: int, burst: int, in_a_second: int) -> None:
    bucket = audio_bucket(frame_ms, 0.0)
    assert taken(bucket, 0.0) == burst
    assert taken(bucket, 1.0) == in_a_second


def test_data_is_60_000_at_once_and_1000_a_second() -> None:
    bucket = audio_bucket(0, 0.0)
    assert taken(bucket, 0.0) == 60_000
    assert taken(bucket, 1.0) == 1000


@given(st.lists(st.floats(0, 100)), st.floats(0, 100))
def test_a_clock_that_steps_back_gives_nothing(steps: list[float], start: float) -> None:
    bucket = TokenBucket(1.0, 10.0, start)
    count = sum(taken(bucket, now) for now in steps)
    assert count <= 10 + max(0.0, max([*steps, start]) - start)


RATES = [(50.0, 250.0), (20.0, 40.0), (5.0, 5.0), (500.0, 5_000.0), (100 / 3, 1_000.0), (200.0, 6_000.0), (1.0, 1.0)]


@given(
    st.sampled_from(RATES),
    st.lists(st.tuples(st.floats(-0.002, 0.1) | st.floats(0, 60), st.integers(1, 400)), max_size=30),
    st.sampled_from([0.0, 1e5, 1e7]),
)
def test_it_gives_what_a_bucket_that_counts_its_tokens_has(
    rate_and_burst: tuple[float, float], steps: list[tuple[float, int]], start: float
) -> None:
    """By a thousandth of a token; one that is asked about an earlier moment may have less to give, and never more."""
    rate, burst = rate_and_burst
    bucket, tokens, at, now = TokenBucket(rate, burst, start), burst, start, start
    for step, times in steps:
        now += step
        tokens, at = min(burst, tokens + max(0.0, now - at) * rate), max(at, now)
        for _ in range(times):
            if bucket.take(now):
                assert tokens > 1 - 0.002
                tokens -= 1
            else:
                assert tokens < 1.0001 + (at - now) * rate
                break
