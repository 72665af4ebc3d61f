from sottovoce.client.continuity import Beat, Heartbeat


def test_silence_is_met_with_two_pings_and_then_given_up() -> None:
    heartbeat = Heartbeat(20.0, 100.0)
    assert heartbeat.due_at == 120.0
    assert heartbeat.beat(119.9) is Beat.NOTHING
    assert [heartbeat.beat(now) for now in (120.0, 140.0, 160.0)] == [Beat.PING, Beat.PING, Beat.DEAD]


def test_whoever_is_heard_is_not_pinged() -> None:
    heartbeat = Heartbeat(20.0, 0.0)
    for now in range(1000):
        heartbeat.heard_at = float(now)
        assert heartbeat.beat(now) is Beat.NOTHING
    assert 1000 <= heartbeat.due_at <= 1020


def test_the_deadline_moves_only_when_it_has_come() -> None:
    heartbeat = Heartbeat(20.0, 0.0)
    heartbeat.heard_at = 15.0
    assert heartbeat.due_at == 20.0
    assert heartbeat.beat(20.0) is Beat.NOTHING
    assert heartbeat.due_at == 35.0
    assert heartbeat.beat(35.0) is Beat.PING


def test_an_answer_begins_it_anew() -> None:
    heartbeat = Heartbeat(20.0, 0.0)
    for number in range(10):
        assert heartbeat.beat(20.0 + 20 * number) is Beat.PING
        heartbeat.heard_at = 20.0 + 20 * number  # in the same instant
    assert heartbeat.beat(220.0) is Beat.PING
    assert heartbeat.beat(240.0) is Beat.PING
    assert heartbeat.beat(260.0) is Beat.DEAD


def test_after_an_hours_sleep_the_server_is_asked_first() -> None:
    heartbeat = Heartbeat(20.0, 0.0)
    assert heartbeat.beat(3600.0) is Beat.PING
    assert heartbeat.due_at == 3620.0
    heartbeat.heard_at = 3600.5
    assert heartbeat.beat(3620.0) is Beat.NOTHING


def test_without_an_interval_there_is_nothing_to_do() -> None:
    heartbeat = Heartbeat(float("inf"), 0.0)
    assert heartbeat.due_at == float("inf")
    assert heartbeat.beat(1e9) is Beat.NOTHING


def test_a_ping_that_could_not_be_sent_is_due_again_in_a_moment_and_not_counted() -> None:
    heartbeat = Heartbeat(20.0, 0.0)
    assert heartbeat.beat(20.0) is Beat.PING
    for moment in (40.0, 41.0, 42.0):
        assert heartbeat.beat(moment) is Beat.PING
        heartbeat.put_off(moment)
        assert heartbeat.due_at == moment + 1
    assert [heartbeat.beat(now) for now in (42.9, 43.0, 63.0)] == [Beat.NOTHING, Beat.PING, Beat.DEAD]
    heartbeat = Heartbeat(20.0, 0.0)
    assert heartbeat.beat(20.0) is Beat.PING
    heartbeat.put_off(20.0)
    heartbeat.heard_at = 20.5
    assert heartbeat.beat(21.0) is Beat.NOTHING
    assert heartbeat.due_at == 40.5
