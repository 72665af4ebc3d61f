"""Calls that join, leave, stall, are cut off and come again; a backend that goes and comes back: real, and short."""

from collections.abc import Generator

import pytest

from loadtest.replay import Kind, Outcome, Plan, Target, run_load
from loadtest.replay.plan import Group, Outage
from loadtest.replay.processes.echo_backend import EchoProtocol
from loadtest.replay.processes.started import EchoBackend, echo_backend
from loadtest.replay.speech import speeches
from sottovoce.wire import Codec


@pytest.fixture(scope="module")
def backend() -> Generator[EchoBackend]:
    with echo_backend() as running:
        yield running


def outcome_of(backend: EchoBackend, *groups: Group, outages: tuple[Outage, ...] = ()) -> Outcome:
    target = Target(url=backend.url, kind=Kind.OPAQUE)
    return run_load(
        Plan(
            targets=(target,),
            sessions=1,
            seconds=1.0,
            warm_up_seconds=0.05,
            grace_seconds=1.0,
            groups=groups,
            outages=outages,
            backend=backend,
        )
    )


def test_calls_join_and_leave_and_others_take_their_place(backend: EchoBackend) -> None:
    steady = Group(name="steady", calls=2)
    joining = Group(name="joining", calls=3, at_seconds=0.2, per_second=50)
    brief = Group(name="brief", calls=2, lasts_seconds=0.2, again=True, frames_per_second=100)
    outcome = outcome_of(backend, steady, joining, brief)
    counted = {route.group: route for route in outcome.routes}
    assert counted["steady"].offered == 100
    assert 75 < counted["joining"].offered <= 120
    assert counted["joining"].sessions == 3
    assert counted["brief"].sessions > 2
    assert (outcome.lost, sum(route.wrong for route in outcome.routes)) == (0, 0)
    assert (outcome.is_partial, [each.what for each in outcome.happenings]) == (False, ["joining begins"])


def test_a_call_that_does_not_read_is_late_and_others_are_not(backend: EchoBackend) -> None:
    slow = Group(name="slow", calls=2, reads_seconds=0.01, stalls_seconds=0.5)
    outcome = outcome_of(backend, Group(name="healthy", calls=2), slow)
    healthy, stalled = outcome.routes
    assert healthy.lost == stalled.lost == 0
    assert stalled.latency.highest > 300


def test_a_backend_that_goes_is_come_back_to(backend: EchoBackend) -> None:
    callers = Group(name="callers", calls=2, again=True)
    outcome = outcome_of(backend, callers, outages=(Outage(at_seconds=0.2, until_seconds=0.3),))
    (route,) = outcome.routes
    assert (route.calls_ended, [each.what for each in outcome.happenings]) == (2, ["backend down", "backend up"])
    assert route.sessions > 2
    assert not outcome.is_partial


def test_a_backend_is_told_twice_what_it_knows(backend: EchoBackend) -> None:
    backend.up()
    backend.down()
    backend.down()
    backend.up()
    assert outcome_of(backend, Group(name="callers", calls=1)).lost == 0


def test_turns_are_said_and_silences_are_not(backend: EchoBackend) -> None:
    outcome = outcome_of(backend, Group(name="talkers", calls=1, talks_seconds=0.2, pauses_seconds=0.3))
    assert 15 <= outcome.offered <= 25


def masked(first: int, payload: bytes) -> bytes:
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


def test_the_echo_answers_speech_by_a_clear_where_it_is_told_of_it() -> None:
    request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    begins, goes_on = b"\x20\0\0\0\0\0\0a", b"\0\0\0\0\0\0\0a"
    told, untold = EchoProtocol(), EchoProtocol()
    for protocol in (told, untold):
        protocol.receive(request)
    assert told.receive(masked(0x81, b'{"header":true}')) == b""
    assert told.receive(masked(0x82, begins)) == b'\x81\x10{"type":"clear"}' + b"\x82\x08" + begins
    assert told.receive(masked(0x82, goes_on)) == b"\x82\x08" + goes_on
    assert untold.receive(masked(0x82, begins)) == b"\x82\x08" + begins


@pytest.mark.parametrize("codec", [each for each in Codec if each is not Codec.NONE])
@pytest.mark.parametrize("milliseconds", [10, 60])
def test_every_codec_has_something_to_say(codec: Codec, milliseconds: int) -> None:
    (speech,) = speeches(codec, milliseconds, ())
    sizes = {len(tail) + 4 for tail in speech.tails}
    assert speech.codec is codec
    assert sizes == {codec.frame_bytes(milliseconds)} or (not codec.bytes_per_sample and len(sizes) > 20)
