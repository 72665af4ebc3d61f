"""The book: a frame is counted in the second in which it was due, and the warm-up leaves no trace."""

import pytest

from loadtest.replay.book import Book, Phase


def begun(at: float = 100.0) -> Book:
    book = Book([("wss://a/echo", ""), ("wss://b/echo", "")])
    book.began = at
    return book


def test_the_warm_up_leaves_no_trace() -> None:
    book = begun()
    route = book.routes[0]
    book.was_offered(route, 99.9, 99.9)
    book.came_back(route, 99.9, 100.5)
    book.was_wrong(route, 99.95)
    assert (book.offered, book.carried, route.wrong, book.seconds()) == (0, 0, 0, ())


def test_nothing_counts_before_it_is_said_from_when_on() -> None:
    book = Book([("wss://a/echo", "")])
    book.was_offered(book.routes[0], 5.0, 5.0)
    book.came_back(book.routes[0], 5.0, 5.1)
    assert (book.offered, book.carried) == (0, 0)


def test_a_late_frame_belongs_to_the_second_in_which_it_was_due() -> None:
    book = begun()
    route = book.routes[0]
    book.was_offered(route, 100.5, 100.501)
    book.was_offered(route, 101.5, 101.502)
    book.came_back(route, 100.5, 102.0)
    first, second = book.seconds()
    assert (first.offered, first.carried, second.offered, second.carried) == (1, 1, 1, 0)
    assert first.latency.p50 == pytest.approx(1500, rel=0.001)
    assert second.lateness.p50 == pytest.approx(2, abs=0.002)


def test_latency_is_from_the_due_instant_whenever_it_was_written() -> None:
    book = begun()
    book.was_offered(book.routes[0], 100.0, 100.2)
    book.came_back(book.routes[0], 100.0, 100.3)
    assert book.latency().quantiles().p50 == pytest.approx(300, rel=0.001)
    assert book.lateness.quantiles().p50 == pytest.approx(200, rel=0.001)


def test_a_frame_that_nobody_could_write_is_offered_and_lost() -> None:
    book = begun()
    book.was_offered(book.routes[1], 100.0, None)
    outcome = book.routes[1].outcome()
    assert (outcome.offered, outcome.carried, outcome.lost) == (1, 0, 1)
    assert book.lateness.total == 0


def test_routes_are_counted_apart() -> None:
    book = begun()
    for route, frames in zip(book.routes, (3, 5), strict=True):
        for number in range(frames):
            book.was_offered(route, 100.0 + number, 100.0 + number)
            book.came_back(route, 100.0 + number, 100.01 + number)
    assert [route.outcome().carried for route in book.routes] == [3, 5]
    assert (book.offered, book.carried, book.latency().total) == (8, 8, 8)


def test_an_old_second_is_settled_and_what_comes_later_is_still_counted() -> None:
    book = begun()
    route = book.routes[0]
    for at in (100.1, 100.2):
        book.was_offered(route, at, at)
    book.came_back(route, 100.1, 100.15)
    before = book.seconds()[0]
    for now in range(101, 130):
        book.was_offered(route, float(now), float(now))
        book.settle(float(now))
    assert book.seconds()[0] == before
    book.came_back(route, 100.2, 129.0)
    assert (book.seconds()[0].carried, book.carried) == (2, 2)


def test_the_second_that_was_over_last() -> None:
    book = begun()
    assert book.last_second(99.0).latency.count == 0
    book.was_offered(book.routes[0], 100.5, 100.5)
    book.came_back(book.routes[0], 100.5, 100.6)
    assert book.last_second(100.9).offered == 0
    assert book.last_second(101.1).carried == 1
    assert book.last_second(109.0).offered == 0


def test_groups_and_phases_are_counted_apart() -> None:
    book = Book([("wss://a/echo", "old"), ("wss://a/echo", "new")], (Phase("quiet", 0), Phase("storm", 2)))
    book.began = 100.0
    old, new = book.routes
    for route, due, back in ((old, 100.5, 100.501), (old, 102.5, 102.505), (new, 103.5, 103.52)):
        book.was_offered(route, due, due)
        book.came_back(route, due, back)
    quiet, storm = book.phase_outcomes(10.0)
    assert [(each.name, each.at, each.until) for each in (quiet, storm)] == [("quiet", 0, 2), ("storm", 2, 10)]
    assert [(each.group, each.latency.count) for each in quiet.groups] == [("old", 1), ("new", 0)]
    assert [(each.group, round(each.latency.p99)) for each in storm.groups] == [("old", 5), ("new", 20)]
    assert [outcome.carried for outcome in book.route_outcomes()] == [2, 1]
    assert [[at for at, _ in outcome.by_second] for outcome in book.route_outcomes()] == [[0, 2], [3]]
    assert book.seconds()[2].carried == 1


def test_without_a_scenario_there_are_no_phases_and_no_groups() -> None:
    book = begun()
    assert book.phase_outcomes(10.0) == ()
    assert [outcome.by_second for outcome in book.route_outcomes()] == [(), ()]


def test_what_was_read_late_counts_from_the_same_instant_on() -> None:
    book = begun()
    book.were_read(5, 0.5, 99.9)
    book.were_read(3, 0.002, 100.1)
    assert (book.reading.total, book.reading.quantiles().highest) == (3, pytest.approx(2.0, abs=0.01))


def test_an_answer_to_a_turn_counts_from_its_first_frame() -> None:
    book = begun()
    book.was_cleared(book.routes[0], 99.0, 100.1)
    book.was_cleared(book.routes[0], 100.5, 100.55)
    assert book.routes[0].outcome().clears.count == 1
    assert book.routes[0].outcome().clears.p50 == pytest.approx(50, rel=0.001)


def test_what_happened_has_its_instant() -> None:
    book = begun()
    book.happened("before", 99.0)
    book.happened("backend down", 103.25)
    assert [(each.at, each.what) for each in book.happenings] == [(0.0, "before"), (3.2, "backend down")]
