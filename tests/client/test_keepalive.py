"""A connection that falls silent is asked, and given up when it does not answer."""

from sottovoce.client.errors import CallTruncated
from sottovoce.session import ServerConfig
from tests.client.servers import FRAME, PureServer, Talk, settings


def _due(talk: Talk) -> float:
    due = talk.machine.next_deadline()
    assert due is not None
    return due


def test_a_quiet_call_is_pinged_every_twenty_seconds_and_goes_on() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=3600))).run()
    moments = []
    while talk.now < 200:
        talk.at(_due(talk))
        moments.append(talk.now)
    assert moments == [20.0 * number for number in range(1, 11)]
    assert talk.machine.is_open


def test_without_an_answer_the_call_is_cut_off_after_a_minute() -> None:
    talk = Talk().run()
    machine = talk.machine
    for now in (20.0, 40.0):
        assert machine.next_deadline() == now
        machine.on_deadline(now)
        assert machine.to_send(), "a ping"
        assert machine.is_open
    machine.on_deadline(60.0)
    assert machine.is_over
    assert isinstance(machine.failure, CallTruncated)
    assert "nothing was heard" in str(machine.failure)
    assert machine.ended is not None
    assert (machine.ended.code, machine.ended.truncated) == (1006, True)


def test_whoever_speaks_is_not_pinged() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=3600))).run()
    for second in range(100):
        talk.now = talk.server.now = float(second)
        talk.server.say(b"audio")
        talk.run()
        talk.machine.on_deadline(float(second))
        assert not talk.machine.has_output


def test_bytes_that_are_no_valid_record_are_not_heard() -> None:
    talk = Talk().run()
    for now in (20.0, 40.0):
        talk.machine.on_deadline(now)
        talk.machine.to_send()
        talk.server.websocket.send_ping(b"alive")  # the carriage is, the call is not
        talk.machine.receive(talk.server.to_send(), now)
        talk.machine.to_send()
    talk.machine.on_deadline(60.0)
    assert isinstance(talk.machine.failure, CallTruncated)


def test_the_interval_is_the_users_choice() -> None:
    talk = Talk(client=settings(keepalive=3)).run()
    assert _due(talk) == 3.0
    talk = Talk(client=settings(keepalive=float("inf"))).run()
    assert _due(talk) > 200.0


def test_a_machine_that_slept_asks_before_it_gives_up() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=3600))).run()
    talk.at(1000.0)
    assert talk.machine.is_open
    assert talk.machine.send_audio(FRAME, 1000.0)
    talk.at(_due(talk))
    assert talk.machine.is_open


def test_a_question_that_could_not_be_put_is_not_counted() -> None:
    """The user says as much as the server has to take, and the server has nothing to say to it."""
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=3600))).run()
    while talk.now < 100 and talk.machine.is_open:
        while talk.machine.send_json({}, talk.now):
            pass
        talk.at(talk.now)
        talk.now += 0.5
    assert talk.machine.is_open


def test_under_keys_that_are_too_old_for_a_ping_the_keys_age_counts() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=10)), settings(keepalive=2)).run()
    talk.server.signs = False
    while talk.now < 30:
        talk.at(_due(talk))
        talk.server.now = talk.now
    assert talk.machine.is_open
