from sottovoce.session import Beat, Heartbeat


def beats(heartbeat: Heartbeat, *moments: float) -> list[Beat]:
    return [heartbeat.beat(moment) for moment in moments]


def test_a_silent_peer_is_asked_twice_and_given_up_after_three_heartbeats() -> None:
    heartbeat = Heartbeat(20, 100.0)
    assert heartbeat.next_at == 120.0
    assert beats(heartbeat, 119.9, 120.0, 120.1, 139.9, 140.0, 159.9, 160.0) == [
        Beat.NOTHING,
        Beat.ASK,
        Beat.NOTHING,
        Beat.NOTHING,
        Beat.ASK,
        Beat.NOTHING,
        Beat.GIVE_UP,
    ]


def test_a_peer_that_is_heard_is_not_asked() -> None:
    heartbeat = Heartbeat(20, 0.0)
    for second in range(100):
        heartbeat.heard_at = float(second)
        assert heartbeat.beat(second + 0.5) is Beat.NOTHING


def test_an_answer_begins_it_anew() -> None:
    heartbeat = Heartbeat(20, 0.0)
    assert beats(heartbeat, 20.0, 40.0) == [Beat.ASK, Beat.ASK]
    heartbeat.heard_at = 40.1
    assert beats(heartbeat, 60.0, 60.1, 80.1, 100.1) == [Beat.NOTHING, Beat.ASK, Beat.ASK, Beat.GIVE_UP]


def test_after_a_suspend_the_peer_is_asked_first() -> None:
    heartbeat = Heartbeat(20, 0.0)
    assert heartbeat.beat(3_600.0) is Beat.ASK
    heartbeat.heard_at = 3_600.1
    assert heartbeat.beat(3_620.0) is Beat.NOTHING


def test_nobody_is_asked_with_0_seconds_or_without_end() -> None:
    for never in (0, float("inf")):
        heartbeat = Heartbeat(never, 0.0)
        assert heartbeat.next_at == float("inf")
        assert heartbeat.beat(1e9) is Beat.NOTHING


def test_a_question_that_could_not_be_put_is_due_again_in_a_moment_and_not_counted() -> None:
    heartbeat = Heartbeat(20, 0.0)
    assert heartbeat.beat(20.0) is Beat.ASK
    for moment in (40.0, 41.0, 42.0):
        assert heartbeat.beat(moment) is Beat.ASK
        heartbeat.put_off(moment)
        assert heartbeat.next_at == moment + 1
    assert beats(heartbeat, 42.9, 43.0, 63.0) == [Beat.NOTHING, Beat.ASK, Beat.GIVE_UP]
    heartbeat = Heartbeat(20, 0.0)
    assert heartbeat.beat(20.0) is Beat.ASK
    heartbeat.put_off(20.0)
    heartbeat.heard_at = 20.5
    assert beats(heartbeat, 21.0, 40.4, 40.5) == [Beat.NOTHING, Beat.NOTHING, Beat.ASK]
