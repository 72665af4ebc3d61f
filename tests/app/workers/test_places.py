"""Who accepts from which socket, and whose address it is."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.app.workers.backoff import MAX_SECONDS, WELL_SECONDS, Backoff
from sottovoce.app.workers.places import share_out
from sottovoce.edge import Address, AddressUnusable, bind_several


@given(st.integers(1, 8), st.sets(st.integers(0, 9), max_size=9))
def test_every_place_has_somebody_and_everybody_a_place(places: int, workers: set[int]) -> None:
    shares = share_out(places, workers)
    assert shares.keys() == workers
    taken = [place for share in shares.values() for place in share]
    if workers:
        assert set(taken) == set(range(places))
    assert all(shares.values())
    for worker in workers:
        assert worker >= places or shares[worker][0] == worker, "who has a place has his own first"


def test_a_lost_workers_place_is_one_others() -> None:
    assert share_out(2, [0, 1]) == {0: (0,), 1: (1,)}
    assert share_out(2, [1]) == {1: (1, 0)}
    assert share_out(4, [0, 3]) == {0: (0, 1), 3: (3, 2)}
    assert share_out(1, [0, 1]) == {0: (0,), 1: (0,)}
    assert share_out(2, []) == {}


def test_several_share_an_address_that_nobody_else_may_join() -> None:
    bound = bind_several("listener", Address("127.0.0.1", 0), 3)
    try:
        port = bound[0].getsockname()[1]
        assert {each.getsockname()[1] for each in bound} == {port}
        for count in (1, 2):
            with pytest.raises(AddressUnusable, match="choose another port"):
                bind_several("listener", Address("127.0.0.1", port), count)
    finally:
        for each in bound:
            each.close()


def test_what_nobody_has_accepted_yet_stays_with_the_place() -> None:
    (bound,) = bind_several("listener", Address("127.0.0.1", 0), 1)
    with bound, socket.create_connection(bound.getsockname()) as waiting:
        with bound.dup():  # of a worker that is gone
            pass
        bound.setblocking(True)  # noqa: FBT003  its only argument
        accepted, _ = bound.accept()
        with accepted:
            assert accepted.getpeername() == waiting.getsockname()


def test_a_worker_that_ends_soon_is_started_later_each_time_and_one_that_was_well_at_once() -> None:
    backoff = Backoff()
    assert [round(backoff.ended(1.0), 3) for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    assert max(backoff.ended(1.0) for _ in range(10)) == MAX_SECONDS
    assert backoff.ended(WELL_SECONDS) == 0.1
